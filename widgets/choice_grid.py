"""Choices side by side in columns, each with its own key: many in little height. One line says what one means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual import events

from widgets import cells
from widgets.models import Choice, Line, Span
from widgets.picker import KEY_CELLS, ChoiceList
from widgets.rows import SELECTED
from widgets.sanitise import clean_line

LEAD: Final = len(SELECTED) + KEY_CELLS
GAP: Final = 2
"""Cells between two columns."""
SAID_MOST: Final = 2
"""Rows that say the choice at the cursor, at most."""


def columns_of(choices: Sequence[Choice], width: int) -> list[list[Choice]]:
    """The choices from top to bottom, then from left to right, in as many columns as fit with every name whole."""
    best = [list(choices)] if choices else []
    for rows in range(len(choices) - 1, 0, -1):
        columns = [list(choices[at : at + rows]) for at in range(0, len(choices), rows)]
        if sum(map(_width_of, columns)) + GAP * (len(columns) - 1) > width:
            break
        best = columns
    return best


def _width_of(column: Sequence[Choice]) -> int:
    return LEAD + max(cells.width(clean_line(choice.text)) for choice in column)


def _said(choice: Choice, width: int) -> list[str]:
    """What a choice means, in the rows that it may take."""
    room = max(8, width - 2)
    rows = cells.wrap(clean_line(choice.note), room) or [""]
    return [*rows[: SAID_MOST - 1], cells.crop(" ".join(rows[SAID_MOST - 1 :]), room)][: max(1, len(rows))]


class ChoiceGrid(ChoiceList):
    """A ``ChoiceList`` in columns: a choice's ``text`` is its name, its ``note`` is said below for the one at the
    cursor. Groups have no headings; their members stand together."""

    DEFAULT_CSS = "ChoiceGrid { width: 1fr; height: 1fr; }"

    def rows_in(self, width: int) -> int:
        """Rows that all choices take in ``width`` cells, with that of the note."""
        columns = columns_of(self._choices, width)
        return (len(columns[0]) if columns else 1) + self._said_rows(width)

    def row(self, y: int) -> Line:
        """One choice of each column; last, what the one at the cursor means."""
        shown = self._shown_rows
        if y >= shown:
            here = self.highlighted
            said = _said(here, self.size.width) if here is not None else ["nothing is called that"]
            return ((f" {said[y - shown]}", "dim"),) if y - shown < len(said) else ()
        columns = self._columns
        spans: list[Span] = []
        for column in columns:
            room = _width_of(column) + GAP
            at = self._top + y
            spans += self._cell(column[at], room) if at < len(column) else [(" " * room, "text")]
        return cells.crop_line(tuple(spans), self.size.width)

    def row_selected(self, y: int) -> bool:
        """The cursor is on one cell, which has a mark; the row is as the others."""
        return False

    def action_page(self, by: int) -> None:
        """To the next column, or the one before."""
        self._go(self._at + by * max(1, self._rows))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the choice under the pointer."""
        x = event.x
        for column in self._columns:
            room = _width_of(column) + GAP
            at = self._top + event.y
            if x < room and at < len(column) and event.y < self._shown_rows:
                self.highlight(column[at].id)
            if x < room:
                return
            x -= room

    @property
    def _shown_rows(self) -> int:
        return self.size.height - self._said_rows(self.size.width)

    def _said_rows(self, width: int) -> int:
        return max((len(_said(choice, width)) for choice in self._choices), default=1)

    @property
    def _columns(self) -> list[list[Choice]]:
        return columns_of(self._choices, self.size.width)

    @property
    def _rows(self) -> int:
        columns = self._columns
        return len(columns[0]) if columns else 0

    def _cell(self, choice: Choice, room: int) -> list[Span]:
        here = choice is self.highlighted
        name = cells.pad(clean_line(choice.text), room - LEAD)
        return [
            (SELECTED if here else " ", "accent"),
            (cells.pad(choice.key, KEY_CELLS), "strong"),
            (name, "strong" if here else "text"),
        ]

    def _lay_out(self) -> None:
        self._foot = 0
        self._into_view()

    def _into_view(self) -> None:
        shown, rows = self._shown_rows, self._rows
        if not rows or shown <= 0:
            return
        at = self._at % rows
        self._top = max(at - shown + 1, min(self._top, at, max(0, rows - shown)), 0)
