"""The annotator's way through the review queue: a sitting of fifty, what is next, what was skipped, how fast it goes.

What was judged leaves the queue by itself, because the queue is made from the log. What was skipped is kept in a file
of this annotator, so that a review goes on where it was left.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec

from apollo_tui.acts.drafts import Drafts
from apollo_tui.state.review_filter import ReviewFilter
from apollo_tui.state.sitting import SIZE, Sitting
from sessions.attention.settings import Thresholds
from sessions.fold.review import Item, ReviewBook
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


class ReviewQueue:
    """One annotator's review. Times in Unix ms."""

    def __init__(self, drafts: Drafts, thresholds: Thresholds) -> None:
        self._path = drafts.folder.parent / f"review{drafts.suffix}"
        self._actor = drafts.actor
        self._thresholds = thresholds
        self._books: dict[str, ReviewBook] = {}
        self._folding = threading.Lock()
        """The books are folded in a reading thread, and looked at in the app's."""
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
