"""The list of sessions: two rows each, three where there is room, numbers for life. Sub-agents stand below the session
that started them, folded away until somebody asks for them.

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
from sessions.terminal_text import say_count
from widgets import cells
from widgets.glyphs import STATES, age, duration, sparkline, state_mark
from widgets.models import Line, Role, SessionView
from widgets.paint import MOVES, Painter, spread
from widgets.rows import SELECTED
from widgets.sanitise import clean_line
from widgets.tool_call_text import held_reply

ROWS: Final = 2
ROOMY_ROWS: Final = 3
"""Rows of a session where all have so many: what stands out takes two of them."""
ONE_LINE: Final = 60
"""Cells from which on what stands out fits one row."""
WIDE: Final = 34
"""Cells from which on counts have company."""
INDENT: Final = 4
LEAST_LINE: Final = 12
"""Cells below which what a session does last says nothing beside its sub-agents."""
HEADING: Final = -1
"""The row above a session that says what it and those below it have in common."""
BELOW: Final = 2
"""Cells that a sub-agent stands further right than the session that started it."""
MINUTE_MS: Final = 60_000
WIDTHS: Final = ((160, 34, 48), (100, 28, 36), (0, 26, 28))
"""Of a terminal from so many cells on: the least and the most cells of the list."""
BESIDE_TITLE: Final = 17
"""Cells of the first row beside number and title: marks, gaps, the rule, and a state such as ``◔ on job 3``."""
TELLING: Final = 2
"""A sparkline says something where its highest slot is so many times its lowest."""


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
        """All sessions, in the order of their rows."""
        self._shown: list[str] = []
        """Those that have a row: of sub-agents only the ones that are unfolded."""
        self._unfolded: set[str] = set()
        self._levels: dict[str, int] = {}
        """How many sessions each is below."""
        self._selected = ""
        self._top = 0
        self._marked: frozenset[str] = frozenset()
        self._digits = 1
        """Cells of the longest number."""
        self._laid_out_for = (0, 0)
        """The width and height for which these are the rows: a list may be painted before it hears of another size."""
        self._lines: list[tuple[int, int]] = []
        """What stands in each row from the top: the place of a session, and which of its rows; HEADING above it."""
        self._longest = 0
        """Cells that the widest first row takes; it only grows, so that panes move seldom."""

    @property
    def wanted_width(self) -> int:
        """Cells that the list needs for its names, within bounds."""
        width = self.app.size.width
        least, most = next((least, most) for cells_, least, most in WIDTHS if width >= cells_)
        return max(least, min(most, self._longest))

    def update(self, views: Sequence[SessionView]) -> None:
        """New facts. Sessions keep their rows; new ones come last, so that nothing moves under the cursor."""
        given = {view.id: view for view in views}
        order = [one for one in self._order if one in given]
        order += [view.id for view in sorted(views, key=lambda view: view.number) if view.id not in self._views]
        before, self._views = self._views, given
        for view in views:
            if view.id not in before or before[view.id].title != view.title:
                self._longest = max(self._longest, self._cells_of(view))
        digits, self._digits = self._digits, max((len(view.address) for view in views if not view.parent), default=1)
        self._order = order
        shown = self.rows_of(order)
        if shown != self._shown or digits != self._digits:
            if self._selected not in shown:
                self._selected = shown[0] if shown else ""
            self._show_rows(shown)
            return
        if any(one in before and before[one].group != given[one].group for one in shown):
            self._show_rows(shown)
            return
        for at, one in enumerate(shown):
            if before.get(one) != given[one]:
                self._repaint(at)

    def _cells_of(self, view: SessionView) -> int:
        below = BELOW if view.parent else 0
        return below + len(view.address) + cells.width(view.title) + BESIDE_TITLE

    def rows_of(self, ids: Sequence[str]) -> list[str]:
        """The sessions that have a row, in the order in which they stand if all are in this one."""
        below: dict[str, list[str]] = {}
        for one in ids:
            below.setdefault(self._parent_of(one), []).append(one)
        rows: list[str] = []
        self._add_rows(rows, below, "", 0)
        return rows

    def _add_rows(self, rows: list[str], below: dict[str, list[str]], parent: str, level: int) -> None:
        for one in below.get(parent, ()):
            rows.append(one)
            self._levels[one] = level
            if one in self._unfolded:
                self._add_rows(rows, below, one, level + 1)

    def _parent_of(self, session: str) -> str:
        parent = self._views[session].parent
        return parent if parent in self._views else ""

    def _show_rows(self, shown: list[str]) -> None:
        """Show these rows; that of the selected session stays where it is, if it can."""
        here = self._selected
        if here in self._shown and here in shown:
            self._top += shown.index(here) - self._shown.index(here)
        self._shown = shown
        self._into_view()
        self.refresh()

    def fold(self, session: str) -> tuple[str, bool]:
        """Show the sub-agents of a session, or of the one that started it, or fold them away. Returns that session and
        whether they are shown now; "" where there are none."""
        if session not in self._views:
            return "", False
        of = session if self._views[session].children else self._parent_of(session)
        if of:
            self._unfolded ^= {of}
            shown = self.rows_of(self._order)
            if self._selected not in shown:
                self._selected = of
                self.post_message(self.Highlighted(of))
            self._show_rows(shown)
        return of, of in self._unfolded

    def reorder(self, ids: Sequence[str]) -> None:
        """Put the rows into this order; the cursor stays on its session."""
        known = [one for one in ids if one in self._views]
        self._order = known + [one for one in self._order if one not in known]
        self._shown = self.rows_of(self._order)
        self._into_view()
        self.refresh()

    def mark(self, sessions: frozenset[str]) -> None:
        """Mark sessions that are chosen for something (an export, the same advice)."""
        self._marked = sessions
        self.refresh()

    def has(self, session: str) -> bool:
        """Whether the session is in the list, its row in sight or folded away."""
        return session in self._views

    @property
    def selected(self) -> str:
        """The id of the selected session, "" if there is none."""
        return self._selected

    @property
    def order(self) -> tuple[str, ...]:
        """The sessions that have a row, from the top."""
        return tuple(self._shown)

    @property
    def in_sight(self) -> tuple[str, ...]:
        """The sessions whose rows are on screen."""
        return tuple(self._shown[self._top : self._top + self._fits])

    def select(self, session: str) -> None:
        """Select a session without a message; a sub-agent that is folded away is shown with those beside it."""
        if session in self._views and session != self._selected:
            if session not in self._shown:
                parent = self._parent_of(session)
                while parent:
                    self._unfolded.add(parent)
                    parent = self._parent_of(parent)
                self._show_rows(self.rows_of(self._order))
            old, self._selected = self._selected, session
            moved = self._into_view()
            if moved:
                self.refresh()
            else:
                for one in (old, session):
                    if one in self._shown:
                        self._repaint(self._shown.index(one))

    def action_move(self, by: int) -> None:
        """To the next or the previous session."""
        if not self._shown:
            return
        at = self._shown.index(self._selected) if self._selected in self._shown else 0
        at = max(0, min(len(self._shown) - 1, at + by))
        if self._shown[at] != self._selected:
            self.select(self._shown[at])
            self.post_message(self.Highlighted(self._selected))

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self._fits - 1))

    def action_to_start(self) -> None:
        self.action_move(-len(self._shown))

    def action_to_end(self) -> None:
        self.action_move(len(self._shown))

    def action_open(self) -> None:
        if self._selected:
            self.post_message(self.Chosen(self._selected))

    def on_click(self, event: events.Click) -> None:
        """Select the session under the pointer."""
        at = self._at(event.y)
        if at is not None:
            self.select(self._shown[at])
            self.post_message(self.Highlighted(self._selected))

    def on_resize(self) -> None:
        """Keep the selected session in sight; other rows fit now."""
        self._into_view()
        self.refresh()

    @property
    def _tall(self) -> int:
        """Rows of a session."""
        rows = len(self._shown) * ROOMY_ROWS + self._headings
        return ROOMY_ROWS if rows <= self.size.height and self.size.width < ONE_LINE else ROWS

    @property
    def _headings(self) -> int:
        return sum(bool(self._views[one].group) for one in self._shown)

    @property
    def _fits(self) -> int:
        """How many sessions are in sight; where some are not, the last row says so."""
        return max(1, self._last_from(self._lines) - self._top + 1)

    @staticmethod
    def _last_from(lines: list[tuple[int, int]]) -> int:
        """The place of the last session of these rows."""
        return lines[-1][0] if lines else -1

    def _lines_from(self, top: int) -> list[tuple[int, int]]:
        """The rows where the session at ``top`` is the first."""
        tall, height = self._tall, self.size.height
        room = height if len(self._shown) * tall + self._headings <= height else height - 1
        lines: list[tuple[int, int]] = []
        for at in range(top, len(self._shown)):
            parts = [HEADING] if self._views[self._shown[at]].group else []
            parts += range(tall)
            if lines and len(lines) + len(parts) > room:
                break
            lines += [(at, part) for part in parts]
        return lines

    def _at(self, y: int) -> int | None:
        """The place of the session in row ``y``."""
        if self._laid_out_for != tuple(self.size):
            self._into_view()
        return self._lines[y][0] if y < len(self._lines) and self._lines[y][0] < len(self._shown) else None

    def row(self, y: int) -> Line:
        """The first row says which and how, the second why it stands out or what it does; a third goes on."""
        at = self._at(y)
        if at is None:
            return self._out_of_sight() if y == self.size.height - 1 else ()
        view, part = self._views[self._shown[at]], self._lines[y][1]
        return ((f" {clean_line(view.group)}", "strong"),) if part == HEADING else self._rows(view)[part]

    def _rows(self, view: SessionView) -> list[Line]:
        if self._tall == ROWS:
            return [self._first(view), self._second(view)]
        width, indent = self.size.width - 2, self._indent(view)
        role: Role = "dim" if not view.why else "need" if _urgent(view) else "text"
        room = width - cells.line_width(indent)
        first, *more = cells.wrap(clean_line(_beside_state(view)), room) if view.why else [self._last_line(view)]
        left: Line = (*indent, *(((" ".join(more), role),) if more else self._sub_agents(view)))
        facts = (*self._sub_agents(view, short=True), *self._facts(view)) if more else self._facts(view)
        fits = cells.line_width(left) + cells.line_width(facts) < width
        second: Line = (*indent, (cells.crop(first, room), role))
        # The reason is worth more than counts.
        return [self._first(view), second, spread(left, facts if fits else (), width)]

    def _indent(self, view: SessionView) -> Line:
        return ((" " * (INDENT + BELOW * self._levels.get(view.id, 0)), "text"),)

    def _sub_agents(self, view: SessionView, *, short: bool = False) -> Line:
        """How many sub-agents it has, a plus where they are folded away; ``short``: beside a reason of its own."""
        if not view.children:
            return ()
        sign = "" if view.id in self._unfolded else "+"
        if short:
            need = f" !{view.children_need}" if view.children_need else ""
            return ((f"{sign}{view.children}{need} ", "need" if need else "dim"),)
        said = sign + say_count(view.children, "sub-agent")
        if not view.children_need:
            return ((said, "dim"),)
        need = f", {view.children_need} need{'s' * (view.children_need == 1)} you"
        room = self.size.width - 2 - cells.line_width(self._indent(view))
        return ((said + need if cells.width(said + need) <= room else f"{sign}{view.children}{need}", "need"),)

    def _out_of_sight(self) -> Line:
        """How many sessions are above and below, and how many of them want somebody."""
        above, below = self._shown[: self._top], self._shown[self._top + self._fits :]
        if not above and not below:
            return ()
        signs = [f"{sign} {len(ids)}" for sign, ids in (("↑", above), ("↓", below)) if ids]
        said = f" {' '.join(signs)}{' more' * (len(signs) == 1)}"
        urgent = sum(self._count_urgent(self._views[one]) for one in (*above, *below))
        verb = "needs" if urgent == 1 else "need"
        return ((said, "accent"), *(((", ", "dim"), (f"! {urgent} {verb} you", "need")) if urgent else ()))

    def _count_urgent(self, view: SessionView) -> int:
        """How many sessions of its row want somebody: itself, and sub-agents that are folded away."""
        return _urgent(view) + (0 if view.id in self._unfolded else view.children_need)

    def render_line(self, y: int) -> Strip:
        """One row, with the rule that parts the list from what stands beside it."""
        width = max(0, self.size.width - 1)
        row = self.strip(self.row(y), width, selected=self.row_selected(y))
        return Strip([*row, Segment("│", self.style_of("rule"))], self.size.width)

    def row_selected(self, y: int) -> bool:
        """Whether row ``y`` belongs to the selected session."""
        at = self._at(y)
        return at is not None and self._shown[at] == self._selected and self._lines[y][1] != HEADING

    def _first(self, view: SessionView) -> Line:
        here = view.id == self._selected
        state = state_mark(view.state, view.state_words)
        role: Role = "strong" if here else "text"
        mark: Line = ((SELECTED if here else " ", "accent"), ("!" if self._count_urgent(view) else " ", "need"))
        chosen = (("+", "accent"),) if view.id in self._marked else ()
        below = " " * (BELOW * self._levels.get(view.id, 0))
        called = f"{below}{view.address}" if view.parent else f"{view.address:>{self._digits}}"
        return spread(
            (*mark, (f"{called} {view.title}", role), *chosen),
            ((state.text, state.role),),
            self.size.width - 2,
        )

    def _second(self, view: SessionView) -> Line:
        width, indent = self.size.width - 2, self._indent(view)
        room = width - cells.line_width(indent)
        if view.why:
            role: Role = "need" if _urgent(view) else "text"
            why = _beside_state(view)
            short = self._sub_agents(view, short=True)
            reason = cells.crop_line(((why, role),), max(0, room - cells.line_width(short) - bool(short)))
            return spread((*indent, *reason), short, width)
        facts, children = self._facts(view), self._sub_agents(view)
        if children and cells.line_width(children) + cells.line_width(facts) >= room:
            facts = ()
        said: Line = (*children, *(((" · ", "dim"),) if children else ()), (self._last_line(view), "dim"))
        free = max(0, room - cells.line_width(facts) - 1)
        if cells.line_width(children) + LEAST_LINE > free:
            said = children or said
        return spread((*indent, *cells.crop_line(said, free)), facts, width)

    @staticmethod
    def _last_line(view: SessionView) -> str:
        line = view.last_line or f"step {view.step}"
        return f"{view.begins} · {line}" if view.begins and not view.parent else line

    def _facts(self, view: SessionView) -> Line:
        """Counts of a session, how busy it was and how old its newest event is."""
        wide = self.size.width - 2 >= WIDE
        facts = [f"{view.unread} unread"] if view.unread else []
        facts += [f"⚑{view.flags}"] if view.flags else []
        facts += [age(view.age_ms)] if view.age_ms >= 60_000 and wide else []
        spark: Line = ((sparkline(view.activity, 8) + " ", "dim"),) if wide and _tells(view) else ()
        return (*spark, *(((" ".join(facts), "dim"),) if facts else ()))

    def _repaint(self, at: int) -> None:
        if 0 <= at - self._top < self._fits:
            for row, (place, _) in enumerate(self._lines):
                if place == at:
                    self.repaint_row(row)
        else:
            self.repaint_row(self.size.height - 1)

    def _into_view(self) -> bool:
        before = self._top
        if self._selected in self._shown:
            at = self._shown.index(self._selected)
            self._top = max(0, min(self._top, at), at - self.size.height // self._tall)
            while self._last_from(self._lines_from(self._top)) < at:
                self._top += 1
        self._top = max(0, min(self._top, len(self._shown) - 1))
        # No row stays blank as long as there is a session above.
        while self._top > 0 and self._last_from(self._lines_from(self._top - 1)) == len(self._shown) - 1:
            self._top -= 1
        self._lines = self._lines_from(self._top)
        self._laid_out_for = (self.size.width, self.size.height)
        return self._top != before


def _tells(view: SessionView) -> bool:
    """Whether how busy the session was says something: it goes on, and was not always as busy."""
    since = next((at for at, count in enumerate(view.activity) if count), len(view.activity))
    slots = view.activity[since:]
    return view.state not in ENDED and len(slots) > 1 and max(slots) >= TELLING * max(1, min(slots))


def _beside_state(view: SessionView) -> str:
    """Why it stands out, without the state that its first row says."""
    return view.why.removeprefix(f"{view.state}: ")


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
    if summary.holds_reply:  # what it would do is what one decides by: it comes first, for where room is short
        reason = clean_line(f"held: {held_reply(summary.reason, summary.tools)[1]}", 200)
    return SessionView(
        id=summary.session,
        number=summary.number,
        child_address=summary.child_address,
        title=clean_line(summary.title, 80) or "untitled",
        state=summary.state,
        model=clean_line(summary.model, 80),
        state_words=_words(summary, now),
        step=summary.step,
        active_ms=summary.active_now(now),
        age_ms=max(0, now - summary.last_at) if summary.has_times else 0,
        has_times=summary.has_times,
        context_tokens=summary.context_tokens,
        context_limit=0 if summary.harness else summary.context_limit,  # a harness shortens its context when it wants
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
        return f"sleeping {_sleep(summary.until - summary.state_at, summary.until - now)}"
    if summary.is_child and summary.answered and summary.state == "running":
        return "answered"
    if summary.pending and summary.state not in ENDED:
        return f"{STATES[summary.state].word}, {'pausing' if summary.pending == 'pause' else 'stopping'}"
    return ""


def _sleep(whole: int, left: int) -> str:
    """How long a session sleeps yet, in minutes; one that sleeps for less than one says for how long (ms)."""
    if whole < MINUTE_MS:
        return duration(whole)
    return duration(left) if left >= MINUTE_MS else "under 1 min"
