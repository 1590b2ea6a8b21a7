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

    ``jump`` is the share of a full screen that is freed at once while following: each jump repaints all rows.
    """

    def __init__(self, seqs: Callable[[], Sequence[int]], height: Height, jump: float = 0.5) -> None:
        self._jump = jump
        self._seqs = seqs
        self._height = height
        self.following = True
        self.left_at = 0
        """The newest seq when following ended: what is younger is new to the reader."""
        self._top: tuple[int, int] | None = None
        self._newest = 0
        self.resting = False
        """Nothing more comes: while following, the last entries stand at the bottom."""
        self.settling = False
        """Other entries are shown, and those in sight may not all be loaded."""
        self._wanted: tuple[int, int] | None = None

    def places(self, rows: int) -> list[Place]:
        """What to show in ``rows`` rows. While following, a full screen jumps."""
        count = len(self._seqs())
        top = None if self.resting and self.following else self.place()
        if top is None:
            top = tail(self._height, count, rows)
        shown = window(self._height, count, top, rows + 1)
        if len(shown) > rows:
            if self.following:
                top = tail(self._height, count, max(1, rows - round(rows * self._jump)))
                shown = window(self._height, count, top, rows)
            else:
                shown = shown[:rows]
        self.keep(top)
        return shown

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
        """Make ``top`` the first row shown."""
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
        self.following, self._top = True, None

    def settle(self) -> None:
        """Other entries are shown: until ``settling`` ends, ``fill`` leaves no blank rows below them."""
        self.settling, self._wanted = True, self._top

    def fill(self, rows: int) -> None:
        """While settling: the place of before, or the end at the bottom of ``rows`` rows where blank ones would be."""
        if not self.settling:
            return
        self._top = None if self.following else self._wanted
        top, count = self.place(), len(self._seqs())
        if top is not None and len(window(self._height, count, top, rows)) < rows:
            self.keep(min(top, tail(self._height, count, rows)))

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

    def resize(self, old_height: Height) -> None:
        """The width changed: stay at the same part of the entry. ``old_height`` knows the rows at the old width."""
        if self.following:
            self._top = None
            return
        seqs = self._seqs()
        if self._top is None or not seqs:
            return
        seq, row = self._top
        index = max(0, bisect.bisect_right(seqs, seq) - 1)
        self._top = (seq, scale_row(row, old_height(index), self._height(index)))
