"""Finding one's way in a long transcript: search and trails of places, the outline and other filters.

Both are parts of a screen with a transcript; what they ask of it is ``TranscriptView``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import View
from apollo_tui.state.filters import WORDS, EntryFilter, Filter, entry_at, read_filter_events
from apollo_tui.state.transcript_pages import find_entries
from sessions import events as ev
from widgets.models import Anchor, Choice
from widgets.transcript import Transcript

if TYPE_CHECKING:
    from apollo_tui.context import Trail

KEYS: Final[dict[Filter, str]] = {
    "all": "a", "outline": "o", "flagged": "f", "errors": "e", "unread": "u", "no polls": "p",
}  # fmt: skip


class TranscriptView(View, Protocol):
    """A view over the transcript of one session."""

    @property
    def transcript(self) -> Transcript:
        """The painter of the transcript."""
        ...

    def step_to(self, seqs: Sequence[int], by: int) -> bool:
        """To the next or the previous of these entries; False if there is none in that direction."""
        ...

    def invalidate(self) -> None:
        """Paint all at the next tick."""
        ...


class TranscriptSearch:
    """What ``n`` and ``N`` lead along: matches of a search, or the places of a trail, else what is unread."""

    def __init__(self, view: TranscriptView, session: str, trail: Trail | None) -> None:
        self._view = view
        self._session = session
        self._trail = trail
        self._pattern = ""
        self._places: list[int] = []

    def begin_trail(self) -> None:
        """The index is known: the trail's events become entries."""
        if self._trail is not None:
            name, places = self._trail
            seqs = [anchor.seq for anchor in self._view.transcript.anchors]
            self._places = sorted({at for place in places if (at := entry_at(seqs, place)) is not None})
            if len(self._places) > 1:
                self._view.say(f"{name}: n next, N before, esc back")

    def ask(self) -> None:
        """Ask for a text, and search the whole session."""
        from apollo_tui.screens.panels.prompt import LinePrompt

        def take(text: str | None) -> None:
            if text is not None:
                self._view.act(self._search(text), opens=True)

        searches = self._view.context.searches
        self._view.ask(LinePrompt("/", "text; lower case finds both", searches[-1] if searches else ""), take)

    async def _search(self, text: str) -> str:
        view, session = self._view, self._session
        self._pattern, self._trail = text, None
        view.transcript.highlight(text)
        if not text:
            self._places = []
            return "search ended"
        view.context.searches.append(text)
        self._places = await view.context.feed.work(lambda reader: find_entries(reader, session, text))
        if not self._places:
            raise NotDone(f"{text}: not found in this session")
        if not view.step_to(self._places, 1):
            view.step_to(self._places, -1)
        return f"{len(self._places)} entries hold {text} · n next, N before"

    def step(self, by: int) -> None:
        """To the next match, place or unread entry, or to the one before."""
        if self._pattern or self._trail:
            seqs, word = self._places, "match" if self._pattern else "place"
        else:
            seqs, word = list(self._view.context.state.unread_seqs(self._session)), "unread entry"
        if not self._view.step_to(seqs, by):
            self._view.say(f"no {word} in that direction")


class TranscriptFilter:
    """Which entries are shown: all, the outline, the flagged ones, …"""

    def __init__(self, view: TranscriptView, session: str) -> None:
        self._view = view
        self._session = session
        self._shown: EntryFilter | None = None

    @property
    def name(self) -> str:
        """The filter that is on, "" for none."""
        return self._shown.which if self._shown is not None else ""

    def toggle_outline(self) -> None:
        """The outline, or everything again."""
        self._apply("all" if self.name == "outline" else "outline")

    def choose(self) -> None:
        """Choose what is shown."""
        from apollo_tui.screens.panels.base import ChoicePanel

        def take(which: str | None) -> None:
            for known in WORDS:
                if known == which:
                    self._apply(known)

        rows = [Choice(which, f"{which:<10} {words}", KEYS[which]) for which, words in WORDS.items()]
        self._view.ask(ChoicePanel("what is shown", rows, "a letter or enter shows it · esc leaves it"), take)

    def _apply(self, which: Filter) -> None:
        """Show what the filter keeps; the place stays as near as it can."""
        self._view.act(self._show(which), opens=True)

    async def _show(self, which: Filter) -> str:
        view, transcript = self._view, self._view.transcript
        view.invalidate()
        if which == "all":
            self._shown = None
            transcript.keep(None)
            return "everything is shown"
        state = view.context.state
        summary = state.sessions[self._session].summary
        tools, foreign = summary.tools, bool(summary.tools) or summary.origin in ("import", "replay")
        ask = partial(read_filter_events, session=self._session, which=which, foreign=foreign)
        events = await view.context.feed.work(ask)
        shown = EntryFilter(which, transcript.anchors, list(state.unread_seqs(self._session)), tools, foreign)
        shown.take(events)
        kept = sum(map(shown, transcript.anchors))
        if not kept:
            raise NotDone(f"nothing here is {which}")
        self._shown = shown
        view.invalidate()
        transcript.keep(shown, routine=which != "no polls")
        total = len(transcript.anchors)
        return f"{which}: {kept} of {total} entries · {'O' if which == 'outline' else 'w a'} shows everything"

    def take(self, anchors: Sequence[Anchor], events: Sequence[ev.Event]) -> None:
        """What came meanwhile; the transcript is told only if older entries are concerned."""
        if self._shown is not None:
            self._shown.append(anchors)
            if self._shown.take(events):
                self._view.transcript.keep(self._shown, routine=self._shown.which != "no polls")
