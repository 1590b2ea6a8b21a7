"""The list of sessions: two rows each, numbers for life. Rows change places only when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from widgets import cells
from widgets.glyphs import age, sparkline, state_mark
from widgets.moves import MOVES
from widgets.paint import Painter, spread
from widgets.rows import SELECTED
from widgets.views import Line, Role, SessionView

ROWS: Final = 2


class SessionList(Painter, can_focus=True):
    """All sessions, one of them selected by its id."""

    BINDINGS = MOVES
    DEFAULT_CSS = "SessionList { width: 28; height: 1fr; }"

    class Highlighted(Message):
        """A person moved to another session."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    class Chosen(Message):
        """A person opened a session."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._views: dict[str, SessionView] = {}
        self._order: list[str] = []
        self._selected = ""
        self._top = 0
        self._marked: frozenset[str] = frozenset()

    def update(self, views: Sequence[SessionView]) -> None:
        """New facts. Sessions keep their rows; new ones come last, so that nothing moves under the cursor."""
        given = {view.id: view for view in views}
        order = [one for one in self._order if one in given]
        order += [view.id for view in sorted(views, key=lambda view: view.number) if view.id not in self._views]
        before, self._views = self._views, given
        if order != self._order:
            self._order = order
            if self._selected not in given:
                self._selected = order[0] if order else ""
            self._into_view()
            self.refresh()
            return
        for at, one in enumerate(order):
            if before.get(one) != given[one]:
                self._repaint(at)

    def reorder(self, ids: Sequence[str]) -> None:
        """Put the rows into this order; the cursor stays on its session."""
        known = [one for one in ids if one in self._views]
        self._order = known + [one for one in self._order if one not in known]
        self._into_view()
        self.refresh()

    def mark(self, sessions: frozenset[str]) -> None:
        """Mark sessions that are chosen for something (an export, the same advice)."""
        self._marked = sessions
        self.refresh()

    @property
    def selected(self) -> str:
        """The id of the selected session, "" if there is none."""
        return self._selected

    @property
    def order(self) -> tuple[str, ...]:
        """The ids in the order of the rows."""
        return tuple(self._order)

    def select(self, session: str) -> None:
        """Select a session without a message."""
        if session in self._views and session != self._selected:
            old, self._selected = self._selected, session
            moved = self._into_view()
            if moved:
                self.refresh()
            else:
                for one in (old, session):
                    if one in self._order:
                        self._repaint(self._order.index(one))

    def action_move(self, by: int) -> None:
        """To the next or the previous session."""
        if not self._order:
            return
        at = self._order.index(self._selected) if self._selected in self._order else 0
        at = max(0, min(len(self._order) - 1, at + by))
        if self._order[at] != self._selected:
            self.select(self._order[at])
            self.post_message(self.Highlighted(self._selected))

    def action_page(self, by: int) -> None:
        """A page further."""
        self.action_move(by * max(1, self.size.height // ROWS - 1))

    def action_to_start(self) -> None:
        """To the first row."""
        self.action_move(-len(self._order))

    def action_to_end(self) -> None:
        """To the last row."""
        self.action_move(len(self._order))

    def action_open(self) -> None:
        """Open the selected session."""
        if self._selected:
            self.post_message(self.Chosen(self._selected))

    def on_click(self, event: events.Click) -> None:
        """Select the session under the pointer."""
        at = self._top + event.y // ROWS
        if at < len(self._order):
            self.select(self._order[at])
            self.post_message(self.Highlighted(self._selected))

    def on_resize(self) -> None:
        """Keep the selected session in sight."""
        self._into_view()

    def row(self, y: int) -> Line:
        """The first row says which and how, the second why it stands out or what it does."""
        at, second = self._top + y // ROWS, y % ROWS
        if at >= len(self._order):
            return ()
        view = self._views[self._order[at]]
        return self._second(view) if second else self._first(view)

    def render_line(self, y: int) -> Strip:
        """One row, with the rule that parts the list from what stands beside it."""
        width = max(0, self.size.width - 1)
        row = self.strip(self.row(y), width, selected=self.row_selected(y))
        return Strip([*row, Segment("│", self.style_of("rule"))], self.size.width)

    def row_selected(self, y: int) -> bool:
        """Whether row ``y`` belongs to the selected session."""
        at = self._top + y // ROWS
        return at < len(self._order) and self._order[at] == self._selected

    def _first(self, view: SessionView) -> Line:
        here = view.id == self._selected
        state = state_mark(view.state, view.state_words)
        role: Role = "strong" if here else "text"
        mark: Line = ((SELECTED if here else " ", "accent"), ("!" if _urgent(view) else " ", "need"))
        chosen = (("+", "accent"),) if view.id in self._marked else ()
        return spread(
            (*mark, (f"{view.number} {view.title}", role), *chosen), ((state.text, state.role),), self.size.width - 2
        )

    def _second(self, view: SessionView) -> Line:
        width = self.size.width - 2
        if view.why:
            role: Role = "need" if _urgent(view) else "text"
            return (("    ", "text"), *cells.crop_line(((view.why, role),), max(0, width - 4)))
        facts = [f"{view.unread} unread"] if view.unread else []
        facts += [f"⚑{view.flags}"] if view.flags else []
        facts += [age(view.age_ms)] if view.age_ms >= 60_000 and width >= 34 else []
        right: Line = ((" ".join(facts), "dim"),) if facts else ()
        if view.activity and width >= 34:
            right = ((sparkline(view.activity, 8) + " ", "dim"), *right)
        said: Line = ((view.last_line or f"step {view.step}", "dim"),)
        room = width - 4 - cells.line_width(right) - 1
        return spread((("    ", "text"), *cells.crop_line(said, max(0, room))), right, width)

    def _repaint(self, at: int) -> None:
        y = (at - self._top) * ROWS
        if 0 <= y < self.size.height:
            self.repaint_row(y)
            self.repaint_row(y + 1)

    def _into_view(self) -> bool:
        fits = max(1, self.size.height // ROWS)
        before = self._top
        if self._selected in self._order:
            at = self._order.index(self._selected)
            self._top = max(at - fits + 1, min(self._top, at))
        self._top = max(0, min(self._top, len(self._order) - 1))
        return self._top != before


def _urgent(view: SessionView) -> bool:
    """Whether the session wants a person before anybody happens to look."""
    return view.needs_you or bool(view.why and not view.can_wait)
