"""Two sessions of one task side by side, from where they part; one key says which is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from textual.binding import BindingType
from textual.widget import Widget

from apollo_tui import keys
from apollo_tui.acts.preferences import EQUAL, state_preference
from apollo_tui.backend.feed import NotDone
from apollo_tui.context import AppContext, ToSession, View
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.document_search import DocumentSearch
from apollo_tui.state.board import Change
from apollo_tui.state.comparison import ComparedSession, Comparison, compare, pair_rows, read_steps
from sessions import events as ev
from sessions.fold.preferences import Preference, can_compare, standing_preferences
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader
from widgets.document import Document
from widgets.models import Choice, PairRow
from widgets.side_by_side import side_by_side

KIND: Final = frozenset({"preference.stated"})
LETTERS: Final = "acdefhilmnoprstuvwxyz"
"""The keys of choices: none that moves in a list or closes it."""


class CompareScreen(ApolloScreen):
    """Sessions ``one`` (left) and ``other`` (right)."""

    place: ClassVar[keys.Place] = "compare"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("compare"))

    def __init__(self, context: AppContext, one: str, other: str) -> None:
        super().__init__(context)
        self.document = Document(id="document")
        self._pair = (one, other)
        self._right = False
        """Whether ``enter`` opens the step at the right."""
        self._found: Comparison | None = None
        self._words: list[Preference] = []
        self._rows: list[PairRow] = []
        self._places: list[int] = []
        """Of which row each line of the document is."""
        self._finder = DocumentSearch(self, self.document)
        self._width = 0

    def compose_body(self) -> Iterable[Widget]:
        """One text with two columns."""
        yield self.document

    @property
    def session(self) -> str | None:
        """The session that ``enter`` opens."""
        return self._pair[self._right]

    def title_text(self) -> str:
        """Both, and which one enter opens."""
        left, right = (self.context.name(session) for session in self._pair)
        return f"compare {left} (left) with {right} (right)"

    def on_mount(self) -> None:
        """Read both."""
        super().on_mount()
        self.set_focus(self.document)
        self.run_worker(self._read(), group="load", exclusive=True)

    def on_resize(self) -> None:
        """Other columns."""
        if self._found is not None and self._width != self.app.size.width:
            self._lay_out(keep_place=True)

    async def _read(self) -> None:
        state = self.context.state
        summaries = [state.sessions[session].summary for session in self._pair]

        def ask(reader: LogReader) -> tuple[Comparison, list[Preference]]:
            sides = [_read_side(reader, summary) for summary in summaries]
            said = [event for one in self._pair for event in reader.events(one, kinds=KIND)]
            return compare(*sides), standing_preferences(said)

        again = self._found is not None
        self._found, self._words = await self.context.feed.work(ask)
        self._lay_out(keep_place=again)

    def _lay_out(self, *, keep_place: bool) -> None:
        if self._found is None:
            return
        self._width = self.app.size.width
        self._rows = pair_rows(self._found, self._words, self.context.clock())
        lines = side_by_side(self._rows, self._width - 1)
        self._places = [place for _, place in lines]
        self.document.set_lines([line for line, _ in lines], keep_place=keep_place)
        self._stale = True

    def take_change(self, change: Change) -> None:
        """A step or a word more: read again."""
        super().take_change(change)
        if self._found is not None and any(event.session in self._pair and _is_shown(event) for event in change.events):
            self.run_worker(self._read(), group="load", exclusive=True)

    # --- saying which is better ---------------------------------------------------------------------------------------

    def prefer(self, verdict: str) -> None:
        """``left``, ``right`` or ``equal``; said again it asks why."""
        better = {"left": self._pair[0], "right": self._pair[1]}.get(verdict, EQUAL)
        standing = self._own_word()
        if standing is not None and _side_of(standing) == better:
            self._ask_why(better, standing.note)
        else:
            self.act(self._state(better, ""))

    def _own_word(self) -> Preference | None:
        own = [word for word in self._words if word.by == self.context.state.actor]
        return next((word for word in own if {word.better, word.worse} == set(self._pair)), None)

    def _ask_why(self, better: str, before: str) -> None:
        from apollo_tui.screens.panels.prompt import LinePrompt

        def take(text: str | None) -> None:
            if text is not None and text.strip() != before:
                self.act(self._state(better, text.strip()))

        self.ask(LinePrompt("why", "colleagues and the export read it, the agents do not", before), take)

    async def _state(self, better: str, note: str) -> str:
        said = await state_preference(self.context.feed, self.context.state, *self._pair, better, note)
        await self._read()
        return said if note else f"{said} · again says why"

    def undo_word(self) -> None:
        """Take the last word of preference back."""
        self.act(self._undo())

    async def _undo(self) -> str:
        history = self.context.undo
        act = await history.act_to_undo()
        if act is None or not isinstance(act.event.body, ev.PreferenceStated):
            raise NotDone("your last act was no word on two sessions: u in a session undoes it")
        receipt = await history.undo(act, lambda *_: None)
        await self._read()
        return receipt

    # --- moving and finding -------------------------------------------------------------------------------------------

    def on_document_opened(self, message: Document.Opened) -> None:
        """The step under the cursor, in its session."""
        row = self._rows[self._places[message.line]] if message.line < len(self._places) else PairRow()
        self.apollo.open(ToSession(self._pair[self._right], (row.left_seq, row.right_seq)[self._right] or None))

    def step_pane(self, by: int) -> None:
        """The other side."""
        self._right = not self._right
        self.say(f"enter opens the {('left', 'right')[self._right]} one: {self.context.name(self._pair[self._right])}")
        self._stale = True

    def search(self) -> None:
        """Search in both."""
        self._finder.ask()

    def step_match(self, by: int) -> None:
        """The next line with a match, or the one before."""
        self._finder.step(by)


def _read_side(reader: LogReader, summary: Summary) -> ComparedSession:
    steps, more = read_steps(reader.stream(summary.session), summary.tools)
    return ComparedSession(summary, tuple(steps), more)


def _is_shown(event: ev.Event) -> bool:
    """Whether it changes what stands here: a reply, a result, a score, a word."""
    return event.kind in ("model.reply", "action.result", "action.refused", "eval.scored", *KIND)


def _side_of(word: Preference) -> str:
    return EQUAL if word.equal else word.better


# --- the way in -------------------------------------------------------------------------------------------------------


def compare_sessions(view: View) -> None:
    """The two that are marked, the marked one and this, or this and one that is chosen of its task."""
    from apollo_tui.context import ToCompare

    context = view.context
    sessions = context.state.sessions
    marked = sorted(context.marked & sessions.keys(), key=lambda id: sessions[id].summary.number)
    here = view.session
    pair = marked if len(marked) == 2 else [*marked, here] if len(marked) == 1 and here not in (None, *marked) else None
    if pair is not None:
        one, other = (sessions[id or ""].summary for id in pair)
        if can_compare(one, other):
            view.apollo.open(ToCompare(one.session, other.session))
        else:
            view.say(f"{context.name(one.session)} and {context.name(other.session)} are not of one task", "warning")
        return
    if here is None:
        return
    mine = sessions[here].summary
    others = [now.summary for now in sessions.values() if can_compare(mine, now.summary)]
    if not others:
        view.say(f"no other session is of the task of {context.name(here)}", "warning")
    elif len(others) == 1:
        view.apollo.open(ToCompare(here, others[0].session))
    else:
        _choose(view, here, sorted(others, key=lambda summary: summary.number))


def _choose(view: View, here: str, others: list[Summary]) -> None:
    from apollo_tui.context import ToCompare
    from apollo_tui.screens.panels.base import ChoicePanel
    from apollo_tui.state.comparison import best_score
    from widgets.glyphs import state_mark

    def stand(summary: Summary) -> str:
        best = best_score(summary)
        score = f"best {best:g}" if best is not None else "no score"
        return f"{state_mark(summary.state).text} · step {summary.step:,} · {score}"

    def take(chosen: str | None) -> None:
        if chosen:
            view.apollo.open(ToCompare(here, chosen))

    choices = [
        Choice(one.session, f"{one.address} {one.title}", LETTERS[at] if at < len(LETTERS) else "", note=stand(one))
        for at, one in enumerate(others)
    ]
    title = f"compare {view.context.name(here)} with"
    view.ask(ChoicePanel(title, choices, "a letter or enter opens both · esc closes"), take)
