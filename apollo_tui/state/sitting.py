"""One sitting of the review: so many items in an order that stays, and how many of them are done. It ends. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

SIZE: Final = 50
"""Items of one sitting."""


class Sitting(msgspec.Struct, frozen=True):
    """The keys of its items, in the order in which they come."""

    planned: tuple[str, ...] = ()

    def filled(self, waiting: Sequence[str], here: str | None = None, size: int = SIZE) -> Sitting:
        """The sitting with the best of what is ``waiting`` by now: what is done and what one is at (``here``) stay."""
        there = set(waiting)
        kept = [key for key in self.planned if key not in there or key == here]
        taken = set(kept)
        more = [key for key in waiting if key not in taken]
        return Sitting((*kept, *more[: max(0, size - len(kept))]))

    def done(self, waiting: Collection[str]) -> int:
        """How many of its items wait no more."""
        return sum(key not in waiting for key in self.planned)

    def next_after(self, key: str | None, waiting: Collection[str]) -> str | None:
        """The item to show after ``key`` is gone or was passed: the next one in order, else the first; None: it is
        over."""
        at = self.planned.index(key) + 1 if key in self.planned else 0
        return next((one for one in (*self.planned[at:], *self.planned[:at]) if one in waiting and one != key), None)
