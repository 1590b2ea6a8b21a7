"""What an annotator has read: pure bookkeeping of attention, coalesced into rare ``cursor.moved`` events.

Read = selected, or on the Session or Action screen for at least a second, within a minute of a key press.
Live panes and idle terminals never mark anything read.
"""

from __future__ import annotations

from typing import Final

LOOKED_MS: Final = 1_000
AWAKE_MS: Final = 60_000
COALESCE_MS: Final = 5_000


class Reading:
    """Per session: how far this annotator has read (seq), and what of it the log does not know yet. Times in ms."""

    def __init__(self) -> None:
        self.cursors: dict[str, int] = {}
        self._dirty: dict[str, int] = {}
        self._key_at = -AWAKE_MS
        self._on_screen: tuple[str, int, int] | None = None

    def know(self, session: str, seq: int) -> None:
        """The log says that this annotator has read up to ``seq``."""
        if seq > self.cursors.get(session, 0):
            self.cursors[session] = seq

    def key(self, now: int) -> None:
        """A key was pressed."""
        self._key_at = now

    def select(self, session: str, seq: int, now: int) -> None:
        """The annotator selected the entry at ``seq``."""
        self._read(session, seq, now)

    def show(self, session: str, seq: int, now: int) -> None:
        """The Session or Action screen shows ``session`` up to ``seq``; call it again at every tick."""
        shown = self._on_screen
        if shown is None or shown[0] != session or shown[1] != seq:
            # What was there before stays read; only the new tail has to earn its second.
            self._on_screen = (session, seq, now)
        elif now - shown[2] >= LOOKED_MS and now - self._key_at <= AWAKE_MS:
            self._read(session, seq, now)

    def hide(self) -> None:
        """No Session or Action screen is shown."""
        self._on_screen = None

    def _read(self, session: str, seq: int, now: int) -> None:
        if seq > self.cursors.get(session, 0):
            self.cursors[session] = seq
            self._dirty.setdefault(session, now)

    def due(self, now: int, *, all_of_it: bool = False) -> dict[str, int]:
        """Cursors that the log should hear of now (session → seq); they count as told."""
        ready = [session for session, since in self._dirty.items() if all_of_it or now - since >= COALESCE_MS]
        for session in ready:
            del self._dirty[session]
        return {session: self.cursors[session] for session in ready}

    def failed(self, session: str, now: int) -> None:
        """The log could not be told: try again later."""
        self._dirty.setdefault(session, now)
