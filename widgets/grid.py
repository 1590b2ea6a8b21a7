"""Where the panes of a wall stand. Pure."""

from __future__ import annotations

import math

from textual.geometry import Region

LEAST_WIDTH = 36
"""Cells below which a pane says too little to be worth its place."""
LEAST_HEIGHT = 5


def grid(count: int, width: int, height: int) -> list[Region]:
    """Regions of ``count`` panes with one cell between columns and a title row in each.

    Panes that would be smaller than is useful are left out: the caller shows what has a region.
    """
    if count <= 0 or width <= 0 or height <= 0:
        return []
    most_columns = max(1, (width + 1) // (LEAST_WIDTH + 1))
    most_rows = max(1, height // LEAST_HEIGHT)
    count = min(count, most_columns * most_rows)
    columns = min(most_columns, max(math.ceil(math.sqrt(count)), math.ceil(count / most_rows)))
    rows = math.ceil(count / columns)
    regions: list[Region] = []
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        usable = width - (in_row - 1)
        x = column + usable * column // in_row
        right = column + usable * (column + 1) // in_row
        top, bottom = height * row // rows, height * (row + 1) // rows
        regions.append(Region(x, top, right - x, bottom - top))
    return regions
