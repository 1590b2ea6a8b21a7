"""How observations are worded: long ones without their middle, progress bars in their last state, times in a unit."""

from __future__ import annotations

import re
from typing import Final

from sessions.jobs.output import last_state

SHOWN_CHARS: Final = 30_000
"""More than this the model does not see of one observation."""
_NOTE: Final = re.compile(r"\n\[… ([\d,]+) characters in the middle were left out …\]\n")


def shorten(text: str, limit: int = SHOWN_CHARS) -> tuple[str, int]:
    """What the model sees of ``text``, and how many of its characters it does not see (0: it sees all)."""
    kept = last_state(text)
    if len(kept) <= limit:
        return kept, len(text) - len(kept)
    head, tail = _cut_at_lines(kept, limit)
    left_out = len(kept) - len(head) - len(tail)
    note = f"\n[… {left_out:,} characters in the middle were left out …]\n"  # ``find_cut`` reads it
    return f"{head}{note}{tail}", len(text) - len(head) - len(tail)


def find_cut(text: str, shown: str) -> tuple[int, int, str] | None:
    """Where ``shown``, made of ``text`` by ``shorten``, leaves it out (from, to), and what was said behind it.

    None if it is not what ``shorten`` makes of it.
    """
    for note in _NOTE.finditer(shown):
        start, left_out = note.start(), int(note[1].replace(",", ""))
        after, tail = shown[note.end() :], text[start + left_out :]
        if text.startswith(shown[:start]) and after.startswith(tail):
            return start, start + left_out, after[len(tail) :]
    return None


def _cut_at_lines(text: str, limit: int) -> tuple[str, str]:
    """Head and tail of together at most ``limit`` characters, cut between lines where a line's end is near."""
    half = limit // 2
    head, tail = text[:half], text[-(limit - half) :]
    near = half // 5
    if (end := head.rfind("\n", half - near)) > 0:
        head = head[:end]
    if 0 <= (start := tail.find("\n", 0, near)) < len(tail) - 1:
        tail = tail[start + 1 :]
    return head, tail


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
