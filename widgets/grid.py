"""Where the panes of a wall stand. Pure."""

from __future__ import annotations

import math
from typing import Final

from textual.geometry import Region

LEAST_WIDTH: Final = 24
LEAST_HEIGHT: Final = 8
"""Cells and rows, the title's among them, from which on a pane is worth its place."""
LEAST_ROWS: Final = 5
"""Rows of a pane while something else, such as the composer, takes room from the wall."""
MOST_PANES: Final = 16
SHAPE: Final = 4.0
"""Cells to rows of a pane that reads well: short lines wrap, and so do few rows."""
LONG_LINE: Final = 110
"""Cells from which on lines are hard to follow."""


def count_fitting(width: int, height: int) -> int:
    """How many panes there is room for, one at least."""
    return min(MOST_PANES, _most_columns(width) * max(1, height // LEAST_HEIGHT))


def grid(count: int, width: int, height: int) -> list[Region]:
    """Regions of ``count`` panes with one cell between columns and a title row in each.

    Panes that would be smaller than is useful are left out: the caller shows what has a region.
    """
    if count <= 0 or width <= 0 or height <= 0:
        return []
    most_columns = _most_columns(width)
    most_rows = max(1, height // LEAST_HEIGHT)
    if count > most_columns * most_rows:
        most_rows = max(1, height // LEAST_ROWS)
    count = min(count, most_columns * most_rows)
    fitting = (columns for columns in range(1, most_columns + 1) if math.ceil(count / columns) <= most_rows)
    columns = min(fitting, key=lambda columns: _strangeness(count, columns, width, height))
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


def _most_columns(width: int) -> int:
    return max(1, (width + 1) // (LEAST_WIDTH + 1))


def _strangeness(count: int, columns: int, width: int, height: int) -> float:
    """How far the panes are from a shape that reads well."""
    wide, tall = (width + 1) / columns - 1, height / math.ceil(count / columns)
    return abs(math.log(wide / tall / SHAPE)) + (wide > LONG_LINE) * 0.5
