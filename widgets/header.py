"""The first line of the app: who needs you first, then counts; trouble with link or log only when there is some."""

from __future__ import annotations

from widgets import cells
from widgets.glyphs import money
from widgets.paint import Painter, spread
from widgets.sanitise import clean_line
from widgets.views import HeaderView, Line, Span


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
        if view.need_you or view.can_wait:
            left += [(" · ", "dim"), self._need(view, self.size.width - cells.line_width(tuple(left)) - 3)]
        if view.trouble:
            left += [("  ", "text"), (clean_line(view.trouble), "need")]
        unread = f"unread {view.unread}" if view.unread else ""
        review = f"to review {view.to_review}{'+' if view.counting else ''}" if view.to_review else ""
        counts = [unread, review, money(view.cost), clean_line(view.who, 40)]
        right: Line = ((" · ".join(text for text in counts if text) + " ", "dim"),)
        if cells.line_width(tuple(left)) + cells.line_width(right) >= self.size.width:
            # What needs you says more than counts do.
            right = ()
        return spread(tuple(left), right, self.size.width)

    def _need(self, view: HeaderView, room: int) -> Span:
        """How many, and the first one's reason and age; the reason gives way."""
        verb = "needs" if view.need_you == 1 else "need"
        said = f"! {view.need_you} {verb} you" if view.need_you else f"{view.can_wait} to look at"
        age = f" ({clean_line(view.first_age, 20)})" if view.first_age else ""
        if view.first_need:
            left = max(8, room - cells.width(said) - cells.width(age) - 2)
            said = f"{said}: {cells.crop(clean_line(view.first_need), left)}{age}"
        return said, "need" if view.need_you else "text"
