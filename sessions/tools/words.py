"""Small phrases that observations share."""

from __future__ import annotations


def duration(ms: float) -> str:
    """``0.3 s``, ``42 s``, ``22 min``, ``3 h 40 min``."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
