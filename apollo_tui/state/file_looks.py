"""Files of workspaces as they were when they were looked at: what changed since the last look."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal

Look = Literal["text", "beginning", "last"]
"""The file as it is; what changed since the beginning; since the last look, or since the reader left."""

MOST_REMEMBERED: Final = 16_000_000
"""Bytes of files that are kept."""


class Looks:
    """Files as they were when they were looked at, and before: for as long as the app runs, and not too many."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str], tuple[bytes | None, bytes]] = OrderedDict()

    def note(self, session: str, path: str, data: bytes) -> None:
        """It was looked at, and held this."""
        before, shown = self._kept.pop((session, path), (None, data))
        self._kept[session, path] = (before, shown) if shown == data else (shown, data)
        while self._kept and sum(len(one or b"") + len(other) for one, other in self._kept.values()) > self._most:
            self._kept.popitem(last=False)

    def before(self, session: str, path: str, data: bytes) -> bytes | None:
        """What it held at the last look at which it held something else; None: nobody saw that."""
        before, shown = self._kept.get((session, path), (None, data))
        return before if shown == data else shown
