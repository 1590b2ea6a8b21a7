"""One action, whole: call, arguments, changes, output with what the model did not see, flags and advice near it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import BindingType
from textual.widget import Widget
from textual.worker import Worker

from apollo_tui import keys
from apollo_tui.context import AppContext, ToSession
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.composer import DraftComposer
from apollo_tui.screens.document_search import DocumentSearch
from apollo_tui.state.action_details import EntryDetails, read_details
from apollo_tui.state.action_layout import details_rows
from apollo_tui.state.board import Change
from sessions import events as ev
from sessions.log.reader import LogReader
from widgets.composer import Composer
from widgets.document import Document
from widgets.entries import entry_of
from widgets.models import Entry, TextRow

ACTIONS = ("action.started", "action.refused")


class ActionScreen(ApolloScreen):
    """The entry at ``seq`` of a session."""

    place: ClassVar[keys.Place] = "action"
    BINDINGS: ClassVar[list[BindingType]] = list(keys.bindings("action"))

    def __init__(self, context: AppContext, session: str, seq: int) -> None:
        super().__init__(context)
        self.composer = self._composer = DraftComposer(self)
        self.document = Document(id="document")
        self._session = session
        self._seq = seq
        self._entry: Entry | None = None
        self._finder = DocumentSearch(self, self.document)
        self._written = False
        """Whether it stands there as it was written, and not rendered."""
        self._shows: list[ev.SeqRange] = []
        self._going: Worker[None] | None = None
        """Reads what was gone to."""

    def compose_body(self) -> Iterable[Widget]:
        """The text, then the composer."""
        yield self.document
        yield self.composer

    @property
    def session(self) -> str | None:
        """The session of the action."""
        return self._session

    def title_text(self) -> str:
        """The title names session and action."""
        target = self._entry.target if self._entry is not None else ""
        return f"{self.context.name(self._session)}  {target}"

    def subject(self) -> tuple[str, Entry] | None:
        """The action on screen."""
        return (self._session, self._entry) if self._entry is not None else None

    async def selected_entry(self) -> tuple[str, int] | None:
        """Advice is about the action on screen."""
        return self._session, self._seq

    def in_sight(self) -> dict[str, int]:
        """The entry on screen."""
        return {self._session: self._seq}

    def on_mount(self) -> None:
        """Read it."""
        self.refocus()
        self._load(keep_place=False)

    @property
    def opening(self) -> bool:
        """Until the entry that was gone to is read: a verdict is not on the one before it."""
        return super().opening or (self._going is not None and not self._going.is_finished)

    def _load(self, *, keep_place: bool) -> None:
        self._going = self.run_worker(self._read(keep_place=keep_place), group="load", exclusive=True)

    async def _read(self, *, keep_place: bool) -> None:
        session, seq = asked = (self._session, self._seq)
        labels = self.context.labels
        held = self.context.state.sessions.get(session)
        tools = held.summary.tools if held is not None else {}

        written = self._written

        def ask(reader: LogReader) -> tuple[EntryDetails, list[TextRow]] | None:
            whole = read_details(reader, session, seq)
            return (whole, details_rows(whole, labels, tools, written=written)) if whole is not None else None

        await self.context.seeds.ensure(session)
        found = await self.context.feed.work(ask)
        if found is None or asked != (self._session, self._seq):
            return
        whole, rows = found
        if whole.anchor.kind in ev.ANCHORS:
            self._entry = entry_of(whole.anchor, whole.related, tools=tools)
        self.document.set_rows(rows, keep_place=keep_place)
        if not keep_place:
            self._finder.search_again()
        self._shows = [ev.SeqRange(one, one) for one in sorted({whole.reply_seq or seq, seq})]
        if self.counts_as_read:
            for part in self._shows:
                self.context.state.read_marks.select(self._session, part, self.context.clock())
        self._stale = True

    @property
    def counts_as_read(self) -> bool:
        """Whether looking at this means that it was read."""
        return True

    def take_change(self, change: Change) -> None:
        """A result, a flag, a file: read again what may have changed."""
        super().take_change(change)
        mine = [event for event in change.events if event.session == self._session]
        step = self._entry.step if self._entry is not None else None
        judged = any(event.kind.startswith(("flag.", "correction.", "job.ended")) for event in mine)
        if judged or any(event.step == step for event in mine):
            self._load(keep_place=True)

    def tick(self, now: int) -> None:
        """What stands here for a second is read."""
        super().tick(now)
        if self.app.screen is self and self.counts_as_read:
            self.context.state.read_marks.show(self._session, self._shows, now)

    # --- moving -----------------------------------------------------------------------------------------------------

    def go_to(self, session: str, *, remember: bool = False) -> None:
        """Another session: its own screen takes this one's place."""
        self.keep_draft()
        self.apollo.open(ToSession(session, instead=True))

    def show_entry(self, session: str, seq: int) -> None:
        """The transcript of that session takes this screen's place, at the entry."""
        self.keep_draft()
        self.apollo.open(ToSession(session, seq or None, came_from=[(self._session, self._seq)], instead=True))

    def attend(self, session: str, seq: int) -> None:
        """Go there."""
        self.keep_draft()
        back = [(self._session, self._seq)]
        self.apollo.open(ToSession(session, seq or None, came_from=back, instead=True, judge=True))

    def step_action(self, by: int) -> None:
        """The action after this one, or the one before."""
        self._going = self.run_worker(self._step(by), group="step", exclusive=True)

    async def _step(self, by: int) -> None:
        seq = self._seq

        def ask(reader: LogReader) -> list[ev.Event]:
            if by > 0:
                return reader.events(self._session, kinds=ACTIONS, after=seq, limit=1)
            return reader.events(self._session, kinds=ACTIONS, before=seq, limit=1, newest_first=True)

        found = await self.context.feed.read(ask)
        if not found:
            self.say("this is the last action" if by > 0 else "this is the first action")
            return
        self._seq = found[0].seq
        self._load(keep_place=False)

    def step_pane(self, by: int) -> None:
        """The next action, as on other screens the next pane."""
        self.step_action(by)

    def on_composer_scroll_session(self, message: Composer.ScrollSession) -> None:
        """Scroll the text from within the composer."""
        self.document.action_page(message.pages)

    def refocus(self) -> None:
        """After the composer."""
        self.set_focus(self.document)

    def toggle_written(self) -> None:
        """As it was written, with all arguments, or rendered again."""
        self._written = not self._written
        self._load(keep_place=False)
        self.say("as it was written, all arguments" if self._written else "rendered")

    # --- search -----------------------------------------------------------------------------------------------------

    def search(self) -> None:
        """Search in the text."""
        self._finder.ask()

    def step_match(self, by: int) -> None:
        """The next line with a match, or the one before."""
        self._finder.step(by)
