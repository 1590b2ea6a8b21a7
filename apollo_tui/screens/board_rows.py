"""Which sessions the board shows and in which order: filter, order and groups, as somebody asked for them last."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from apollo_tui import keys
from apollo_tui.context import AppContext
from apollo_tui.state.board_filter import BoardFilter, FoundSessions, SessionFacts, parse_filter, say_unknown
from apollo_tui.state.board_order import WORDS, Order, group_by_task, group_words, next_order, sort_sessions
from sessions.fold.summary import Summary
from widgets.filter_line import FilterLine, FilterView
from widgets.models import SessionView
from widgets.session_list import SessionList


class BoardRows:
    """The rows of the list. They change places, or go, when somebody asks for it, and never by themselves."""

    def __init__(self, context: AppContext, listing: SessionList) -> None:
        self.context = context
        self.line = FilterLine(id="board-filter")
        self._listing = listing
        self._found = FoundSessions()
        self._order: Order = "number"
        self._grouped = False
        self.settled = True
        """Whether the filter is what somebody wants, and not a word that is still being typed."""
        self._placed: list[str] | None = None
        """All sessions, in the order that was asked for; None: by number."""

    # --- what is shown ----------------------------------------------------------------------------------------------

    @property
    def filter(self) -> BoardFilter:
        """The filter that is set; without words, none is."""
        return self._found.filter

    def sessions(self) -> list[str]:
        """The sessions that are shown, by number."""
        return self._found.keep(self._candidates(self._found.filter))

    def roots(self) -> list[str]:
        """Those that have no row above them that started them."""
        shown = self.sessions()
        known, families = set(shown), self.context.state.families
        return [session for session in shown if families.parent(session) not in known]

    def root_of(self, session: str, roots: Collection[str]) -> str:
        """The one of these that the session is, or that it is below; "" if there is none."""
        while session and session not in roots:
            session = self.context.state.families.parent(session)
        return session

    def why_none(self) -> str:
        """Why no session is shown, and what helps."""
        if self._found:
            return f"{self._found.filter.text}: no session is that"
        new, only = (keys.key_name(id, self.context.config.keys) for id in ("new", "only"))
        if self.context.state.sessions:
            return f"all sessions are archived: {only} and the word archived shows them, {new} creates one"
        return f"no session yet: press {new} to create one"

    def marked(self) -> list[str]:
        """The marked sessions that are shown: nobody acts on what is out of sight."""
        marked = self.context.marked
        # The footer asks ten times a second, of a log that may hold a thousand sessions.
        return [session for session in self.sessions() if session in marked] if marked else []

    def marked_out(self) -> int:
        """How many marked sessions are out of sight."""
        return len(self.context.marked) - len(self.marked())

    def views(self, now: int) -> list[SessionView]:
        """The shown sessions as of ``now``, by number; the first of a group says which it is."""
        state = self.context.state
        views = [state.view(session, now) for session in self.sessions()]
        if self._grouped:
            known = self._summaries()
            rows = [one for one in self._listing.order if one in known]
            words = group_words(rows, known, state.families)
            views = [msgspec.structs.replace(view, group=words.get(view.id, "")) for view in views]
        if not self.settled:
            return views  # the field that is typed into says what is shown
        if self._found:
            candidates = len(self._candidates(self._found.filter))
            text, unknown = self._found.filter.text, self.unknown()
            self.line.update(FilterView(text, len(views), candidates, self.marked_out(), unknown))
        else:
            self.line.update(FilterView())
        return views

    def unknown(self) -> int:
        """Of how many sessions the filter cannot say yet whether something is unread."""
        wanted, known = self._found.filter, self.context.state.sessions
        if not wanted.asks_unread:
            return 0
        return sum(not known[session].unread_known for session in self._candidates(wanted))

    def take(self, changed: Collection[str]) -> None:
        """Sessions changed: those that come to match the filter join what it shows."""
        if self._found:
            known = set(self._candidates(self._found.filter))
            self._found.look(self._facts(session) for session in changed if session in known)

    def _candidates(self, wanted: BoardFilter) -> list[str]:
        state = self.context.state
        return state.all_sessions() if wanted.archived else state.order()

    def _facts(self, session: str) -> SessionFacts:
        context = self.context
        return context.state.facts(session, context.clock(), marked=session in context.marked)

    def _summaries(self) -> dict[str, Summary]:
        return {id: now.summary for id, now in self.context.state.sessions.items()}

    # --- what somebody asks for -------------------------------------------------------------------------------------

    def facts(self, text: str) -> list[SessionFacts]:
        """What a filter that ``text`` says chooses from."""
        return [self._facts(session) for session in self._candidates(parse_filter(text))]

    def only(self, text: str) -> str:
        """Show the sessions that these words mean, as they are now; without words all of them. Returns the receipt."""
        self._found.ask(text, self.facts(text))
        if self._found.filter.asks_unread:
            self.context.seeds.want_unread(self._candidates(self._found.filter))
        if not self._found:
            return "all sessions are shown"
        count = len(self.sessions())
        of = len(self._candidates(self._found.filter))
        return f"only {self._found.filter.text}: {count} of {of} sessions{say_unknown(self.unknown())}"

    def show(self, now: int) -> None:
        """Give the list what is shown now, in its order."""
        self._listing.update(self.views(now))
        self._listing.reorder(self.placed())

    def placed(self) -> list[str]:
        """All sessions in the order that was asked for last; those that came since stand below."""
        by_number = self.context.state.all_sessions()
        if self._placed is None:
            return by_number
        known = set(self._placed)
        return self._placed + [session for session in by_number if session not in known]

    def turn_order(self, order: Order | None = None) -> str:
        """The next order, or this one; where others need somebody by now, the same anew."""
        stale = self._order == "need" and self._sort("need") != self._placed
        self._order = order or (self._order if stale else next_order(self._order))
        self._placed = None if self._order == "number" and not self._grouped else self._sort(self._order)
        following = WORDS[next_order(self._order)].partition(",")[0]
        again = keys.key_name("by_attention", self.context.config.keys)
        return f"by {WORDS[self._order]} · {again} again: by {following}"

    def toggle_groups(self) -> str:
        """Sessions of one task together, or as they were."""
        self._grouped = not self._grouped
        self._placed = None if self._order == "number" and not self._grouped else self._sort(self._order)
        return "sessions of one task stand together" if self._grouped else f"by {WORDS[self._order]}, without groups"

    def _sort(self, order: Order) -> list[str]:
        state, known = self.context.state, self._summaries()
        needing: list[str] = []
        if order == "need":
            ranked = state.attention.rank(state.summaries(), self.context.clock())
            needing = [signal.session for signal in ranked]
        found = sort_sessions(order, known, state.families, needing)
        return group_by_task(found, known, state.families) if self._grouped else found
