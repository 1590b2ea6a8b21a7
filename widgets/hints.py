"""The footer: at most seven keys that work here and now, each with a verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from widgets.paint import Painter
from widgets.views import Hint, Line, Span

MOST: Final = 8


class HintBar(Painter):
    """One row of hints."""

    DEFAULT_CSS = "HintBar { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._hints: tuple[Hint, ...] = ()

    def update(self, hints: Sequence[Hint]) -> None:
        """Show the first eight; ``?`` should be the last of them."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.refresh()

    def row(self, y: int) -> Line:
        """Those that fit, whole; the last one stays."""
        shown = list(self._hints[:MOST])
        while len(shown) > 1 and sum(len(h.key) + len(h.verb) + 3 for h in shown) > self.size.width:
            shown.pop(-2)
        line: list[Span] = []
        for hint in shown:
            line += [(" " if not line else "  ", "text"), (hint.key, "strong"), (f" {hint.verb}", "dim")]
        return tuple(line)
