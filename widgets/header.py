"""The first line of the app: who needs you first, then counts; trouble with link or log only when there is some."""

from __future__ import annotations

from typing import Final

from widgets import cells
from widgets.glyphs import money
from widgets.paint import Painter, spread
from widgets.sanitise import clean_line
from widgets.views import HeaderView, Line, Span

LEAST_NEED: Final = 52
"""Cells that who needs you gets before any count."""


class TitleBar(Painter):
    """One row, always visible."""

    DEFAULT_CSS = "TitleBar { height: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._view = HeaderView()

    def update(self, view: HeaderView) -> None:
        """Show these counts; nothing is painted if they are the same."""
        if view != self._view:
            self._view = view
            self.refresh()

    def row(self, y: int) -> Line:
        """``Apollo   4 sessions · 1 needs you: tune-lr killed a healthy job (2 min)      unread 212 · $0.84``."""
        view = self._view
        left: list[Span] = [(" Apollo ", "accent")]
        if view.place:
            left.append((f" {clean_line(view.place, 120)} ", "strong"))
        said = "no session" if not view.sessions else f"{view.sessions} session{'s' * (view.sessions != 1)}"
        left.append((f" {said}", "dim"))
        room = self.size.width - cells.line_width(tuple(left)) - 3
        trouble: list[Span] = [("  ", "text"), (clean_line(view.trouble), "need")] if view.trouble else []
        unread = f"unread {view.unread}" if view.unread else ""
        review = f"to review {view.to_review}{'+' if view.counting else ''}" if view.to_review else ""
        counts = [text for text in (unread, review, money(view.cost), clean_line(view.who, 40)) if text]
        needs = bool(view.need_you or view.can_wait)
        # What is wrong or needs you says more than counts do: the last ones go first.
        least = cells.line_width(tuple(trouble)) + (
            min(LEAST_NEED, cells.width(self._need(view, LEAST_NEED)[0])) if needs else 0
        )
        while counts and cells.width(" · ".join(counts)) + 2 + least > room:
            counts.pop()
        right: Line = ((" · ".join(counts) + " ", "dim"),) if counts else ()
        if needs:
            taken = cells.line_width(right) + cells.line_width(tuple(trouble))
            left += [(" · ", "dim"), self._need(view, room - taken)]
        return spread((*left, *trouble), right, self.size.width)

    def _need(self, view: HeaderView, room: int) -> Span:
        """How many, and the first one's reason and age; the reason gives way."""
        verb = "needs" if view.need_you == 1 else "need"
        said = f"! {view.need_you} {verb} you" if view.need_you else f"{view.can_wait} to look at"
        age = f" ({clean_line(view.first_age, 20)})" if view.first_age else ""
        if view.first_need:
            left = max(8, room - cells.width(said) - cells.width(age) - 2)
            said = f"{said}: {cells.crop(clean_line(view.first_need), left)}{age}"
        return said, "need" if view.need_you else "text"
