"""One line that says what just happened, in place of toasts: it takes no focus, no key and no room from anything."""

from __future__ import annotations

from typing import Literal

from widgets.paint import Painter
from widgets.sanitise import clean_line
from widgets.views import Line, Role

Level = Literal["info", "done", "warning", "error"]

_MARKS: dict[Level, tuple[str, Role]] = {
    "info": ("·", "dim"),
    "done": ("✓", "text"),
    "warning": ("!", "need"),
    "error": ("✗", "need"),
}


class ReceiptLine(Painter):
    """The newest receipt stays until the next one, or until the app clears it."""

    DEFAULT_CSS = "ReceiptLine { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._text = ""
        self._level: Level = "info"

    def show(self, text: str, level: Level = "info") -> None:
        """Say ``text``; it may hold foreign words, so it is cleaned."""
        text = clean_line(text)
        if (text, level) != (self._text, self._level):
            self._text, self._level = text, level
            self.refresh()

    def clear(self) -> None:
        """Say nothing."""
        self.show("")

    @property
    def text(self) -> str:
        """What it says."""
        return self._text

    def row(self, y: int) -> Line:
        """Mark and text."""
        if not self._text:
            return ()
        glyph, role = _MARKS[self._level]
        return ((f" {glyph} ", role), (self._text, "text" if role == "dim" else role))
