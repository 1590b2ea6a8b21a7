"""What of each session stands on the annotator's screen, and since when: kept with every verdict and advice. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sessions.log.events import Seen


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

    def seen(self, session: str, now: int) -> Seen | None:
        """What a verdict that is given now may rest on; None: nothing of the session is on screen."""
        shown = self._shown.get(session)
        return None if shown is None else Seen(shown[0], max(0, now - shown[1]))
