"""Whether the annotator is there: what their last key tells the host and the digest. Pure; times in Unix ms."""

from __future__ import annotations

from typing import Final

RETURN_MS: Final = 20 * 60_000
"""After this long without a key the next one is a return."""
REPORT_MS: Final = 20_000
"""The host hears of keys at most this often."""


class Presence:
    """Keys of one app."""

    def __init__(self, now: int) -> None:
        self.started_at = self.key_at = now
        """When the app was started, and when the last key was pressed (at first: the start)."""
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
