"""Which sessions want this annotator, and why: the host's rules over the app's own fold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sessions.attention.notify_when import Key, key_of
from sessions.attention.settings import Thresholds
from sessions.attention.signals import Signal, signals_of, urgency
from sessions.fold.summary import Summary

MINUTE_MS: Final = 60_000


class Attention:
    """Signals of all sessions, kept until a session or the minute changes; and where ``!`` has led."""

    def __init__(
        self, thresholds: Thresholds | None = None, below: Callable[[str], Sequence[Summary]] = lambda _: ()
    ) -> None:
        """``below``: the sub-agents of a session."""
        self.thresholds = thresholds or Thresholds()
        self._below = below
        self.at: Key | None = None
        """The signal that ``!`` went to last."""
        self._known: dict[str, tuple[Summary, int, int, list[Signal]]] = {}
        self._after: list[Key] = []
        """What came after that signal when ``!`` went to it."""

    def of(self, summary: Summary, now: int) -> list[Signal]:
        """The signals of one session, most urgent first."""
        known, below = self._known.get(summary.session), self._below(summary.session)
        progress = max(child.progress_at for child in below) if below else 0
        if known is not None and known[0] is summary and known[1:3] == (now // MINUTE_MS, progress):
            return known[3]
        found = sorted(signals_of(summary, now, self.thresholds, below=below), key=urgency)
        self._known[summary.session] = (summary, now // MINUTE_MS, progress, found)
        return found

    def rank(self, summaries: Iterable[Summary], now: int) -> list[Signal]:
        """All signals: the most urgent rule first, then the oldest."""
        return sorted((signal for summary in summaries for signal in self.of(summary, now)), key=urgency)

    def worst(self, summary: Summary, now: int) -> Signal | None:
        """The first reason to look at a session."""
        found = self.of(summary, now)
        return found[0] if found else None

    def current(self, summary: Summary, now: int) -> Signal | None:
        """What a word such as "done" is about: the signal that ``!`` went to if it is of this session, else the
        worst."""
        found = self.of(summary, now)
        return next((signal for signal in found if key_of(signal) == self.at), found[0] if found else None)

    def round(self, summaries: Iterable[Summary], now: int) -> list[Signal]:
        """The way that ``!`` goes: the worst of each session first, then what else there is of each."""
        ranked = self.rank(summaries, now)
        worst: dict[str, Signal] = {}
        for signal in ranked:
            worst.setdefault(signal.session, signal)
        first = list(worst.values())
        return first + [signal for signal in ranked if signal is not worst[signal.session]]

    def next(self, summaries: Iterable[Summary], now: int, here: str | None) -> Signal | None:
        """Where ``!`` leads from session ``here``: the worst first; from one that it led to, the one after it."""
        found = self.round(summaries, now)
        if not found:
            return None
        keys = [key_of(signal) for signal in found]
        at = 0
        if self.at is not None and self.at[0] == here:
            # The signal may be gone because it was seen to: the way goes on from there all the same.
            after = keys[keys.index(self.at) + 1 :] if self.at in keys else self._after
            at = next((keys.index(key) for key in after if key in keys), 0)
        self.at, self._after = keys[at], keys[at + 1 :]
        return found[at]
