"""A reader's place in a growing list of entries: following its end, or anchored to an entry while others come."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from typing import NamedTuple

from widgets.live import LIVE_SEQ

Height = Callable[[int], int]


class Place(NamedTuple):
    """Row ``row`` of item ``index``."""

    item: int
    row: int


def window(height: Height, count: int, top: Place, rows: int) -> list[Place]:
    """The first ``rows`` places from ``top`` on; fewer at the end."""
    out: list[Place] = []
    index, row = top
    while index < count and len(out) < rows:
        tall = height(index)
        while row < tall and len(out) < rows:
            out.append(Place(index, row))
            row += 1
        index, row = index + 1, 0
    return out


def back(height: Height, top: Place, rows: int) -> Place:
    """``rows`` rows above ``top``, or the very first row."""
    index, row = top
    left = rows
    best = top
    while True:
        if row >= left:
            return Place(index, row - left)
        left -= row
        if row > 0:
            best = Place(index, 0)
        if index <= 0:
            return best if height(0) == 0 else Place(0, 0)
        index -= 1
        row = height(index)


def forward(height: Height, count: int, top: Place, rows: int) -> Place:
    """``rows`` rows below ``top``, or the last row."""
    found = window(height, count, top, rows + 1)
    return found[-1] if found else top


def tail(height: Height, count: int, rows: int) -> Place:
    """The place from which the last ``rows`` rows are shown."""
    return back(height, Place(count, 0), rows) if count else Place(0, 0)


def scale_row(row: int, before: int, after: int) -> int:
    """Where row ``row`` of ``before`` rows is when the item has ``after`` rows, at a new width."""
    if before <= 1 or after <= 1:
        return 0
    return min(after - 1, round(row / before * after))


class ReaderPlace:
    """Where a reader is. ``seqs`` gives the entries' seqs in order, ``height`` the rows of the one at an index.

    No row stays blank while there are entries above it, but those that the next rows of what streams will take.
    """

    def __init__(self, seqs: Callable[[], Sequence[int]], height: Height) -> None:
        self.jump = 1
        """While following, a full screen moves up by so many rows at once: each move repaints all rows."""
        self._seqs = seqs
        self._height = height
        self.following = True
        self.left_at = 0
        """The newest seq when following ended: what is younger is new to the reader."""
        self._top: tuple[int, int] | None = None
        self._newest = 0
        self.settling = False
        """Other entries are shown, and those in sight may not all be loaded."""
        self._wanted: tuple[int, int] | None = None
        """Where the reader was before rows were filled from above."""

    def places(self, rows: int) -> list[Place]:
        """What to show in ``rows`` rows."""
        count = len(self._seqs())
        top = self.place()
        if top is None:
            top = tail(self._height, count, rows)
        shown = window(self._height, count, top, rows + 1)
        if self.following and len(shown) > rows:
            top = tail(self._height, count, max(1, rows + 1 - self.jump))
            shown = window(self._height, count, top, rows)
        elif len(shown) < rows + 1 - (self.jump if self.following else 1):
            # Entries were folded, filtered or shortened, older ones have come, or the screen is higher than it was.
            fuller = min(top, tail(self._height, count, rows))
            if fuller != top and not self.following:
                self._wanted = self._wanted or self._top
            top = fuller
            shown = window(self._height, count, top, rows)
        self._stand(top)
        return shown[:rows]

    def place(self) -> Place | None:
        """Where the first row stands now: entries may have come before it or been folded into another."""
        seqs = self._seqs()
        if self._top is None or not seqs:
            return None
        seq, row = self._top
        index = bisect.bisect_right(seqs, seq) - 1
        if seq >= LIVE_SEQ and (index < 0 or seqs[index] != seq):
            # What streamed is in the log now: it begins after the entries that were there then.
            index = min(len(seqs) - 1, bisect.bisect_right(seqs, self._newest))
        index = max(0, index)
        return Place(index, max(0, min(row, self._height(index) - 1)))

    def keep(self, top: Place) -> None:
        """Make ``top`` the first row shown: somebody wants to be there."""
        self._wanted = None
        self._stand(top)

    def _stand(self, top: Place) -> None:
        seqs = self._seqs()
        if top.item < len(seqs):
            self._top = (seqs[top.item], top.row)
            self._newest = self.newest

    @property
    def newest(self) -> int:
        """The newest seq that is in the log, 0 if there is none."""
        seqs = self._seqs()
        return next((seq for seq in reversed(seqs) if seq < LIVE_SEQ), 0)

    @property
    def unseen(self) -> int:
        """How many entries came since following ended."""
        if self.following:
            return 0
        seqs = self._seqs()
        return bisect.bisect_left(seqs, LIVE_SEQ) - bisect.bisect_right(seqs, self.left_at)

    def follow(self) -> None:
        """Back to the newest entry, and stay there."""
        self.following, self._top, self._wanted = True, None, None

    def settle(self) -> None:
        """Other entries are shown: until ``settling`` ends, the place of now is found again as they are loaded."""
        self.settling, self._wanted = True, self._wanted or self._top

    def restore(self) -> None:
        """While settling: go to the place of before."""
        if self.settling:
            self._top = None if self.following else self._wanted

    def unfollow(self) -> None:
        """Stay here while new entries come."""
        self.settling = False
        if self.following:
            self.following, self.left_at = False, self.newest

    def scroll(self, by: int, rows: int) -> bool:
        """Move by rows, up if negative; following ends, and begins again at the end. False if nothing moved."""
        self.settling = False
        top = self.place()
        if top is None or by == 0:
            return False
        if by < 0:
            moved = back(self._height, top, -by)
        else:
            if self.following:
                return False
            moved = forward(self._height, len(self._seqs()), top, by)
            if moved >= tail(self._height, len(self._seqs()), rows):
                self.follow()
                return True
        if moved == top:
            return False
        self.unfollow()
        self.keep(moved)
        return True

    def reveal(self, index: int, rows: int) -> None:
        """Scroll as little as is needed to show the entry at ``index``; a tall one from its first row."""
        self.settling = False
        tall = self._height(index)
        places = self.places(rows)
        if sum(place.item == index for place in places) == tall:
            return
        if not places or Place(index, 0) < places[0] or tall >= rows:
            self.unfollow()
            self.keep(Place(index, 0))
        elif not self.following:
            self.keep(back(self._height, Place(index, tall), rows))

    def resize(self, old_height: Height | None = None) -> None:
        """The size changed: stay at the same part of the entry, that where one was before rows had to be filled.
        ``old_height`` knows the rows at the old width, if that changed."""
        if self.following:
            self._top = None
            return
        self._top, self._wanted = self._wanted or self._top, None
        seqs = self._seqs()
        if self._top is None or not seqs or old_height is None:
            return
        seq, row = self._top
        index = max(0, bisect.bisect_right(seqs, seq) - 1)
        self._top = (seq, scale_row(row, old_height(index), self._height(index)))
