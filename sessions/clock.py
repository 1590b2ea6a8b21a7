"""The one source of time: Unix milliseconds, UTC; and a clock of it that goes on evenly where that jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final


def now_ms() -> int:
    """The time now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


JUMP_MS: Final = 3_000
"""What the wall clock may differ from even time, before that counts as a jump."""


class EvenClock:
    """The wall clock, but for its jumps: a sleep of the machine or a clock that is set is seen by ``look`` alone.

    The system's monotonic clock does not run while a machine sleeps (Linux, macOS), so nothing of ours ages meanwhile.
    """

    def __init__(
        self, wall: Callable[[], int] = now_ms, even: Callable[[], float] = time.monotonic, jump_ms: int = JUMP_MS
    ) -> None:
        self._wall = wall
        self._even = even
        self._jump_ms = jump_ms
        self._ahead = wall() - self._even_ms()

    def __call__(self) -> int:
        """The time now, in Unix milliseconds."""
        return self._even_ms() + self._ahead

    def look(self) -> int:
        """By how much the wall clock has jumped (ms), 0 for small differences, which are followed at once."""
        jumped = self._wall() - self()
        if abs(jumped) >= self._jump_ms:
            return jumped
        self._ahead += jumped
        return 0

    def follow(self, jumped: int) -> None:
        """Jump as the wall clock did."""
        self._ahead += jumped

    def _even_ms(self) -> int:
        return round(self._even() * 1000)
