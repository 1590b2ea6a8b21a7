"""The list of sessions: two rows each, three where there is room, numbers for life.

Rows change places only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from sessions.events.session import NOT_CONTAINED
from sessions.events.states import ENDED
from sessions.fold.summary import Summary
from widgets import cells
from widgets.glyphs import STATES, age, duration, sparkline, state_mark
from widgets.models import Line, Role, SessionView
from widgets.paint import MOVES, Painter, spread
from widgets.rows import SELECTED
from widgets.sanitise import clean_line

ROWS: Final = 2
ROOMY_ROWS: Final = 3
"""Rows of a session where all have so many: what stands out takes two of them."""
ONE_LINE: Final = 60
"""Cells from which on what stands out fits one row."""
WIDE: Final = 34
"""Cells from which on counts have company."""
INDENT: Final = 4


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
        self._digits = 1
        """Cells of the longest number."""

    def update(self, views: Sequence[SessionView]) -> None:
        """New facts. Sessions keep their rows; new ones come last, so that nothing moves under the cursor."""
        given = {view.id: view for view in views}
        order = [one for one in self._order if one in given]
        order += [view.id for view in sorted(views, key=lambda view: view.number) if view.id not in self._views]
        before, self._views = self._views, given
        digits, self._digits = self._digits, max((len(str(view.number)) for view in views), default=1)
        if order != self._order or digits != self._digits:
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
        self.action_move(by * max(1, self._fits - 1))

    def action_to_start(self) -> None:
        self.action_move(-len(self._order))

    def action_to_end(self) -> None:
        self.action_move(len(self._order))

    def action_open(self) -> None:
        if self._selected:
            self.post_message(self.Chosen(self._selected))

    def on_click(self, event: events.Click) -> None:
        """Select the session under the pointer."""
        at = self._at(event.y)
        if at is not None:
            self.select(self._order[at])
            self.post_message(self.Highlighted(self._selected))

    def on_resize(self) -> None:
        """Keep the selected session in sight."""
        self._into_view()

    @property
    def _tall(self) -> int:
        """Rows of a session."""
        roomy = len(self._order) * ROOMY_ROWS <= self.size.height and self.size.width < ONE_LINE
        return ROOMY_ROWS if roomy else ROWS

    @property
    def _fits(self) -> int:
        """How many sessions are in sight; where some are not, the last row says so."""
        height = self.size.height
        return max(1, height // self._tall if len(self._order) * self._tall <= height else (height - 1) // self._tall)

    def _at(self, y: int) -> int | None:
        """The place of the session in row ``y``."""
        at = y // self._tall
        return self._top + at if at < self._fits and self._top + at < len(self._order) else None

    def row(self, y: int) -> Line:
        """The first row says which and how, the second why it stands out or what it does; a third goes on."""
        at = self._at(y)
        if at is None:
            return self._out_of_sight() if y == self.size.height - 1 else ()
        view = self._views[self._order[at]]
        return self._rows(view)[y % self._tall]

    def _rows(self, view: SessionView) -> list[Line]:
        if self._tall == ROWS:
            return [self._first(view), self._second(view)]
        width = self.size.width - 2
        role: Role = "dim" if not view.why else "need" if _urgent(view) else "text"
        first, *more = cells.wrap(clean_line(view.why), width - INDENT) if view.why else [self._last_line(view)]
        left: Line = ((" " * INDENT, "text"), (" ".join(more), role))
        facts = self._facts(view)
        fits = cells.line_width(left) + cells.line_width(facts) < width
        second: Line = ((" " * INDENT, "text"), (cells.crop(first, width - INDENT), role))
        # The reason is worth more than counts.
        return [self._first(view), second, spread(left, facts if fits else (), width)]

    def _out_of_sight(self) -> Line:
        """How many sessions are above and below, and how many of them want somebody."""
        above, below = self._order[: self._top], self._order[self._top + self._fits :]
        if not above and not below:
            return ()
        signs = [f"{sign} {len(ids)}" for sign, ids in (("↑", above), ("↓", below)) if ids]
        said = f" {' '.join(signs)}{' more' * (len(signs) == 1)}"
        urgent = sum(_urgent(self._views[one]) for one in (*above, *below))
        verb = "needs" if urgent == 1 else "need"
        return ((said, "accent"), *(((", ", "dim"), (f"! {urgent} {verb} you", "need")) if urgent else ()))

    def render_line(self, y: int) -> Strip:
        """One row, with the rule that parts the list from what stands beside it."""
        width = max(0, self.size.width - 1)
        row = self.strip(self.row(y), width, selected=self.row_selected(y))
        return Strip([*row, Segment("│", self.style_of("rule"))], self.size.width)

    def row_selected(self, y: int) -> bool:
        """Whether row ``y`` belongs to the selected session."""
        at = self._at(y)
        return at is not None and self._order[at] == self._selected

    def _first(self, view: SessionView) -> Line:
        here = view.id == self._selected
        state = state_mark(view.state, view.state_words)
        role: Role = "strong" if here else "text"
        mark: Line = ((SELECTED if here else " ", "accent"), ("!" if _urgent(view) else " ", "need"))
        chosen = (("+", "accent"),) if view.id in self._marked else ()
        return spread(
            (*mark, (f"{view.number:>{self._digits}} {view.title}", role), *chosen),
            ((state.text, state.role),),
            self.size.width - 2,
        )

    def _second(self, view: SessionView) -> Line:
        width = self.size.width - 2
        if view.why:
            role: Role = "need" if _urgent(view) else "text"
            return ((" " * INDENT, "text"), *cells.crop_line(((view.why, role),), max(0, width - INDENT)))
        facts = self._facts(view)
        room = max(0, width - INDENT - cells.line_width(facts) - 1)
        return spread(((" " * INDENT, "text"), *cells.crop_line(((self._last_line(view), "dim"),), room)), facts, width)

    @staticmethod
    def _last_line(view: SessionView) -> str:
        line = view.last_line or f"step {view.step}"
        return f"{view.begins} · {line}" if view.begins else line

    def _facts(self, view: SessionView) -> Line:
        """Counts of a session, how busy it was and how old its newest event is."""
        wide = self.size.width - 2 >= WIDE
        facts = [f"{view.unread} unread"] if view.unread else []
        facts += [f"⚑{view.flags}"] if view.flags else []
        facts += [age(view.age_ms)] if view.age_ms >= 60_000 and wide else []
        spark: Line = ((sparkline(view.activity, 8) + " ", "dim"),) if view.activity and wide else ()
        return (*spark, *(((" ".join(facts), "dim"),) if facts else ()))

    def _repaint(self, at: int) -> None:
        if 0 <= at - self._top < self._fits:
            for row in range(self._tall):
                self.repaint_row((at - self._top) * self._tall + row)
        else:
            self.repaint_row(self.size.height - 1)

    def _into_view(self) -> bool:
        fits = self._fits
        before = self._top
        if self._selected in self._order:
            at = self._order.index(self._selected)
            self._top = max(at - fits + 1, min(self._top, at))
        self._top = max(0, min(self._top, len(self._order) - fits))
        return self._top != before


def _urgent(view: SessionView) -> bool:
    """Whether the session wants a person before anybody happens to look."""
    return view.needs_you or bool(view.why and not view.can_wait)


def session_view(
    summary: Summary,
    now: int,
    *,
    unread: int = 0,
    why: str = "",
    can_wait: bool = False,
    activity: tuple[int, ...] = (),
) -> SessionView:
    """``summary`` as of ``now`` (Unix ms). ``why`` is the reason of a signal; a need of its own comes first."""
    needs = summary.state in ("needs_you", "failed")
    reason = clean_line(summary.open_question or summary.reason, 200) if needs else ""
    return SessionView(
        id=summary.session,
        number=summary.number,
        title=clean_line(summary.title, 80) or "untitled",
        state=summary.state,
        model=clean_line(summary.model, 80),
        state_words=_words(summary, now),
        step=summary.step,
        active_ms=summary.active_now(now),
        age_ms=max(0, now - summary.last_at) if summary.has_times else 0,
        has_times=summary.has_times,
        context_tokens=summary.context_tokens,
        context_limit=summary.context_limit,
        tokens=summary.input_tokens + summary.output_tokens,
        cost=summary.cost,
        unpriced=summary.unpriced,
        unread=unread,
        why=reason or clean_line(why, 200),
        can_wait=can_wait and not needs,
        needs_you=needs,
        last_line=clean_line(summary.last_line, 200),
        pending=summary.pending,
        flags=summary.flags,
        activity=activity,
        sign_off=summary.sign_off,
        not_contained=summary.contained == NOT_CONTAINED and summary.state not in ENDED,
    )


def _words(summary: Summary, now: int) -> str:
    if summary.state == "on_job" and summary.on_job is not None:
        return f"on job {summary.on_job}"
    if summary.state == "sleeping" and summary.until is not None:
        return f"sleeping {duration(max(60_000, summary.until - now))}"
    if summary.pending and summary.state not in ENDED:
        return f"{STATES[summary.state].word}, {'pausing' if summary.pending == 'pause' else 'stopping'}"
    return ""
