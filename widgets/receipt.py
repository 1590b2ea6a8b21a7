"""What just happened, in place of toasts: it takes no focus and no key, and as many rows as its words need."""

from __future__ import annotations

from typing import Final, Literal

from textual import events

from widgets import cells
from widgets.paint import Painter
from widgets.sanitise import clean_line
from widgets.views import Line, Role

Level = Literal["info", "done", "warning", "error"]

MOST: Final = 3
"""Rows; a refusal ends with what to do about it, which must not be cut."""
INDENT: Final = 3
KEPT: Final = 600
"""Characters of a receipt that are shown at most."""

_MARKS: dict[Level, tuple[str, Role]] = {
    "info": ("·", "dim"),
    "done": ("✓", "text"),
    "warning": ("!", "need"),
    "error": ("✗", "need"),
}


class ReceiptLine(Painter):
    """The newest receipt stays until the next one, or until the app clears it. One row, more for long words only."""

    DEFAULT_CSS = "ReceiptLine { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._text = ""
        self._level: Level = "info"
        self._rows: list[str] = []

    def show(self, text: str, level: Level = "info") -> None:
        """Say ``text``; it may hold foreign words, so it is cleaned."""
        text = clean_line(text, KEPT)
        if (text, level) != (self._text, self._level):
            self._text, self._level = text, level
            self._wrap(self.size.width)
            self.refresh()

    def clear(self) -> None:
        """Say nothing."""
        self.show("")

    @property
    def text(self) -> str:
        """What it says."""
        return self._text

    def on_resize(self, event: events.Resize) -> None:
        """Other words fit into a row."""
        self._wrap(event.size.width)

    def row(self, y: int) -> Line:
        """Mark and text; the text goes on below itself."""
        if not self._text or y >= len(self._rows):
            return ()
        glyph, role = _MARKS[self._level]
        mark = f" {glyph} " if y == 0 else " " * INDENT
        return ((mark, role), (self._rows[y], "text" if role == "dim" else role))

    def _wrap(self, width: int) -> None:
        room = max(1, width - INDENT)
        rows = cells.wrap(self._text, room) if self._text and width else [self._text]
        if len(rows) > MOST:
            rows[MOST - 1 :] = [cells.crop(" ".join(rows[MOST - 1 :]), room)]
        self._rows = rows
        height = max(1, len(rows))
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
