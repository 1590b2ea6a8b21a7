"""Reading places over items of unknown number and height: no heights are summed, so 100,000 items cost nothing.

A place is (item, row of that item): the reader stays with what is read, whatever grows or shrinks around it. ``height``
functions give the rows of one item, 0 where an item is hidden; they are asked only near the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Height = Callable[[int], int]


class Place(NamedTuple):
    """Row ``row`` of item ``index``."""

    item: int
    row: int


def window(height: Height, count: int, top: Place, rows: int) -> list[Place]:
    """The first ``rows`` places from ``top`` on; fewer at the end."""
    out: list[Place] = []
    index, row = top
    while index < count and len(out) < rows:
        tall = height(index)
        while row < tall and len(out) < rows:
            out.append(Place(index, row))
            row += 1
        index, row = index + 1, 0
    return out


def back(height: Height, top: Place, rows: int) -> Place:
    """``rows`` rows above ``top``, or the very first row."""
    index, row = top
    left = rows
    best = top
    while True:
        if row >= left:
            return Place(index, row - left)
        left -= row
        if row > 0:
            best = Place(index, 0)
        if index <= 0:
            return best if height(0) == 0 else Place(0, 0)
        index -= 1
        row = height(index)


def forward(height: Height, count: int, top: Place, rows: int) -> Place:
    """``rows`` rows below ``top``, or the last row."""
    found = window(height, count, top, rows + 1)
    return found[-1] if found else top


def tail(height: Height, count: int, rows: int) -> Place:
    """The place from which the last ``rows`` rows are shown."""
    return back(height, Place(count, 0), rows) if count else Place(0, 0)


def scaled(row: int, before: int, after: int) -> int:
    """Where row ``row`` of ``before`` rows is when the item has ``after`` rows, at a new width."""
    if before <= 1 or after <= 1:
        return 0
    return min(after - 1, round(row / before * after))
