"""Active time and keys of this annotator, per session, coalesced into rare ``effort.spent`` events. Pure."""

from __future__ import annotations

from typing import Final

from sessions.log.events import EffortSpent

IDLE_MS: Final = 60_000
"""So long after a key an annotator counts as active: reading is work, an empty chair is not."""
COALESCE_MS: Final = 60_000
"""So much active time of a session makes an event."""


class EffortClock:
    """Counts for the session that is before the annotator. Times in Unix ms."""

    def __init__(self) -> None:
        self._session: str | None = None
        self._key_at: int | None = None
        self._counted_to = 0
        self._spent: dict[str, tuple[int, int]] = {}

    def look(self, session: str | None, now: int) -> None:
        """The annotator looks at ``session`` (None: at none in particular); call it at every tick."""
        self._count(now)
        self._session = session

    def key(self, now: int) -> None:
        """A key was pressed."""
        self._count(now)
        self._key_at = self._counted_to = now
        if self._session is not None:
            active, keys = self._spent.get(self._session, (0, 0))
            self._spent[self._session] = (active, keys + 1)

    def due(self, *, all_of_it: bool = False) -> dict[str, EffortSpent]:
        """What the log should hear of now; it counts as told."""
        ready = {
            session: EffortSpent(active_ms=active, keys=keys)
            for session, (active, keys) in self._spent.items()
            if active >= COALESCE_MS or (all_of_it and (active or keys))
        }
        for session in ready:
            del self._spent[session]
        return ready

    def failed(self, session: str, spent: EffortSpent) -> None:
        """The log could not be told: keep it for later."""
        active, keys = self._spent.get(session, (0, 0))
        self._spent[session] = (active + spent.active_ms, keys + spent.keys)

    def _count(self, now: int) -> None:
        if self._key_at is None:
            return
        until = min(now, self._key_at + IDLE_MS)
        spent = until - self._counted_to
        if spent > 0:
            self._counted_to = until
            if self._session is not None:
                active, keys = self._spent.get(self._session, (0, 0))
                self._spent[self._session] = (active + spent, keys)
