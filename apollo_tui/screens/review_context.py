"""The item of a review in its transcript: the steps before and after it, read as they come into sight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Final

from apollo_tui.context import AppContext
from apollo_tui.state.board import Change
from apollo_tui.state.transcript_pages import SPARSE, read_page
from sessions import events as ev
from sessions.fold.review import Item
from widgets.entries import EntryBook
from widgets.models import Anchor, Entry
from widgets.transcript import Transcript

PAGE: Final = 200
ABOVE: Final = 0.4
"""The share of the rows that shows what came before the item."""
BOOK_MOST: Final = 8_000
"""Entries after which the book begins anew."""


class ItemContext:
    """Fills a transcript with one session after the other."""

    def __init__(self, context: AppContext, transcript: Transcript) -> None:
        self._context = context
        self.transcript = transcript
        self.session = ""
        """Whose transcript it is."""
        self._book = EntryBook()
        self._sparse: list[ev.Event] = []

    async def show(self, item: Item) -> int:
        """Show the item, selected, in the midst of its session. Returns the seq of the entry that stands for it."""
        await self._open(item.session)
        seq = item.seq
        if item.target.part in ("reply", "span"):
            # A reply of calls alone has no row of its own, and a run begins with its first call.
            seq = self._first_call(seq, item.target.step) or seq
        await self.show_entry(item.session, seq)
        return seq

    def _first_call(self, seq: int, step: int) -> int | None:
        """The first call of the step whose reply is at ``seq``."""
        after = islice(self.transcript.anchors, self._place(seq), None)
        of_step = takewhile(lambda anchor: anchor.step in (None, step), after)
        return next((anchor.seq for anchor in of_step if anchor.call), None)

    def _place(self, seq: int) -> int:
        return max(0, bisect_right(self.transcript.anchors, seq, key=lambda anchor: anchor.seq) - 1)

    async def show_entry(self, session: str, seq: int) -> None:
        """Show an entry, selected."""
        await self._open(session)
        at = self._place(seq)
        near = self.transcript.anchors[max(0, at - PAGE // 2) : at + PAGE // 2]
        # What is folded is known before the place is chosen: a run is not taken apart because its middle was shown.
        await self.supply([anchor.seq for anchor in near if self.transcript.entry(anchor.seq) is None])
        self.transcript.reveal(seq, above=ABOVE)

    def empty(self) -> None:
        """No session."""
        self.session = ""
        self.transcript.clear()

    async def supply(self, seqs: Sequence[int]) -> None:
        """Read what has come into sight."""
        session = self.session
        if len(self._book) > BOOK_MOST:
            self._book = self._new_book()
        for start in range(0, len(seqs), PAGE):
            wanted = seqs[start : start + PAGE]
            events = await self._context.feed.read(partial(read_page, session=session, seqs=wanted))
            if session != self.session:
                return  # another one is shown by now
            self._book.add(events)
            self.transcript.supply(self._book.entries(wanted))

    def take(self, change: Change) -> None:
        """What came meanwhile."""
        mine = [event for event in change.events if event.session == self.session]
        if not mine:
            return
        touched = self._book.add(mine)
        self._sparse += [event for event in mine if event.kind in SPARSE]
        self.transcript.append(Anchor(e.seq, e.step, e.call, e.kind) for e in mine if e.kind in ev.ANCHORS)
        self.transcript.supply(self._book.entries(touched))

    def row_entry(self, seq: int | None) -> Entry | None:
        """The entry of a row, with the run that it stands for."""
        return self.transcript.row_entry(seq)

    async def _open(self, session: str) -> None:
        if session == self.session:
            return
        self.session = session
        self.transcript.clear()
        index = await self._context.feed.work(partial(self._context.indexes.read, session=session))
        if session != self.session:
            return
        self._sparse = list(index.sparse)
        self._book = self._new_book()
        self.transcript.append(index.anchors)
        self.transcript.follow(False)

    def _new_book(self) -> EntryBook:
        now = self._context.state.sessions.get(self.session)
        book = EntryBook(label_name=self._context.labels.name, tools=now.summary.tools if now else {})
        book.add(self._sparse)
        return book
