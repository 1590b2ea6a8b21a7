"""Token counts as servers report them: in parts, more than once, as texts or floats, or as nothing that counts."""

from __future__ import annotations

from typing import Any, Final

MOST: Final = 10**10
"""More tokens than this has no reply and no prompt: such a number is none."""


def count_of(value: object) -> int:
    """A count of tokens; 0 for what is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST:
        return 0
    return int(value)


class UsageCounts:
    """The newest count of each field. A zero, or a number that is none, takes the place of no number that is known."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self.came = False
        """Whether the server said anything at all of its usage."""

    def take(self, name: str, value: object) -> None:
        """One field as it came."""
        count = count_of(value)
        if count or name not in self._counts:
            self._counts[name] = count

    def __getitem__(self, name: str) -> int:
        return self._counts.get(name, 0)


def table(value: object) -> dict[str, Any]:
    """``value`` where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
