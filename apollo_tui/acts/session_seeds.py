"""What the app reads of each session beside its summary: of those that somebody looks at, as they come into sight.

A log may hold a thousand sessions, and to read the newest events of all of them takes seconds of a core. What was
judged, and who spoke of which session, is few, and is read of all at once: the header counts the one, filters ask for
the other. What is unread is read of all only where a filter asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from apollo_tui.backend.feed import Feed
from apollo_tui.state.board import BoardState, Change
from apollo_tui.state.to_judge import KINDS
from apollo_tui.state.transcript_pages import read_people, read_seed, read_unread_of
from sessions.errors import ApolloError
from sessions.log.reader import LogReader

ALL_AT_ONCE: Final = 40
"""Of so many sessions all are read when the app has started."""
TOGETHER: Final = 8
UNREAD_TOGETHER: Final = 50
"""Of so many sessions it is read at once what is unread: sessions that come into sight wait no longer than that."""
BOOKMARKED: Final = "bookmark.set"
RETRY_S: Final = 2.0
"""Until a log that could not be read is tried again."""


class SessionSeeds:
    """Reads seeds of sessions into the state. ``tell`` is called with what is new there, ``complain`` with why nothing
    can be read, once."""

    def __init__(self, feed: Feed, state: BoardState) -> None:
        self._feed = feed
        self._state = state
        self.tell: Callable[[Change], None] = lambda _: None
        self.complain: Callable[[Exception], None] = lambda _: None
        self.begun = asyncio.Event()
        """What was judged is known, and the sessions that were wanted then are read, as far as they can be."""
        self._knows_judgement = False
        self._knows_people = False
        self._due: dict[str, None] = {}
        self._failed: set[str] = set()
        """Those that could not be read: they are tried again after all others, however often they are wanted."""
        self._unread_due: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._reading = asyncio.Lock()

    def want(self, sessions: Iterable[str]) -> None:
        """Have these sessions read, before others, as far as they are not yet."""
        missing = [one for one in self._missing(sessions) if one not in self._failed]
        if missing:
            self._due = dict.fromkeys([*missing, *self._due])
            self._woken.set()

    def want_unread(self, sessions: Iterable[str]) -> None:
        """Have it read what of these sessions is unread, as far as it is not known; nothing else of them is."""
        missing = self._without_unread(sessions)
        if missing:
            self._unread_due.update(dict.fromkeys(missing))
            self._woken.set()

    def begin(self, shown: Iterable[str]) -> None:
        """Have all read that is needed at first: the sessions that are shown before others, all where they are few."""
        newest = sorted(self._state.sessions.values(), key=lambda now: -now.summary.last_id)
        if len(newest) <= ALL_AT_ONCE:
            self.want(now.summary.session for now in newest)
        self.want(shown)
        self._woken.set()

    async def follow(self) -> None:
        """Read what is wanted, from the beginning on; does not return. What cannot be read is tried again and again,
        and holds up nothing else."""
        said = ""
        left = False
        while True:
            try:
                async with asyncio.timeout(RETRY_S if left else None):
                    await self._woken.wait()
            except TimeoutError:
                if self._due.keys() <= self._failed:
                    self._failed.clear()  # all others are read
            self._woken.clear()
            problem = await self._read_wanted()
            if problem is None:
                said = said if self._failed else ""
            elif str(problem) != said:
                said = str(problem)
                self.complain(problem)
            if self._knows_judgement:
                self.begun.set()
            left = problem is not None or bool(self._due)

    async def ensure(self, session: str) -> None:
        """Read the session now, if it was not. Raises LogError."""
        if await self._read(session):
            self._tell_of([session])

    async def read_unread(self, sessions: Collection[str]) -> None:
        """Know now what of these sessions is unread. Raises LogError."""
        while missing := self._without_unread(sessions)[:UNREAD_TOGETHER]:
            found = await self._feed.work(partial(read_unread_of, sessions=missing, actor=self._feed.actor))
            for session, (read, unread) in found.items():
                self._state.learn_unread(session, read, unread)
            self.tell(Change(sessions=set(missing)))

    def _missing(self, sessions: Iterable[str]) -> list[str]:
        known = self._state.sessions
        return [one for one in sessions if one in known and not known[one].loaded]

    def _without_unread(self, sessions: Iterable[str]) -> list[str]:
        known = self._state.sessions
        return [one for one in sessions if one in known and not known[one].unread_known]

    async def _read_wanted(self) -> Exception | None:
        """All that is wanted now. Returns the first thing that went wrong."""
        first: Exception | None = None
        for part in (self._read_judgement, self._read_due, self._read_people, self._read_unread_due):
            try:
                await part()
            except (ApolloError, OSError) as problem:
                first = first or problem
        return first

    async def _read_judgement(self) -> None:
        if self._knows_judgement:
            return
        judged = await self._feed.read(lambda reader: LogReader.of_kinds(reader, KINDS | {BOOKMARKED}))
        self._state.learn_judgement(judged)
        self._knows_judgement = True
        self.tell(Change(sessions=self._state.sessions.keys() & {event.session for event in judged}))
        bookmarked = dict.fromkeys(event.session for event in judged if event.kind == BOOKMARKED)
        self._due = dict.fromkeys([*self._due, *self._missing(bookmarked)])

    async def _read_people(self) -> None:
        if self._knows_people:
            return
        people = await self._feed.work(read_people)
        self._state.learn_people(people)
        self._knows_people = True
        self.tell(Change(sessions=self._state.sessions.keys() & people.keys()))

    async def _read_unread_due(self) -> None:
        while some := list(self._unread_due)[:UNREAD_TOGETHER]:
            for session in some:
                del self._unread_due[session]
            try:
                await self.read_unread(some)
            except (ApolloError, OSError):
                self._unread_due.update(dict.fromkeys(some))  # others before them
                raise
            await self._read_due()  # what came into sight meanwhile goes before the rest

    async def _read_due(self) -> None:
        """A few sessions are told of together: what is told is painted. Those that failed have to wait."""
        read: list[str] = []
        try:
            while session := next((one for one in self._due if one not in self._failed), ""):
                self._failed.add(session)
                new = await self._read(session)
                self._failed.discard(session)
                self._due.pop(session, None)
                read += [session] if new else []
                if len(read) == TOGETHER:
                    self._tell_of(read)
                    read = []
        finally:
            self._tell_of(read)

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
