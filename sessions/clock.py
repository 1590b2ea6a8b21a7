"""The one source of time: Unix milliseconds, UTC."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The time now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000
