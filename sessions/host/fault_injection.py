"""Faults that tests ask for, so that the worst moments can be met on purpose.

``APOLLO_FAULTS`` is a list such as ``cut:advice.queue:1,die:model.reply:3``: hang up between commit and answer of the
first ``advice.queue``; die by SIGKILL as soon as the third ``model.reply`` is committed. Empty in ordinary life.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Sequence
from typing import Final

from sessions.events import Event

VARIABLE: Final = "APOLLO_FAULTS"


class Faults:
    """Counts methods and kinds, and does what was asked for at the right one."""

    def __init__(self, asked: str = "") -> None:
        self._cuts: set[tuple[str, int]] = set()
        self._deaths: set[tuple[str, int]] = set()
        for item in filter(None, asked.split(",")):
            what, name, number = item.split(":")
            {"cut": self._cuts, "die": self._deaths}[what].add((name, int(number)))
        self._answers: Counter[str] = Counter()
        self._events: Counter[str] = Counter()

    @classmethod
    def from_environment(cls) -> Faults:
        """What ``APOLLO_FAULTS`` asks for."""
        return cls(os.environ.get(VARIABLE, ""))

    def cuts(self, method: str) -> bool:
        """Whether the connection is to be cut instead of sending this answer."""
        if not self._cuts:
            return False
        self._answers[method] += 1
        return (method, self._answers[method]) in self._cuts

    def on_commit(self, events: Sequence[Event]) -> None:
        """Dies if one of these events is the one to die at."""
        for event in events if self._deaths else ():
            self._events[event.kind] += 1
            if (event.kind, self._events[event.kind]) in self._deaths:
                os.kill(os.getpid(), signal.SIGKILL)
