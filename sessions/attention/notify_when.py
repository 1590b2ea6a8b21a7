"""When a signal is worth a bell: once per cause, and not while somebody looks. Pure; host and app run the same code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sessions.attention.signals import Signal, urgency

LOOKS_MS: Final = 60_000
"""Whoever pressed a key less than this ago is looking."""

Key = tuple[str, str]
"""Session and signal id."""


class SignalMemory:
    """Which signals have been told or seen. ``known`` are those of an earlier life, each with when it was first there.

    A signal that comes while somebody looks is held: a key pressed after it means that it was seen, no key for a
    minute means that it has to be told after all.
    """

    def __init__(self, known: Iterable[Key] = ()) -> None:
        self._known: set[Key] = set(known)
        self._held: dict[Key, int] = {}

    @property
    def known(self) -> frozenset[Key]:
        """What must not be told again; only signals that still stand."""
        return frozenset(self._known)

    def mark_seen(self, signals: Iterable[Signal]) -> None:
        """These were seen: they are never told."""
        self._known |= {key_of(signal) for signal in signals}

    def take_due(self, standing: Mapping[str, Iterable[Signal]], now: int, active_at: int) -> list[Signal]:
        """What is to be told now, most urgent first. ``standing``: all signals of each session that was looked at.

        ``active_at`` is when somebody last pressed a key in front of the sessions (Unix ms, 0: never).
        """
        told: list[Signal] = []
        # A key of a time to come was pressed before the clock was set back: nobody knows when.
        active_at = active_at if active_at <= now else 0
        for session, signals in standing.items():
            here = {key_of(signal): signal for signal in signals if not signal.quiet}
            # A cause that is gone may come back as the same signal, e.g. after a snooze: that is a new edge.
            self._known -= {key for key in self._known if key[0] == session and key not in here}
            self._held = {key: at for key, at in self._held.items() if key[0] != session or key in here}
            for key, signal in here.items():
                if key in self._known:
                    continue
                since = self._held.setdefault(key, now)
                if active_at > since:
                    self._known.add(key)
                    del self._held[key]
                elif now - active_at >= LOOKS_MS:
                    self._known.add(key)
                    del self._held[key]
                    told.append(signal)
        return sorted(told, key=urgency)


def key_of(signal: Signal) -> Key:
    """What tells one cause from another over all sessions."""
    return signal.session, signal.id
