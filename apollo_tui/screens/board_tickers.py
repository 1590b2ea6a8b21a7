"""The board over a slow line: one line per session, what is said on it, and which action it has shown long enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from apollo_tui.state.board import BoardState
from widgets.live import ticker
from widgets.models import Entry, SessionView

TICKER_MS: Final = 2_000
"""Over a slow line, what streams is shown this often."""
TICKER: Final = 100
TICKER_BESIDE: Final = 30
"""Cells of a ticker at most, and those of its row that it leaves to counts."""
SETTLED_MS: Final = 500
"""An action that stood on its line for so long is what a key means."""


class Tickers:
    """What the lines of the list say. ``clock`` and ``now`` are Unix ms."""

    def __init__(self, state: BoardState) -> None:
        self._state = state
        self._lines: dict[str, str] = {}
        self._grew = False
        self._at = 0
        self._standing: dict[str, tuple[int, int]] = {}
        self._settled: dict[str, int] = {}

    def note_growth(self) -> None:
        """A partial reply grew."""
        self._grew = True

    def due(self, now: int, width: int) -> bool:
        """Whether the lines have something new to say; ``width`` is that of the list."""
        if not self._grew or now - self._at < TICKER_MS:
            return False
        self._at, self._grew = now, False
        room = max(20, min(TICKER, width - TICKER_BESIDE))
        self._lines = {id: ticker(held.live, room) for id, held in self._state.sessions.items() if held.live}
        return True

    def add_to(self, views: Sequence[SessionView], now: int) -> list[SessionView]:
        """The rows of the list, with what streams on them; notes which action stands on which row."""
        rows = []
        for view in views:
            line = self._lines.get(view.id) if self._state.sessions[view.id].live else ""
            shown = self._state.headline_seq(view.id)
            self._stand(view.id, 0 if view.why or line else shown, now)
            rows.append(msgspec.structs.replace(view, last_line=line or view.last_line))
        return rows

    def candidate(self, session: str, now: int) -> Entry | None:
        """The newest action that its line has shown for half a second."""
        self._stand(session, self._standing.get(session, (0, 0))[0], now)
        return self._state.entry(session, self._settled.get(session, 0))

    def clear(self) -> None:
        """The panes are back: nothing stands on a line."""
        self._standing.clear()
        self._settled.clear()

    def _stand(self, session: str, seq: int, now: int) -> None:
        before, since = self._standing.get(session, (0, now))
        if before and now - since >= SETTLED_MS:
            self._settled[session] = before
        if seq != before:
            self._standing[session] = (seq, now)


def explain_no_action(name: str, key: Callable[[str], str]) -> str:
    """What to say where a key finds no action on the line; ``key`` is what a command's key is called."""
    return f"no action of {name} has stood on its line: {key('move.open')} opens it, {key('flag')} flags there"
