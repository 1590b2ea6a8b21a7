"""What supervision cost: time, keys, advice and flags per session. A fold over ``effort.spent`` and acts of people.

It stays in the log, which is local. Exports do not carry it; names leave it only where somebody asks for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sessions import events as ev

KINDS: Final = frozenset(
    {"effort.spent", "flag.set", "flag.removed", "advice.queued", "advice.withdrawn", "question.answered",
     "session.signed_off"}
)  # fmt: skip
"""The kinds that this fold takes; others change nothing."""


@dataclass(slots=True)
class Effort:
    """What people spent. ``labels``: flags that stand, by label (good and unsure by their verdict). Times in ms."""

    active_ms: int = 0
    keys: int = 0
    advice: int = 0
    """Advice that was sent and not withdrawn, and answers."""
    flags: int = 0
    sign_offs: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, other: Effort) -> None:
        """Take another one's figures in."""
        self.active_ms += other.active_ms
        self.keys += other.keys
        self.advice += other.advice
        self.flags += other.flags
        self.sign_offs += other.sign_offs
        self.labels += other.labels

    @property
    def minutes_per_flag(self) -> float | None:
        """Active minutes for each flag, None without flags."""
        return self.active_ms / 60_000 / self.flags if self.flags else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for scripts."""
        return {
            "active_ms": self.active_ms,
            "keys": self.keys,
            "advice": self.advice,
            "flags": self.flags,
            "sign_offs": self.sign_offs,
            "labels": dict(sorted(self.labels.items())),
        }


def effort_of(events: Iterable[ev.Event]) -> dict[str, Effort]:
    """What each person (by actor) spent on one session. Rules and judges cost no person's time and are left out."""
    spent: dict[str, Effort] = {}
    flags: dict[str, tuple[str, str]] = {}
    advice: dict[int, str] = {}
    for event in events:
        match event.body:
            case ev.FlagRemoved(flag=flag):
                who, label = flags.pop(flag, ("", ""))
                if who:
                    spent[who].flags -= 1
                    spent[who].labels[label] -= 1
                continue
            case ev.AdviceWithdrawn(advice=number):
                who = advice.pop(number, "")
                if who:
                    spent[who].advice -= 1
                continue
        if not event.actor.startswith("human:"):
            continue
        mine = spent.setdefault(event.actor, Effort())
        match event.body:
            case ev.EffortSpent() as body:
                mine.active_ms += body.active_ms
                mine.keys += body.keys
            case ev.FlagSet() as body:
                label = body.label if body.verdict == "bad" else body.verdict
                flags[body.flag] = (event.actor, label)
                mine.flags += 1
                mine.labels[label] += 1
            case ev.AdviceQueued(advice=number):
                advice[number] = event.actor
                mine.advice += 1
            case ev.QuestionAnswered(timed_out=False):
                mine.advice += 1
            case ev.SignedOff():
                mine.sign_offs += 1
    for one in spent.values():
        one.labels = +one.labels
    return spent


def sum_effort(spent: Iterable[Effort]) -> Effort:
    """The sum."""
    whole = Effort()
    for one in spent:
        whole.add(one)
    return whole
