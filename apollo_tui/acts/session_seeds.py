"""What the app reads of each session beside its summary: of those that somebody looks at, as they come into sight.

A log may hold a thousand sessions, and to read the newest events of all of them takes seconds of a core. What was
judged is few, and is read of all at once: the header counts it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from apollo_tui.backend.feed import Feed
from apollo_tui.state.board import BoardState, Change
from apollo_tui.state.to_judge import KINDS
from apollo_tui.state.transcript_pages import read_seed
from sessions.errors import ApolloError
from sessions.log.reader import LogReader

ALL_AT_ONCE: Final = 40
"""Of so many sessions all are read when the app has started."""
TOGETHER: Final = 8
BOOKMARKED: Final = "bookmark.set"
RETRY_S: Final = 2.0
"""Until a log that could not be read is tried again."""


class SessionSeeds:
    """Reads seeds of sessions into the state; ``tell`` is called with what is new there."""

    def __init__(self, feed: Feed, state: BoardState) -> None:
        self._feed = feed
        self._state = state
        self.tell: Callable[[Change], None] = lambda _: None
        self._due: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._reading = asyncio.Lock()

    def want(self, sessions: Iterable[str]) -> None:
        """Have these sessions read, before others, as far as they are not yet."""
        known = self._state.sessions
        missing = [one for one in sessions if one in known and not known[one].loaded]
        if missing:
            self._due = dict.fromkeys([*missing, *self._due])
            self._woken.set()

    async def begin(self, shown: Iterable[str]) -> None:
        """Read what was judged, then the sessions that are shown; all of them where they are few."""
        judged = await self._feed.read(lambda reader: LogReader.of_kinds(reader, KINDS | {BOOKMARKED}))
        self._state.learn_judgement(judged)
        self.tell(Change())
        newest = sorted(self._state.sessions.values(), key=lambda now: -now.summary.last_id)
        if len(newest) <= ALL_AT_ONCE:
            self.want(now.summary.session for now in newest)
        self.want(dict.fromkeys(event.session for event in judged if event.kind == BOOKMARKED))
        self.want(shown)
        await self._read_due()

    async def follow(self) -> None:
        """Read what is wanted from now on; does not return."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._read_due()
            except ApolloError:
                await asyncio.sleep(RETRY_S)
                self._woken.set()

    async def ensure(self, session: str) -> None:
        """Read the session now, if it was not. Raises LogError."""
        if await self._read(session):
            self._tell_of([session])

    async def _read_due(self) -> None:
        """A few sessions are told of together: what is told is painted."""
        read: list[str] = []
        while self._due:
            session = next(iter(self._due))
            if await self._read(session):
                read.append(session)
            self._due.pop(session, None)
            if len(read) == TOGETHER or not self._due:
                self._tell_of(read)
                read = []

    async def _read(self, session: str) -> bool:
        async with self._reading:
            now = self._state.sessions.get(session)
            if now is None or now.loaded:
                return False
            seed = await self._feed.read(partial(read_seed, session=session, actor=self._feed.actor))
            self._state.seed(session, seed.window, seed.flags, seed.read, seed.unread, seed.queued, seed.asked)
            return True

    def _tell_of(self, sessions: Collection[str]) -> None:
        if sessions:
            self.tell(Change(sessions=set(sessions), entries={session: set() for session in sessions}))
