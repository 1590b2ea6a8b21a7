"""The annotator's time: whether they are there, how long they worked on a session, and what was before their eyes.

Pure; times in Unix ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sessions.events import EffortSpent, Seen

RETURN_MS: Final = 20 * 60_000
"""After this long without a key the next one is a return."""
REPORT_MS: Final = 20_000
"""The host hears of keys at most this often."""
IDLE_MS: Final = 60_000
"""So long after a key an annotator counts as active: reading is work, an empty chair is not."""
COALESCE_MS: Final = 60_000
"""So much active time of a session makes an event."""


class Presence:
    """Keys of one app."""

    def __init__(self, now: int) -> None:
        self.started_at = self.key_at = now
        """When the app was started, and when the last key was pressed (at first: the start)."""
        self.left_at = 0
        """When the annotator left before they came back last, 0: they were never here before."""
        self._told = 0
        self._asked = 0

    def key(self, now: int) -> int:
        """A key was pressed; for how long there was none before it (ms)."""
        away, self.key_at = now - self.key_at, now
        return away

    def due(self, now: int) -> int | None:
        """How long ago the last key was (ms), if the host should hear of it now."""
        if self.key_at <= self._told or now - self._asked < REPORT_MS:
            return None
        self._told, self._asked = self.key_at, now
        return now - self.key_at

    def link_is_new(self) -> None:
        """A new connection knows nothing of earlier keys."""
        self._told = self._asked = 0


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

    def put_back(self, session: str, spent: EffortSpent) -> None:
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


class Sight:
    """Per session on screen, the last visible event (seq) and since when it has been the last one. Times in Unix ms."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[int, int]] = {}

    def show(self, last: Mapping[str, int], now: int) -> None:
        """The screen shows these sessions, each down to this seq; all others are out of sight."""
        before = self._shown
        self._shown = {}
        for session, seq in last.items():
            if seq:
                known = before.get(session)
                self._shown[session] = known if known is not None and known[0] == seq else (seq, now)

    def evidence(self, session: str, now: int) -> Seen | None:
        """What a verdict that is given now may rest on; None: nothing of the session is on screen."""
        shown = self._shown.get(session)
        return None if shown is None else Seen(shown[0], max(0, now - shown[1]))
