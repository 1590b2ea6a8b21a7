"""ULIDs: ids that sort by the time they were made, also within one millisecond and when the clock steps back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from sessions.clock import now_ms

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 26
_RANDOM_BITS: Final = 80


class UlidMaker:
    """Makes ids that strictly grow within this process. Safe in any thread."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """A new id of 26 characters: 48 bits of milliseconds, 80 bits of chance."""
        fresh = (self._clock() << _RANDOM_BITS) | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        with self._lock:
            if fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1
            self._last = fresh
        return encode(fresh)


def encode(value: int) -> str:
    """A 128-bit number in Crockford's base 32."""
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether ``text`` is a whole ULID as we write them (upper case)."""
    return len(text) == LENGTH and text[0] <= "7" and all(letter in ALPHABET for letter in text)


new_ulid: Final = UlidMaker()
"""``new_ulid()`` is how sessions, requests and flags get their ids."""
