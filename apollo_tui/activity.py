"""Replies of a session per slot of time, for the sparkline of a board. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

SLOT_MS: Final = 15 * 60_000
SLOTS: Final = 8


class Activity:
    """How many replies came in each of the last slots. Times in Unix ms."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque(maxlen=SLOTS)

    def note(self, at: int) -> None:
        """A reply came; in order of time, repeats of an older slot are left out."""
        slot = at // SLOT_MS
        if self._counts and slot == self._counts[-1][0]:
            self._counts[-1] = (slot, self._counts[-1][1] + 1)
        elif not self._counts or slot > self._counts[-1][0]:
            self._counts.append((slot, 1))

    def slots(self, now: int) -> tuple[int, ...]:
        """Replies per slot, oldest first, the present one last; () if there were none."""
        known = dict(self._counts)
        last = now // SLOT_MS
        found = tuple(known.get(slot, 0) for slot in range(last - SLOTS + 1, last + 1))
        return found if any(found) else ()
