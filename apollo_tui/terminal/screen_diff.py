"""What goes to the terminal, kept small: only cells that differ from what stands there, and short colour changes.

Textual writes a whole row of a widget whenever a piece of it changes, each run of text with its full colours and a
reset. Over SSH that is most of the bytes (docs/budgets.md). Here every update is compared with the screen as it was
left; a full update (resize, another screen, back from a pager) is written whole, so that it also mends a terminal that
something else has written to.

Terminals dispute the width of some letters (``widgets.disputed``). Such a letter is written into blanked cells of its
own, and what stands right of it is put into its own column anew: a terminal that draws it wider or narrower moves
nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, cast

import msgspec
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from apollo_tui.terminal.textual_private import (
    ChopsUpdate,
    CompositorUpdate,
    LayoutUpdate,
    color_system,
    style_attributes,
)
from widgets.cells import char_width
from widgets.disputed import ambiguous_is_wide, clusters, is_disputed

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.segment import Segment
    from textual.strip import Strip

ERASE_FROM: Final = 8
"""So many blanks in a row are cheaper to erase than to write."""
MOST_CELLS: Final = 2
"""So many a terminal gives to one character at most."""
BRIDGE: Final = 3
"""So many cells that stand already are cheaper to write again than to jump over."""
ATTRIBUTES: Final = (
    (0, "1", "22"),
    (1, "2", "22"),
    (2, "3", "23"),
    (3, "4", "24"),
    (4, "5", "25"),
    (6, "7", "27"),
    (8, "9", "29"),
)
"""Bit of Rich's attributes, code on, code off."""
INKED: Final = 1 << 3 | 1 << 6 | 1 << 8
"""Underline, reverse, strike: these show on a blank, too."""


class Pen(msgspec.Struct, frozen=True, eq=False):
    """How a cell is drawn. Two equal ones are one object; ``blank`` is the pen of a space in this style."""

    ink: str
    paper: str
    attributes: int
    blank: Pen | None = None


PLAIN: Final = Pen("39", "49", 0)


class Pens:
    """Styles as pens, and the shortest way from one to another."""

    def __init__(self, colours: ColorSystem) -> None:
        self._colours = colours
        self._of: dict[Style | None, Pen] = {None: PLAIN}
        self._known: dict[tuple[str, str, int], Pen] = {("39", "49", 0): PLAIN}
        self._changes: dict[tuple[Pen, Pen], str] = {}

    def of(self, style: Style | None) -> Pen:
        """The pen of a style."""
        pen = self._of.get(style)
        if pen is None:
            assert style is not None
            ink, paper = style.color, style.bgcolor
            pen = self._of[style] = self._pen(
                ";".join(ink.downgrade(self._colours).get_ansi_codes()) if ink else "39",
                ";".join(paper.downgrade(self._colours).get_ansi_codes(foreground=False)) if paper else "49",
                style_attributes(style),
            )
        return pen

    def _pen(self, ink: str, paper: str, attributes: int) -> Pen:
        key = (ink, paper, attributes)
        pen = self._known.get(key)
        if pen is None:
            inked = attributes & INKED
            blank = None if inked or (ink, attributes) == ("39", 0) else self._pen("39", paper, 0)
            pen = self._known[key] = Pen(ink, paper, attributes, blank)
        return pen

    def change(self, before: Pen, after: Pen) -> str:
        """The bytes that lead from one pen to another."""
        if before is after:
            return ""
        codes = self._changes.get((before, after))
        if codes is None:
            codes = self._changes[before, after] = _change(before, after)
        return codes


def _change(before: Pen, after: Pen) -> str:
    off = {code for bit, _, code in ATTRIBUTES if before.attributes & ~after.attributes & 1 << bit}
    on = [
        code for bit, code, end in ATTRIBUTES
        if after.attributes & 1 << bit and (not before.attributes & 1 << bit or end in off)
    ]  # fmt: skip
    codes = [*sorted(off), *on]
    codes += [after.ink] if after.ink != before.ink else []
    codes += [after.paper] if after.paper != before.paper else []
    return f"\x1b[{';'.join(codes)}m" if codes else ""


class ScreenDiff:
    """The terminal as it was left. ``diff`` wraps an update of Textual's, which is compared when it is written."""

    def __init__(self, erase: bool | None = None, wide: bool | None = None) -> None:
        """``erase``: erased cells take the colour of the background; ``wide``: ambiguous letters may be wide here."""
        self._erase = erases_in_colour() if erase is None else erase
        self._wide = ambiguous_is_wide() if wide is None else wide
        self._columns = 0
        self._pens: Pens | None = None
        self._chars: dict[int, list[str]] = {}
        self._drawn: dict[int, list[Pen]] = {}
        self._odd: set[int] = set()
        """Rows where letters stand that terminals disagree about: what changes in one is written whole."""
        self.written = 0
        """Bytes written so far."""

    def diff(self, update: RenderableType | None) -> RenderableType | None:
        """The same update with fewer bytes; what is no update of the whole screen or of spans is left as it is."""
        if isinstance(update, ChopsUpdate | LayoutUpdate):
            return cast("RenderableType", _DiffedUpdate(self, update))
        return update

    def render(self, update: ChopsUpdate | LayoutUpdate, console: Console) -> str:
        """The bytes that bring the terminal up to date."""
        if self._pens is None:
            self._pens = Pens(color_system(console) or ColorSystem.TRUECOLOR)
        out = _Run(self._pens, self._erase)
        if isinstance(update, LayoutUpdate):
            self._chars.clear()
            self._drawn.clear()
            self._odd.clear()
            self._columns = update.region.right
            for y, strips in enumerate(update.strips, update.region.y):
                self._row(out, y, update.region.x, (segment for strip in strips for segment in strip))
        else:
            for y, x, strip in _pieces(update):
                self._row(out, y, x, strip)
        text = out.text()
        self.written += len(text.encode())
        return text

    def _row(self, out: _Run, y: int, x: int, segments: Iterable[Segment]) -> None:
        assert self._pens is not None
        chars, drawn = self._chars.setdefault(y, []), self._drawn.setdefault(y, [])
        pieces = []
        for text, style, control in segments:
            if text and not control:
                pen = self._pens.of(style)
                pieces.append((text, pen.blank if pen.blank is not None and text.isspace() else pen))
        odd = any(_is_odd(text, self._wide) for text, _ in pieces)
        whole, beyond = odd or y in self._odd, 0
        if whole:
            if self._stands(pieces, x, chars, drawn):
                return
            out.forget_place()
        for text, pen in pieces:
            cells = _cells(text) if odd else list(text)
            end = x + len(cells)
            if len(chars) < end:
                chars.extend([""] * (end - len(chars)))
                drawn.extend([_UNKNOWN] * (end - len(drawn)))
            pens = [pen] * len(cells)
            if whole:
                beyond = max(beyond, self._write_whole(out, y, x, cells, pen))
            elif chars[x:end] != cells or drawn[x:end] != pens:
                out.put(y, x, cells, pen, chars, drawn)
            chars[x:end] = cells
            drawn[x:end] = pens
            x = end
        self._mend(out, y, x, beyond)
        if whole:
            self._odd.discard(y)
            if any(_is_odd(cell, self._wide) for cell in chars if not cell.isascii()):
                self._odd.add(y)

    @staticmethod
    def _stands(pieces: Iterable[tuple[str, Pen]], x: int, chars: Sequence[str], drawn: Sequence[Pen]) -> bool:
        """Whether all of ``pieces`` stands from ``x`` on."""
        for text, pen in pieces:
            cells = _cells(text)
            end = x + len(cells)
            if list(chars[x:end]) != cells or any(one is not pen for one in drawn[x:end]):
                return False
            x = end
        return True

    def _write_whole(self, out: _Run, y: int, x: int, cells: Sequence[str], pen: Pen) -> int:
        """Write cells of which some may be disputed. Returns up to which column those may have been drawn."""
        at, begun, beyond = 0, 0, 0
        if not any(_is_odd(cell, self._wide) for cell in cells if not cell.isascii()):
            at = len(cells)  # nothing here is disputed
        while at < len(cells):
            end = at + 1
            while end < len(cells) and not cells[end]:
                end += 1
            if any(is_disputed(char, self._wide) for char in cells[at]):
                if begun < at:
                    out.write(y, x + begun, cells[begun:at], pen)
                # At the edge of the screen a wider letter would push the one before it away.
                letter = "?" * (end - at) if self._columns and x + end >= self._columns else cells[at]
                out.place(y, x + at, letter, end - at, pen)
                begun = end
                beyond = max(beyond, x + at + MOST_CELLS * len(cells[at]))
            at = end
        if begun < len(cells):
            out.write(y, x + begun, cells[begun:], pen)
        return beyond

    def _mend(self, out: _Run, y: int, x: int, end: int) -> None:
        """Write again what is known to stand from ``x`` to ``end``: a letter may have been drawn over it."""
        chars, drawn = self._chars[y], self._drawn[y]
        while x < min(end, len(chars)) and drawn[x] is not _UNKNOWN and chars[x]:
            upto = x + 1
            while upto < len(chars) and not chars[upto]:
                upto += 1
            end = max(end, self._write_whole(out, y, x, chars[x:upto], drawn[x]))
            x = upto


_UNKNOWN: Final = Pen("", "", 0)


class _Run:
    """Bytes being put together: where the cursor stands, and with which pen."""

    def __init__(self, pens: Pens, erase: bool) -> None:
        self._pens = pens
        self._erase = erase
        self._out: list[str] = []
        self._pen = PLAIN
        self._at = (-1, -1)

    def put(self, y: int, x: int, cells: Sequence[str], pen: Pen, chars: Sequence[str], drawn: Sequence[Pen]) -> None:
        """Write those of ``cells`` that differ from what stands there."""
        at, count = 0, len(cells)
        while at < count:
            if chars[x + at] == cells[at] and drawn[x + at] is pen:
                at += 1
                continue
            end, same = at + 1, 0
            while end < count and same <= BRIDGE:
                same = same + 1 if chars[x + end] == cells[end] and drawn[x + end] is pen else 0
                end += 1
            end -= same
            self.write(y, x + at, cells[at:end], pen)
            at = end

    def write(self, y: int, x: int, cells: Sequence[str], pen: Pen) -> None:
        """Write these cells."""
        self._move(y, x)
        if pen.ink == "39" and not pen.attributes:
            # A blank: only its paper shows.
            if self._pen.paper != pen.paper or self._pen.attributes & INKED:
                self._switch(pen)
        else:
            self._switch(pen)
        tail = len(cells)
        while tail and cells[tail - 1] == " ":
            tail -= 1
        blanks = len(cells) - tail
        if not self._erase or blanks < ERASE_FROM or pen.attributes & INKED:
            tail, blanks = len(cells), 0
        self._out.append("".join(cells[:tail]))
        if blanks:
            self._out.append(f"\x1b[{blanks}X")
        self._at = (y, x + tail)

    def place(self, y: int, x: int, letter: str, cells: int, pen: Pen) -> None:
        """Write a letter of which the terminal may think otherwise into ``cells`` of its own."""
        # First the blanks: a terminal that draws it narrower would leave what stood there.
        self._move(y, x)
        self._switch(pen)
        self._out.append(" " * cells)
        self._at = (-1, -1)
        self._move(y, x)
        self._out.append(letter)
        self._at = (-1, -1)

    def _switch(self, pen: Pen) -> None:
        self._out.append(self._pens.change(self._pen, pen))
        self._pen = pen

    def _move(self, y: int, x: int) -> None:
        row, column = self._at
        if row != y or column > x:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")
        elif column < x:
            self._out.append(f"\x1b[{x - column}C")

    def forget_place(self) -> None:
        """Nobody knows where the cursor stands."""
        self._at = (-1, -1)

    def text(self) -> str:
        """All of it; the terminal's pen is left plain, since others write, too."""
        if self._pen is not PLAIN:
            self._out.append("\x1b[0m")
        return "".join(self._out)


class _DiffedUpdate(CompositorUpdate):
    """An update of Textual's that is compared with the screen when it is written."""

    def __init__(self, screen: ScreenDiff, update: ChopsUpdate | LayoutUpdate) -> None:
        self._screen = screen
        self._update = update

    def render_segments(self, console: Console) -> str:
        return self._screen.render(self._update, console)


def _pieces(update: ChopsUpdate) -> Iterable[tuple[int, int, Strip]]:
    """Row, column and strip of each piece that the update touches; beyond its span a piece is as it stands."""
    for y, start, stop in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x < stop and end > start:
                yield y, x, strip


@lru_cache(4096)
def _is_odd(text: str, wide: bool) -> bool:
    """Whether terminals may disagree with us on where the letters of ``text`` stand."""
    return not text.isascii() and any(char_width(char) != 1 or is_disputed(char, wide) for char in text)


def _cells(text: str) -> list[str]:
    """Each letter with its marks in its first cell, for as many cells as Textual thinks that the text takes."""
    if text.isascii():
        return list(text)
    cells: list[str] = []
    for cluster in clusters(text):
        cells += [cluster, *[""] * (cell_len(cluster) - 1)]
    # Rich counts some letters otherwise beside others; what follows stands where it thinks.
    count = cell_len(text)
    return [*cells, *[" "] * (count - len(cells))] if len(cells) <= count else [text, *[""] * (count - 1)]


def erases_in_colour() -> bool:
    """Whether erased cells take the colour of the background. GNU screen's do not, and it is called ``screen``."""
    return not os.environ.get("TERM", "").startswith("screen") or bool(os.environ.get("TMUX"))
