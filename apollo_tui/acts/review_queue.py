"""The annotator's way through the review queue: a sitting of fifty, what is next, what was skipped, how fast it goes.

What was judged leaves the queue by itself, because the queue is made from the log. What was skipped is kept in a file
of this annotator, so that a review goes on where it was left.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from apollo_tui.acts.drafts import Drafts
from apollo_tui.backend.feed import Feed
from apollo_tui.state.board import BoardState
from apollo_tui.state.review_filter import ReviewFilter
from apollo_tui.state.sitting import SIZE, Sitting
from sessions.attention.settings import Thresholds
from sessions.errors import ApolloError
from sessions.events import Event
from sessions.events.states import ENDED
from sessions.fold.review import KINDS, Item, ReviewBook
from sessions.fold.review_worth import Evidence, add_evidence
from sessions.fold.summary import Summary
from sessions.log.reader import LogReader
from sessions.private_files import open_private
from sessions.queries.review import PAGE, new_page, review_queue

SKIPPED_MOST: Final = 20_000
PACE_IDLE_MS: Final = 120_000
"""A longer wait between two verdicts is no part of the pace."""
PACE_FROM_MS: Final = 60_000
"""Work of which a pace is told; a few seconds say nothing of the items to come."""
SHARE: Final = 0.1
"""The share of the time that reading takes: what is looked at and typed comes first."""
REST_S: Final = 1.0
"""Longest pause after one page, and least time between two counts."""
LONG_EVENTS: Final = 4_000
"""A session with more events is counted once the queue was opened: until then the number is said to be a part."""
RETRY_S: Final = 30.0
"""Until a log that could not be read is tried again."""


class ReviewQueue:
    """One annotator's review. Times in Unix ms."""

    def __init__(self, drafts: Drafts, thresholds: Thresholds) -> None:
        self._path = drafts.folder.parent / f"review{drafts.suffix}"
        self._actor = drafts.actor
        self._thresholds = thresholds
        self._books: dict[str, ReviewBook] = {}
        self._folding = threading.Lock()
        """The books are folded in a reading thread, and looked at in the app's."""
        self.open = False
        """Whether the queue was opened: then all books are kept."""
        self._skipped: dict[str, None] | None = None
        self.items: list[Item] = []
        """All that waits, what is most likely worth it first."""
        self.filter = ReviewFilter()
        self.sitting = Sitting()
        self.size = SIZE
        """Items of a sitting."""
        self.done = 0
        """Items that left the queue since the app has started."""
        self._worked_ms = 0
        self._done_at: int | None = None

    def read(self, reader: LogReader, sessions: Collection[str]) -> None:
        """Fold what is new in these sessions. Runs in a reading thread."""
        for session in sessions:
            while self.read_page(reader, session):
                pass

    def read_page(self, reader: LogReader, session: str) -> bool:
        """Fold one page of what is new in the session; False if that was all. Runs in a reading thread."""
        book = self._books.get(session) or ReviewBook(session)
        page = new_page(reader, book)
        with self._folding:
            self._books[session] = book
            for event in page:
                book.fold(event)
        return len(page) == PAGE

    def count_page(self, reader: LogReader, summary: Summary, now: int) -> int | None:
        """Read one page of the session; once all is read, how many items it has. Runs in a reading thread."""
        if self.read_page(reader, summary.session):
            return None
        return len(self._queue({summary.session: self._books[summary.session]}, [summary], now))

    def forget(self, session: str) -> None:
        """Let go of what was read of the session, unless the queue is open; it is read again when it is needed."""
        if not self.open:
            with self._folding:
                self._books.pop(session, None)

    def refresh(self, summaries: Collection[Summary], now: int) -> list[Item]:
        """The queue as it is now."""
        self.items = self._queue(self._books, summaries, now)
        return self.items

    def _queue(self, books: Mapping[str, ReviewBook], summaries: Collection[Summary], now: int) -> list[Item]:
        with self._folding:
            return review_queue(
                books,
                summaries,
                actor=self._actor,
                now=now,
                skipped=self.skipped,
                thresholds=self._thresholds,
            )

    @property
    def evidence(self) -> Evidence:
        """How often what was suspected turned out right, over all sessions that were read."""
        with self._folding:
            return add_evidence(book.find_evidence() for book in self._books.values())

    @property
    def shown(self) -> list[Item]:
        """What of it the filter shows."""
        return [item for item in self.items if self.filter.keeps(item)]

    def plan(self, here: Item | None, *, anew: bool = False) -> None:
        """Fill the sitting from what waits; ``anew``: another one begins."""
        before = Sitting() if anew else self.sitting
        waiting = [item.key for item in self.shown]
        self.sitting = before.filled(waiting, here.key if here is not None else None, self.size)

    def next_after(self, item: Item | None) -> Item | None:
        """The item to show after ``item`` is gone or was passed; None: the sitting is over."""
        waiting = {one.key: one for one in self.items}
        key = self.sitting.next_after(item.key if item is not None else None, waiting)
        return waiting.get(key or "")

    @property
    def progress(self) -> tuple[int, int]:
        """How many items of the sitting are done, and how many it has."""
        waiting = {item.key for item in self.items}
        return self.sitting.done(waiting), len(self.sitting.planned)

    def contains(self, item: Item) -> bool:
        """Whether the item is in the queue."""
        return any(one.key == item.key for one in self.items)

    def finish(self, now: int) -> None:
        """An item is done."""
        if self._done_at is not None and now - self._done_at <= PACE_IDLE_MS:
            self._worked_ms += now - self._done_at
        self._done_at = now
        self.done += 1

    def pace(self) -> str:
        """``12 of 50 · 6/min · 6 min to go``; the last two after a minute of work."""
        done, planned = self.progress
        said = [f"{done} of {planned}"]
        if self._worked_ms >= PACE_FROM_MS:
            rate = (self.done - 1) * 60_000 / self._worked_ms
            said += [f"{rate:.0f}/min" if rate >= 1 else f"{rate * 60:.0f}/h"]
            minutes = (planned - done) / rate
            said += [f"{minutes:.0f} min to go" if minutes >= 1 else "under a minute to go"] if planned > done else []
        return " · ".join(said)

    # --- what was skipped ---------------------------------------------------------------------------------------

    @property
    def skipped(self) -> Collection[str]:
        """Keys of items that this annotator passed."""
        if self._skipped is None:
            try:
                kept = msgspec.json.decode(self._path.read_bytes(), type=list[str])
            except (OSError, msgspec.DecodeError):
                kept = []  # nothing skipped yet; a spoilt file costs only that some items come again
            self._skipped = dict.fromkeys(kept)
        return self._skipped

    def skip(self, item: Item) -> None:
        """Do not show the item again."""
        keys = dict.fromkeys([*self.skipped, item.key])
        self._skipped = dict(list(keys.items())[-SKIPPED_MOST:])
        self._store()

    def unskip_all(self) -> int:
        """Show all of them again; returns how many."""
        count = len(self.skipped)
        self._skipped = {}
        self._store()
        return count

    def _store(self) -> None:
        part = Path(f"{self._path}.part")
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open_private(part) as file:
            file.write(msgspec.json.encode(list(self.skipped)))
        part.replace(self._path)


class ReviewCount:
    """Counts while ``run`` runs. ``say`` is called when the number has changed."""

    def __init__(self, feed: Feed, state: BoardState, review: ReviewQueue, clock: Callable[[], int]) -> None:
        self._feed = feed
        self._state = state
        self._review = review
        self._clock = clock
        self._due: dict[str, None] = {}
        self._counts: dict[str, int] = {}
        self._woken = asyncio.Event()

    def note(self, events: Iterable[Event]) -> None:
        """What happened may have changed the number."""
        self._add(dict.fromkeys(event.session for event in events if event.kind in KINDS))

    def count_all(self) -> None:
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
        if known is None or (known.summary.last_seq > LONG_EVENTS and not self._review.open):
            return
        count = None
        while count is None:
            began = monotonic()
            page = partial(self._review.count_page, summary=known.summary, now=self._clock())
            count = await self._feed.work(page)
            await rest(min(REST_S, (monotonic() - began) / SHARE))
        self._counts[session] = count
        if known.summary.state in ENDED:
            self._review.forget(session)

    def _tell(self, say: Callable[[], None]) -> None:
        sessions = self._state.sessions
        number = sum(count for session, count in self._counts.items() if not sessions[session].summary.archived)
        told = (number, any(session not in self._counts for session in sessions))
        if told != (self._state.to_review, self._state.counting):
            self._state.to_review, self._state.counting = told
            say()
