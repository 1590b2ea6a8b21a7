"""The row over the board that says that not all sessions are shown, and which ones are."""

from __future__ import annotations

import msgspec

from widgets.models import Line, Span
from widgets.paint import Painter, spread
from widgets.sanitise import clean_line


class FilterView(msgspec.Struct, frozen=True):
    """The words of a filter, how many sessions it shows and how many there are, how many that are marked it does not
    show, and of how many it cannot tell yet."""

    words: str = ""
    shown: int = 0
    known: int = 0
    marked_out: int = 0
    unknown: int = 0


class FilterLine(Painter):
    """One row while a filter is set, none else."""

    DEFAULT_CSS = """
    FilterLine { height: 1; display: none; background: $boost; }
    FilterLine.-shown { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._view = FilterView()

    def update(self, view: FilterView) -> None:
        """Say this; without words, nothing."""
        if view != self._view:
            self._view = view
            self.set_class(bool(view.words), "-shown")
            self.refresh()

    def row(self, y: int) -> Line:
        """``only state:paused   3 of 12 sessions · 1 marked is out of sight     esc shows all``."""
        view = self._view
        said = f"  {view.shown} of {view.known} sessions"
        left: list[Span] = [(" only ", "dim"), (clean_line(view.words, 80), "accent"), (said, "strong")]
        if view.unknown:
            left.append((f" · {view.unknown} not looked up yet", "dim"))
        if view.marked_out:
            verb = "is" if view.marked_out == 1 else "are"
            left.append((f" · {view.marked_out} marked {verb} out of sight", "need"))
        return spread(tuple(left), (("esc shows all ", "dim"),), self.size.width)
