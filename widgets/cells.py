"""Text measured in terminal cells: width, crop, pad and wrap. Texts are single lines that were cleaned before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len, get_character_cell_size

from widgets.models import CODE_BAR, REASON_BAR, Line, Role, Span
from widgets.sanitise import clean

BARS: Final = (CODE_BAR, REASON_BAR)
_CONTROL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def char_width(char: str) -> int:
    """Cells of one character, 0 to 2: as Rich and so Textual count them."""
    return get_character_cell_size(char)


def width(text: str) -> int:
    """Cells that ``text`` takes."""
    return len(text) if text.isascii() else cell_len(text)


def crop(text: str, cells: int, ellipsis: str = "…") -> str:
    """``text`` in at most ``cells`` cells; what is cut is replaced by ``ellipsis``."""
    if cells <= 0:
        return ""
    if len(text) <= cells and width(text) <= cells:
        return text
    if len(text) > cells * 8:
        text = text[: cells * 8]
    room = cells - width(ellipsis)
    if room < 0:
        room, ellipsis = cells, ""
    return text[: fit(text, 0, room)] + ellipsis


def fit(text: str, start: int, cells: int) -> int:
    """The end of the longest piece of ``text`` from ``start`` that fits; marks stay with their letter."""
    stop = min(len(text), start + cells)
    if text[start:stop].isascii():
        while stop < len(text) and char_width(text[stop]) == 0:
            stop += 1
        return stop
    used = 0
    for index in range(start, len(text)):
        used += char_width(text[index])
        if used > cells:
            return index
    return len(text)


def pad(text: str, cells: int, right: bool = False) -> str:
    """``text`` cropped or filled with spaces to exactly ``cells``; ``right`` sets it flush right."""
    text = crop(text, cells)
    fill = " " * (cells - width(text))
    return fill + text if right else text + fill


def breaks(text: str, cells: int) -> list[tuple[int, int]]:
    """Where to cut ``text`` into rows of at most ``cells``: (start, end) in characters, at spaces if there are any."""
    cells = max(1, cells)
    if len(text) <= cells and width(text) <= cells:
        return [(0, len(text))]
    rows: list[tuple[int, int]] = []
    start, length = 0, len(text)
    while start < length:
        stop = fit(text, start, cells)
        if stop >= length:
            rows.append((start, length))
            break
        if stop == start:
            stop = start + 1
        if text[stop] == " ":
            rows.append((start, stop))
            start = stop + 1
            continue
        space = text.rfind(" ", start, stop)
        if space > start and text[start:space].strip():
            rows.append((start, space))
            start = space + 1
        else:
            rows.append((start, stop))
            start = stop
    return rows or [(0, 0)]


def wrap(text: str, cells: int) -> list[str]:
    """``text`` in rows of at most ``cells``."""
    return [text[start:end] for start, end in breaks(text, cells)]


def text_of(line: Line) -> str:
    """The text of a line without its roles."""
    return line[0][0] if len(line) == 1 else "".join(text for text, _ in line)


def line_width(line: Line) -> int:
    """Cells that a line takes."""
    return sum(width(text) for text, _ in line)


def slice_line(line: Line, start: int, end: int) -> Line:
    """The characters ``start`` to ``end`` of a line, with their roles."""
    out: list[Span] = []
    at = 0
    for text, role in line:
        upto = at + len(text)
        if upto > start and at < end:
            out.append((text[max(0, start - at) : end - at], role))
        at = upto
        if at >= end:
            break
    return tuple(out)


def harmless(line: Iterable[Span]) -> Line:
    """The line, cleaned before a cut can part a sequence, if there is one in it."""
    return tuple((clean(text) if _CONTROL.search(text) else text, role) for text, role in line)


def wrap_line(line: Line, cells: int) -> list[Line]:
    """A line in rows of at most ``cells``, with its roles; a bar that it begins with stands before all of them."""
    if line and line[0] in BARS and cells > 2 * width(line[0][0]):
        return [(line[0], *row) for row in wrap_line(line[1:], cells - width(line[0][0])) or [()]]
    line = harmless(line)
    text = text_of(line)
    if len(line) == 1:
        role = line[0][1]
        return [((text[start:end], role),) for start, end in breaks(text, cells)]
    return [slice_line(line, start, end) for start, end in breaks(text, cells)]


def crop_line(line: Iterable[Span], cells: int, ellipsis: str = "…") -> Line:
    """A line in at most ``cells``; what is cut ends in ``ellipsis``."""
    line = harmless(line)
    if line_width(line) <= cells:
        return line
    out: list[Span] = []
    room = cells - width(ellipsis)
    last: Role = "dim"
    for text, role in line:
        piece = text[: fit(text, 0, room)]
        last = role
        if piece:
            out.append((piece, role))
            room -= width(piece)
        if len(piece) < len(text):
            break
    if cells >= width(ellipsis):
        out.append((ellipsis, last))
    return tuple(out)


def restyle(line: Line, spans: Iterable[tuple[int, int]], role: Role) -> Line:
    """``line`` with the characters of ``spans`` (sorted, apart) in ``role``."""
    out: list[Span] = []
    at, end = 0, len(text_of(line))
    for start, stop in spans:
        out.extend(slice_line(line, at, start))
        piece = text_of(slice_line(line, start, stop))
        if piece:
            out.append((piece, role))
        at = stop
    if at < end:
        out.extend(slice_line(line, at, end))
    return tuple(out)
