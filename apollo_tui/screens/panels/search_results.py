"""``s``: a search over all sessions, and its results: enter opens the session there, ``n`` leads to the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import ToSession
from apollo_tui.screens.panels.base import PanelScreen
from sessions.log.reader import LogReader
from sessions.queries.search import Hit, SearchResult, search_all
from sessions.queries.search_query import parse_query
from widgets.glyphs import age
from widgets.models import Choice
from widgets.picker import ChoiceList

if TYPE_CHECKING:
    from apollo_tui.context import View

LIMIT: Final = 200
SLICE_S: Final = 1.5
"""So long the index may be built before the first results are shown."""


class SearchResultsPanel(PanelScreen[Hit]):
    """The results, newest first."""

    def __init__(self, text: str, found: SearchResult, now: int) -> None:
        self._hits = found.hits
        rows = [
            Choice(
                str(index),
                f"{hit.step or ''}{f'.{hit.call}' if hit.call else '':<3} {hit.text}",
                note=age(max(0, now - hit.at)),
                group=f"{hit.address} {hit.title}",
            )
            for index, hit in enumerate(found.hits)
        ]
        count = f"the newest {len(rows)}" if found.more else str(len(rows))
        later = f" · {found.left:,} older events are being read: search again" if found.left else ""
        super().__init__(f"{text}: {count} found{later}", rows, "enter opens it there · esc closes")

    def on_choice_list_picked(self, message: ChoiceList.Picked) -> None:
        """Open it."""
        self.dismiss(self._hits[int(message.choice.id)])


def slice_of(seconds: float) -> Callable[[int], bool]:
    """Lets an index be built for so long."""
    end = monotonic() + seconds
    return lambda _: monotonic() < end


async def search_sessions(view: View, text: str) -> str:
    """Search all sessions, and show what was found. Raises NotDone where nothing was."""
    context = view.context
    query = parse_query(text)
    context.searches.append(text)
    folder = context.feed.paths.folder

    def ask(reader: LogReader) -> SearchResult:
        return search_all(reader, folder, query, limit=LIMIT, go_on=slice_of(SLICE_S))

    found = await context.feed.work(ask)
    if found.left:
        view.apollo.run_worker(_go_on(view, text), group="index", exclusive=True)
    if not found.hits:
        later = " so far: older events are being read" if found.left else ""
        inside = f"; `*{query.words[0]}` looks inside words too" if len(query.words) == 1 and not query.phrases else ""
        raise NotDone(f"{text}: nothing found{later}{inside}")

    def take(hit: Hit | None) -> None:
        if hit is not None:
            view.keep_draft()
            trail = (text, seqs_of(found.hits, hit.session))
            view.apollo.open(ToSession(hit.session, hit.seq, trail=trail))

    if view.typing:
        raise NotDone("leave the text field first")
    view.ask(SearchResultsPanel(text, found, context.clock()), take)
    return ""


async def _go_on(view: View, text: str) -> None:
    """Read the rest in slices, so that other long reads have their turn."""
    context = view.context
    query = parse_query(text)
    while True:
        step = partial(search_all, folder=context.feed.paths.folder, query=query, limit=1, go_on=slice_of(SLICE_S))
        found = await context.feed.work(step)
        if not found.left:
            view.apollo.say("all sessions can be searched now")
            return


def seqs_of(hits: Sequence[Hit], session: str) -> list[int]:
    """Where the hits of one session are."""
    return sorted({hit.seq for hit in hits if hit.session == session})
