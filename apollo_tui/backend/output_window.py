"""The part of an output that is in memory: so many lines, each with the byte that it begins at.

The output itself may have gigabytes, grow by a hundred megabytes a second, lose its middle, be cut or vanish: what is
in memory stays what it was, and is gone on from by byte offsets. Lines are as a terminal shows them in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from sessions.jobs.ring_buffer import Piece
from widgets.models import OutputLine
from widgets.sanitise import clean
from widgets.search import has_match

PAGE: Final = 64 * 1024
"""Bytes that are read at a time."""
TAIL: Final = 24 * 1024
FOLLOWED: Final = 200
"""Bytes that are read, and lines that are kept, while the end is followed: more than a screen holds."""
MOST: Final = 512 * 1024
"""Characters that are kept; the farthest from the reader go first."""
SEARCHED: Final = 256 * 1024
"""Bytes that a search looks through at a time."""
COUNTED: Final = 4 * 1024 * 1024
"""Bytes in which new lines are counted at a time; of more, only how much there is."""
OVERWRITTEN: Final = ("\r", "\x08", "\x1b", "\x9b")
"""What makes a line another one than its characters say."""


class OutputSource(Protocol):
    """Bytes by offset: the files of a job (``RingReader``), or a text of the log."""

    def total(self) -> int:
        """How many bytes were written."""
        ...

    def read(self, since: int, limit: int) -> Piece:
        """At most ``limit`` bytes from ``since`` on; a gap is skipped."""
        ...

    def read_before(self, end: int, limit: int) -> Piece:
        """At most ``limit`` bytes that end at ``end``, or before the gap there."""
        ...

    def trouble(self) -> str:
        """Why it cannot be read though it should be there, "" if it can."""
        ...


class TextSource:
    """A text that the log holds."""

    def __init__(self, text: str) -> None:
        self._data = text.encode(errors="replace")

    def total(self) -> int:
        """Its bytes."""
        return len(self._data)

    def read(self, since: int, limit: int) -> Piece:
        """A part of it."""
        data = self._data[since : since + limit]
        return Piece(data, since, since + len(data), len(self._data))

    def read_before(self, end: int, limit: int) -> Piece:
        """The part before ``end``."""
        return self.read(max(0, end - limit), min(limit, end))

    def trouble(self) -> str:
        """Never any."""
        return ""


class OutputWindow(msgspec.Struct, frozen=True):
    """Lines from byte ``start`` up to byte ``end`` of ``total``; one that is not finished comes last, from ``end`` on.

    ``more_before``: whether something lies before the first line.
    """

    lines: tuple[OutputLine, ...] = ()
    start: int = 0
    end: int = 0
    total: int = 0
    more_before: bool = False

    @property
    def more_after(self) -> bool:
        """Whether something lies after the last line."""
        return self._seen < self.total

    @property
    def _seen(self) -> int:
        last = self.lines[-1] if self.lines else None
        return last.at + last.size if last is not None and last.at >= self.end else self.end


class Unseen(msgspec.Struct, frozen=True):
    """What came since the reader stopped following: ``lines``, or only so many ``bytes`` where they came too fast."""

    lines: int = 0
    bytes: int = 0
    counted: bool = True
    upto: int = 0


# --- bytes into lines -------------------------------------------------------------------------------------------------


def split_lines(piece: Piece, *, aligned: bool) -> tuple[list[OutputLine], int]:
    """The lines of ``piece``, and the offset after the last finished one. What has no end yet is the last line.

    Not ``aligned``: the piece may begin within a line, which is left out, if it has another one. A line that fills the
    whole piece is taken as finished.
    """
    data, at = piece.data, piece.start
    if not aligned and at > 0:
        skipped = data.find(b"\n") + 1
        if not 0 < skipped < len(data):
            skipped = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        data, at = data[skipped:], at + skipped
    lines: list[OutputLine] = []
    *whole, rest = data.split(b"\n")
    for raw in whole:
        lines.append(OutputLine(at, shown_line(raw), len(raw) + 1))
        at += len(raw) + 1
    if rest:
        lines.append(OutputLine(at, shown_line(rest), len(rest)))
        if not whole and len(rest) >= TAIL // 2:
            at += len(rest)
    return lines, at


def shown_line(raw: bytes) -> str:
    """One line of bytes as it is shown: its last state, harmless, U+FFFD for what is no UTF-8."""
    return clean(raw.decode(errors="replace")).replace("\n", " ⏎ ")


def say_gap(missing: int) -> str:
    """What stands in the place of bytes that nobody kept."""
    return f"── {missing:,} bytes of output are not kept here: there was too much of it ──"


# --- the window moves -------------------------------------------------------------------------------------------------


def read_end(source: OutputSource) -> OutputWindow:
    """The newest lines."""
    piece = source.read_before(source.total(), TAIL)
    lines, end = split_lines(piece, aligned=piece.start == 0)
    start = lines[0].at if lines else piece.start
    window = OutputWindow(tuple(lines), start, end, max(piece.total, piece.end), start > 0)
    if len(piece.data) < TAIL // 2:
        window = read_earlier(source, window)  # a run of what is kept has just begun
    lines = list(window.lines[-FOLLOWED:])
    start = lines[0].at if lines else window.start
    return msgspec.structs.replace(window, lines=tuple(lines), start=start, more_before=start > 0)


def read_start(source: OutputSource) -> OutputWindow:
    """The first lines."""
    piece = source.read(0, PAGE)
    lines, end = split_lines(piece, aligned=True)
    return OutputWindow(tuple(lines), 0, end, piece.total)


def read_around(source: OutputSource, offset: int) -> OutputWindow:
    """The lines before and after the beginning of a line at ``offset``."""
    piece = source.read(offset, PAGE)
    lines, end = split_lines(piece, aligned=not piece.missing)
    return read_earlier(source, OutputWindow(tuple(lines), piece.start, end, piece.total, piece.start > 0))


def read_earlier(source: OutputSource, window: OutputWindow) -> OutputWindow:
    """``window`` with what lies before it, if anything of that is kept."""
    if not window.more_before:
        return window
    piece = source.read_before(window.start, PAGE)
    if not piece.data:
        return msgspec.structs.replace(window, more_before=False)
    before, _ = split_lines(piece, aligned=piece.start == 0)
    gap = window.start - piece.end
    held = [OutputLine(piece.end, say_gap(gap), gap, "need")] if gap > 0 else []
    start = before[0].at if before else piece.start
    return _trim(
        msgspec.structs.replace(window, lines=(*before, *held, *window.lines), start=start, more_before=start > 0),
        from_end=True,
    )


def read_later(source: OutputSource, window: OutputWindow) -> OutputWindow:
    """``window`` with what lies after it."""
    piece = source.read(window.end, PAGE)
    if not piece.data:
        return msgspec.structs.replace(window, total=max(window.total, piece.total))
    after, end = split_lines(piece, aligned=not piece.missing)
    held = [OutputLine(window.end, say_gap(piece.missing), piece.missing, "need")] if piece.missing else []
    # The unfinished line is read again with what has come to it.
    kept = [line for line in window.lines if line.at < window.end]
    return _trim(OutputWindow((*kept, *held, *after), window.start, end, piece.total, window.more_before))


def _trim(window: OutputWindow, *, from_end: bool = False) -> OutputWindow:
    """No more than ``MOST`` characters, without those at the start or at the end."""
    size = sum(len(line.text) + 1 for line in window.lines)
    lines = list(window.lines)
    if size <= MOST:
        return window
    drop = 0
    ordered = reversed(lines) if from_end else iter(lines)
    for line in ordered:
        if size <= MOST or drop >= len(lines) - 1:
            break
        size -= len(line.text) + 1
        drop += 1
    if not drop:
        return window
    if from_end:
        return msgspec.structs.replace(window, lines=tuple(lines[:-drop]), end=lines[-drop].at)
    return msgspec.structs.replace(window, lines=tuple(lines[drop:]), start=lines[drop].at, more_before=True)


def count_unseen(source: OutputSource, unseen: Unseen) -> Unseen:
    """``unseen`` up to now."""
    total = source.total()
    if total <= unseen.upto:
        return unseen
    came = total - unseen.upto
    if not unseen.counted or came > COUNTED:
        return Unseen(unseen.lines, unseen.bytes + came, counted=False, upto=total)
    piece = source.read(unseen.upto, COUNTED)
    lines = unseen.lines + piece.data.count(b"\n")
    return Unseen(lines, unseen.bytes + piece.end - unseen.upto, not piece.missing, piece.end)


# --- searching --------------------------------------------------------------------------------------------------------


def find_later(source: OutputSource, pattern: str, since: int) -> tuple[int | None, int]:
    """The first line that begins at ``since`` or later and has ``pattern``, within ``SEARCHED`` bytes; and where to go
    on if there is none, the end of the output if that was all.
    """
    # From the byte before: a line begins at ``since`` only where that ends one.
    piece = source.read(max(0, since - 1), SEARCHED)
    if not piece.data:
        return None, max(since, piece.total)
    length = len(piece.data)
    if piece.end < piece.total:
        length = piece.data.rfind(b"\n") + 1 or length
    kept = Piece(piece.data[:length], piece.start, piece.start + length, piece.total)
    found = [at for at in _matches(kept, pattern, aligned=piece.start == 0) if at >= since]
    return (found[0] if found else None), max(kept.end, since + 1)


def find_earlier(source: OutputSource, pattern: str, end: int) -> tuple[int | None, int]:
    """The same for the last line that begins before ``end``; 0 to go on from if that was all."""
    piece = source.read_before(end, SEARCHED)
    if not piece.data:
        return None, 0
    skipped = 0 if piece.start == 0 else piece.data.find(b"\n") + 1
    skipped = skipped if skipped < len(piece.data) else 0
    kept = Piece(piece.data[skipped:], piece.start + skipped, piece.end, piece.total)
    found = _matches(kept, pattern, aligned=True)
    return (found[-1] if found else None), kept.start if kept.start < end else piece.start


def _matches(piece: Piece, pattern: str, *, aligned: bool) -> Sequence[int]:
    text = piece.data.decode(errors="replace")
    overwritten = any(mark in text for mark in OVERWRITTEN)
    if not overwritten and not has_match(text.replace("\n", " "), pattern):
        return []
    lines, _ = split_lines(piece, aligned=aligned)
    return [line.at for line in lines if has_match(line.text, pattern)]


class Found(NamedTuple):
    """The line with a match, by the byte at which it begins; ``around``: the search went on at the other end."""

    at: int
    around: bool = False
