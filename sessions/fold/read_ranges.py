"""What somebody has read of a session: ranges of seqs, disjoint and in order. A fold of ``cursor.moved``."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from sessions import events as ev


class ReadBook:
    """The ranges that were read by one person, or by any: whoever folds chooses whose events come in here."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        self.cursor = 0
        """The newest event that was looked at: "since you left" begins after it."""
        self.let_go = 0
        """Up to here nothing counts as unread, whether it was read or not."""
        self.changes = 0
        """Grows with each range that was not known."""
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event of the session; other kinds change nothing."""
        if isinstance(event.body, ev.CursorMoved):
            self.take(event.body)

    def take(self, moved: ev.CursorMoved) -> None:
        """What one event says."""
        self.cursor = max(self.cursor, moved.read_seq)
        for part in moved.read:
            self.add(part.first, part.last)
        if moved.let_go is not None:
            self.let_go = moved.let_go

    def add(self, first: int, last: int) -> bool:
        """These were read too; False if they were known to be."""
        # Neighbours become one range.
        low = bisect_left(self._last, first - 1)
        high = bisect_right(self._first, last + 1)
        if high - low == 1 and self._first[low] <= first and last <= self._last[low]:
            return False
        if low < high:
            first, last = min(first, self._first[low]), max(last, self._last[high - 1])
        self._first[low:high], self._last[low:high] = [first], [last]
        self.changes += 1
        return True

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self._first, seq) - 1
        return at >= 0 and seq <= self._last[at]

    def __iter__(self) -> Iterator[ev.SeqRange]:
        return map(ev.SeqRange, self._first, self._last)

    def __len__(self) -> int:
        return len(self._first)

    @property
    def beginning(self) -> int:
        """Up to here everything was read, from the first event on."""
        return self._last[0] if self._first and self._first[0] <= 1 else 0

    def unread(self, seqs: Iterable[int]) -> list[int]:
        """Those of ``seqs`` (in order) that count as unread."""
        return [seq for seq in seqs if seq > self.let_go and seq not in self]
