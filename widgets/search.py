"""Where a search text stands in a line: plain text, upper case counts only if the search text has some."""

from __future__ import annotations

from collections.abc import Iterator


def matches(text: str, pattern: str, limit: int = 200) -> list[tuple[int, int]]:
    """(start, end) of at most ``limit`` matches in ``text``, in order."""
    found = []
    for start in _starts(text, pattern):
        found.append((start, start + len(pattern)))
        if len(found) >= limit:
            break
    return found


def has_match(text: str, pattern: str) -> bool:
    """Whether ``pattern`` stands in ``text``."""
    return next(_starts(text, pattern), None) is not None


def _starts(text: str, pattern: str) -> Iterator[int]:
    if not pattern:
        return
    if pattern == pattern.lower():
        lowered = text.lower()
        # A few letters change their length in lower case: then only exact matches have a place.
        text = lowered if len(lowered) == len(text) else text
    at = text.find(pattern)
    while at >= 0:
        yield at
        at = text.find(pattern, at + len(pattern))
