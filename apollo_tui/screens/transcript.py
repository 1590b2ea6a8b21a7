"""Finding one's way in a long transcript: search, trails of places, the outline and other filters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import Desk
from apollo_tui.screens.view import Verbs
from apollo_tui.state.filters import WORDS, EntryFilter, Filter, entry_at, read_filter_events
from apollo_tui.state.transcript_pages import find_entries
from sessions import events as ev
from widgets.models import Anchor, Choice
from widgets.transcript import Transcript

if TYPE_CHECKING:
    from apollo_tui.screens.ports import Trail

KEYS: Final[dict[Filter, str]] = {
    "all": "a", "outline": "o", "flagged": "f", "errors": "e", "unread": "u", "no polls": "p",
}  # fmt: skip


class Finding(Verbs):
    """Over a transcript."""

    def __init__(self, desk: Desk, trail: Trail | None = None) -> None:
        super().__init__(desk)
        self.transcript = Transcript(id="transcript")
        self._trail = trail
        self._matches: list[int] = []
        self._pattern = ""
        self._shown: EntryFilter | None = None

    def step_to(self, seqs: Sequence[int], by: int) -> bool:
        """To the next or the previous of these entries; False if there is none in that direction."""
        raise NotImplementedError

    # --- search and trails ------------------------------------------------------------------------------------------

    def begin_trail(self) -> None:
        """The index is known: the trail's events become entries."""
        if self._trail is not None:
            name, places = self._trail
            seqs = [anchor.seq for anchor in self.transcript.anchors]
            found = {at for place in places if (at := entry_at(seqs, place)) is not None}
            self._matches = sorted(found)
            if len(found) > 1:
                self.say(f"{name}: n next, N before, esc back")

    def action_search(self) -> None:
        """Search the whole session."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        def chosen(text: str | None) -> None:
            if text is not None:
                self.act(self._search(text))

        last = self.desk.searches[-1] if self.desk.searches else ""
        self.app.push_screen(LinePrompt("/", "text; lower case finds both", last), chosen)

    async def _search(self, text: str) -> str:
        session = self.session or ""
        self._pattern, self._trail = text, None
        self.transcript.highlight(text)
        if not text:
            self._matches = []
            return "search ended"
        self.desk.searches.append(text)
        self._matches = await self.desk.feed.work(lambda reader: find_entries(reader, session, text))
        if not self._matches:
            raise NotDone(f"{text}: not found in this session")
        if not self.step_to(self._matches, 1):
            self.step_to(self._matches, -1)
        return f"{len(self._matches)} entries hold {text} · n next, N before"

    def action_next_match(self) -> None:
        """The next match or place of the trail, or the next unread entry."""
        self._step_match(1)

    def action_previous_match(self) -> None:
        """The match or place before, or the unread entry before."""
        self._step_match(-1)

    def _step_match(self, by: int) -> None:
        if self._pattern or self._trail:
            seqs, word = self._matches, "match" if self._pattern else "place"
        else:
            seqs, word = list(self.desk.state.unread_seqs(self.session or "")), "unread entry"
        if not self.step_to(seqs, by):
            self.say(f"no {word} in that direction")

    # --- filters ----------------------------------------------------------------------------------------------------

    @property
    def filtered(self) -> str:
        """The filter that is on, "" for none."""
        return self._shown.which if self._shown is not None else ""

    def action_outline(self) -> None:
        """The outline, or everything again."""
        outlined = self._shown is not None and self._shown.which == "outline"
        self.show_only("all" if outlined else "outline")

    def action_filter(self) -> None:
        """Choose what is shown."""
        from apollo_tui.screens.panels.base import ChoicePanel

        def chosen(which: str | None) -> None:
            for known in WORDS:
                if known == which:
                    self.show_only(known)

        rows = [Choice(which, f"{which:<10} {words}", KEYS[which]) for which, words in WORDS.items()]
        self.app.push_screen(ChoicePanel("what is shown", rows, "a letter or enter shows it · esc leaves it"), chosen)

    def show_only(self, which: Filter) -> None:
        """Show what a filter keeps; the place stays as near as it can."""
        self.act(self._filter(which))

    async def _filter(self, which: Filter) -> str:
        session = self.session or ""
        self._stale = True
        if which == "all":
            self._shown = None
            self.transcript.keep(None)
            return "everything is shown"
        events = await self.desk.feed.work(partial(read_filter_events, session=session, which=which))
        unread = list(self.desk.state.unread_seqs(session))
        shown = EntryFilter(which, self.transcript.anchors, unread)
        shown.take(events)
        kept = sum(map(shown, self.transcript.anchors))
        if not kept:
            raise NotDone(f"nothing here is {which}")
        self._shown, self._stale = shown, True
        self.transcript.keep(shown, routine=which != "no polls")
        total = len(self.transcript.anchors)
        return f"{which}: {kept} of {total} entries · {'O' if which == 'outline' else 'w a'} shows everything"

    def filter_more(self, anchors: Sequence[Anchor], events: Sequence[ev.Event]) -> None:
        """What came meanwhile; the transcript is told only if older entries are concerned."""
        if self._shown is not None:
            self._shown.append(anchors)
            if self._shown.take(events):
                self.transcript.keep(self._shown, routine=self._shown.which != "no polls")
