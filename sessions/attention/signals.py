"""Signals of one session: a pure function of its Summary and the time.

A signal's id is its rule and the event that caused it: it fires once per cause, and goes when its cause is gone.
Host and app run this same code; the host alone notifies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from sessions.attention.rules import RULES, WAITING, Cause, Rule
from sessions.attention.settings import Thresholds
from sessions.events.states import ENDED
from sessions.fold.families import count_together
from sessions.fold.summary import Summary

DEFAULTS: Final = Thresholds()
MAY_REST: Final = frozenset({"budget_used_up", "failed"})
"""Rules of sessions that a person may leave as they are."""


class Signal(msgspec.Struct, frozen=True):
    """One reason to look. ``rank`` 0 is the most urgent; ``acute``: a person is needed before the session can go on;
    ``quiet``: it can wait until somebody looks. ``place`` is the seq to look at, 0: the newest."""

    id: str
    rule: str
    session: str
    seq: int
    step: int
    at: int
    reason: str
    rank: int
    acute: bool
    quiet: bool = False
    place: int = 0


def signals_of(
    summary: Summary,
    now: int,
    thresholds: Thresholds = DEFAULTS,
    *,
    all_: bool = False,
    below: Sequence[Summary] = (),
) -> list[Signal]:
    """The signals of a session, most urgent first; those done, snoozed or called false are left out unless ``all_``.

    ``below``: its sub-agents. It waits while they work, and is not silent; what they use, it uses.
    """
    progress = max((child.progress_at for child in below), default=0)
    if progress > summary.progress_at:
        summary = msgspec.structs.replace(summary, progress_at=progress)
    if not _concerns_anybody(summary):
        return []
    counted = count_together(summary, below)
    words = {judged.signal: judged for judged in summary.watch.judged}
    found = []
    for rank, rule in enumerate(RULES):
        if rule.name in thresholds.off:
            continue
        for cause in rule.when(counted if rule.together else summary, now, thresholds):
            if rule.together:
                cause = msgspec.structs.replace(cause, step=summary.step)
            signal = _signal(summary, rule, rank, cause)
            word = words.get(signal.id)
            if all_ or word is None or not _is_silenced(word.verdict, word.until, now):
                found.append(signal)
    return found


def what_waits(summary: Summary, now: int, thresholds: Thresholds = DEFAULTS) -> Cause | None:
    """Why the session stands still until a person does something, None if it does not: reading it changes nothing.

    Where letting it rest is an answer too, "done" and "false alarm" are one; "not now" is none.
    """
    if not _concerns_anybody(summary):
        return None
    settled = {judged.signal for judged in summary.watch.judged if judged.verdict in ("done", "false_alarm")}
    for rule in WAITING:
        for cause in rule.when(summary, now, thresholds):
            if rule.name not in MAY_REST or f"{rule.name}:{cause.seq}" not in settled:
                return cause
    return None


def _is_silenced(verdict: str, until: int, now: int) -> bool:
    return verdict in ("done", "false_alarm") or (verdict == "snoozed" and now < until)


def _concerns_anybody(summary: Summary) -> bool:
    """Whether a person can still do something about the session: what is over and signed off wants nobody."""
    if summary.archived or summary.state == "stopped" or summary.origin == "import":
        return False
    return not (summary.state in ENDED and summary.sign_off)


def _signal(summary: Summary, rule: Rule, rank: int, cause: Cause) -> Signal:
    return Signal(
        id=f"{rule.name}:{cause.seq}",
        rule=rule.name,
        session=summary.session,
        seq=cause.seq,
        step=cause.step,
        at=cause.at,
        reason=cause.reason,
        rank=rank,
        acute=rule.acute,
        quiet=rule.quiet,
        place=cause.seq if cause.place is None else cause.place,
    )


def urgency(signal: Signal) -> tuple[bool, bool, int, int]:
    """Sorts signals: who cannot go on first, what can wait last; then by rule, then the oldest."""
    return not signal.acute, signal.quiet, signal.rank, signal.at


def rank_signals(summaries: Iterable[Summary], now: int, thresholds: Thresholds = DEFAULTS) -> list[Signal]:
    """All signals of all sessions: the most urgent rule first, then the oldest."""
    found = [signal for summary in summaries for signal in signals_of(summary, now, thresholds)]
    return sorted(found, key=urgency)


def order_sessions(
    summaries: Sequence[Summary], now: int, thresholds: Thresholds = DEFAULTS
) -> Iterator[tuple[Summary, str]]:
    """Sessions by how much they want a person, each with the reason why it stands where it stands."""
    worst: dict[str, Signal] = {}
    for signal in rank_signals(summaries, now, thresholds):
        worst.setdefault(signal.session, signal)
    places = {session: place for place, session in enumerate(worst)}
    for summary in sorted(summaries, key=lambda s: (places.get(s.session, len(places)), s.number)):
        yield summary, worst[summary.session].reason if summary.session in worst else ""
