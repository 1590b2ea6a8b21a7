"""A small plot of points in braille dots: two by four to a cell, enough for scores over steps at the side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bit of each dot of a cell: by column, then by row from the top."""


def plot(points: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """``height`` rows of ``width`` cells; x runs from the first to the last point, y from the least to the greatest."""
    if not points or width < 1 or height < 1:
        return []
    cells = [[0] * width for _ in range(height)]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    before: tuple[int, int] | None = None
    for x, y in sorted(points):
        at = _scale(x, left, right, 2 * width - 1)
        up = 4 * height - 1 - _scale(y, low, high, 4 * height - 1, flat=0.5)
        for column, row in _line(before or (at, up), (at, up)):
            cells[row // 4][column // 2] |= DOTS[column % 2][row % 4]
        before = (at, up)
    return ["".join(chr(0x2800 + bits) for bits in row).rstrip("\u2800") for row in cells]


def _scale(value: float, low: float, high: float, most: int, flat: float = 0.0) -> int:
    return round(most * ((value - low) / (high - low) if high > low else flat))


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """The dots from ``start`` to ``end``."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (round(start[0] + (end[0] - start[0]) * at / steps), round(start[1] + (end[1] - start[1]) * at / steps))
        for at in range(steps + 1)
    ]
