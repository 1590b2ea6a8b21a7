"""A terminal in memory, for bytes that come in pieces: a read ends where the kernel pleases, within a frame, a sequence
or a letter."""

from __future__ import annotations

import re
from typing import Final

import pyte
from pyte.screens import wcwidth

_PRIVATE: Final = re.compile(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p")
"""Questions and modes that pyte takes for text; no cell of the screen depends on them."""
_BEGUN: Final = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")
"""A sequence whose end is still to come."""


class Emulator:
    """``columns`` by ``rows`` cells: bytes go in, ``text()`` is what stands there."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._begun = b""

    def feed(self, piece: bytes) -> None:
        """Take in a piece; a sequence that ends in the next one waits for it."""
        piece = self._begun + piece
        begun = _BEGUN.search(piece)
        end = begun.start() if begun else len(piece)
        self._begun = piece[end:]
        self._stream.feed(_PRIVATE.sub(b"", piece[:end]))

    def text(self) -> str:
        """What stands on the screen now, row by row."""
        for y, x in halves(self._screen):
            # A terminal blanks what is left of a letter at once; pyte keeps it, and cannot show it.
            cell = self._screen.buffer[y][x]
            self._screen.buffer[y][x] = cell._replace(data=" " if _is_wide(cell) else " " + cell.data)
        return "\n".join(line.rstrip() for line in self._screen.display)


def halves(screen: pyte.Screen) -> list[tuple[int, int]]:
    """Row and column of each half of a wide letter whose other half was written over."""
    found = []
    for y in range(screen.lines):
        row, wide = screen.buffer[y], False
        for x in range(screen.columns):
            if wide != _is_right_half(row[x]):
                found.append((y, x - 1 if wide else x))
            wide = _is_wide(row[x]) and x + 1 < screen.columns
    return found


def _is_wide(cell: pyte.screens.Char) -> bool:
    return wcwidth(cell.data[:1]) == 2


def _is_right_half(cell: pyte.screens.Char) -> bool:
    """Empty, or nothing but marks, which pyte puts here."""
    return wcwidth(cell.data[:1]) == 0
