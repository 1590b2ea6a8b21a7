"""Two things beside each other as lines of one text, each wrapped in its half. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Final

from widgets import cells
from widgets.models import Line, PairRow, Span

BETWEEN: Final[Span] = (" │ ", "rule")
MOST_LINES: Final = 4
"""Lines that one row may take on a side; what is longer is cut, and says so."""
LEAST: Final = 16
"""Cells of a side, however narrow the screen is."""


def side_by_side(rows: Iterable[PairRow], width: int) -> list[tuple[Line, int]]:
    """The rows in ``width`` cells: lines, each with the place (from 0) of its row.

    Example, in 23 cells: ``PairRow(left=(("run make test", "text"),), right=(("finish", "text"),))`` is
    ``run make   │ finish`` and, for the same row, ``test       │``.
    """
    half = max(LEAST, (width - cells.width(BETWEEN[0])) // 2)
    found: list[tuple[Line, int]] = []
    for at, row in enumerate(rows):
        if row.whole:
            found += [(line, at) for line in _wrapped(row.whole, max(LEAST, width))]
            continue
        if not row.left and not row.right:
            found.append(((), at))
            continue
        for left, right in zip_longest(
            _beside(row.left, half, row.head), _beside(row.right, half, row.head), fillvalue=()
        ):
            gap: Span = (" " * (half - cells.line_width(left)), "text")
            found.append(((*left, gap, BETWEEN, *right), at))
    return found


def _beside(line: Line, width: int, head: int) -> list[Line]:
    """``line`` in lines of ``width`` cells; those after the first begin below what follows its head."""
    if not head or not line:
        return _wrapped(line, width)
    rest = _wrapped(line[1:], width - head)
    return [(line[0] if at == 0 else (" " * head, "text"), *part) for at, part in enumerate(rest)]


def _wrapped(line: Line, width: int) -> list[Line]:
    lines = cells.wrap_line(line, width)
    if len(lines) <= MOST_LINES:
        return lines
    kept = lines[:MOST_LINES]
    kept[-1] = (*cells.crop_line(kept[-1], width - 2), (" …", "dim"))
    return kept
