"""How much there is to review, for the header: counted in the background, a page at a time, and kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from time import monotonic
from typing import Final

from apollo_tui.feed import Feed
from apollo_tui.reviewing import Reviewing
from apollo_tui.state import BoardState
from sessions.errors import ApolloError
from sessions.fold.review import KINDS
from sessions.log.events import Event
from sessions.log.states import ENDED

SHARE: Final = 0.1
"""The share of the time that reading takes: what is looked at and typed comes first."""
REST_S: Final = 1.0
"""Longest pause after one page, and least time between two counts."""
LONG_EVENTS: Final = 4_000
"""A session with more events is counted once the queue was opened: until then the number is said to be a part."""
RETRY_S: Final = 30.0
"""Until a log that could not be read is tried again."""


class Counting:
    """Counts while ``run`` runs. ``say`` is called when the number has changed."""

    def __init__(self, feed: Feed, state: BoardState, reviewing: Reviewing, clock: Callable[[], int]) -> None:
        self._feed = feed
        self._state = state
        self._reviewing = reviewing
        self._clock = clock
        self._due: dict[str, None] = {}
        self._counts: dict[str, int] = {}
        self._woken = asyncio.Event()

    def note(self, events: Iterable[Event]) -> None:
        """What happened may have changed the number."""
        self._add(dict.fromkeys(event.session for event in events if event.kind in KINDS))

    def everything(self) -> None:
        """The queue was read: long sessions cost nothing more to count."""
        self._add(list(self._state.sessions))

    async def run(self, say: Callable[[], None], *, rest: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Count all sessions, the newest first, then again whatever changes; does not return."""
        newest = sorted(self._state.sessions.values(), key=lambda now: -now.summary.last_id)
        self._add([now.summary.session for now in newest])
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._due:
                session = next(iter(self._due))
                del self._due[session]
                try:
                    await self._count(session, rest)
                except ApolloError:
                    self._due[session] = None
                    await rest(RETRY_S)
                self._tell(say)
            await rest(REST_S)

    def _add(self, sessions: Collection[str]) -> None:
        self._due |= dict.fromkeys(sessions)
        if self._due:
            self._woken.set()

    async def _count(self, session: str, rest: Callable[[float], Awaitable[None]]) -> None:
        known = self._state.sessions.get(session)
        if known is None or (known.summary.last_seq > LONG_EVENTS and not self._reviewing.open):
            return
        count = None
        while count is None:
            began = monotonic()
            page = partial(self._reviewing.count_page, summary=known.summary, now=self._clock())
            count = await self._feed.work(page)
            await rest(min(REST_S, (monotonic() - began) / SHARE))
        self._counts[session] = count
        if known.summary.state in ENDED:
            self._reviewing.forget(session)

    def _tell(self, say: Callable[[], None]) -> None:
        sessions = self._state.sessions
        number = sum(count for session, count in self._counts.items() if not sessions[session].summary.archived)
        told = (number, any(session not in self._counts for session in sessions))
        if told != (self._state.to_review, self._state.counting):
            self._state.to_review, self._state.counting = told
            say()
