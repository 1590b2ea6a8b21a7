"""How much a row counts, and how often it is written where trainers ignore weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from apollo_train.masks.annotations import Annotations
from apollo_train.policy import FilterPolicy
from apollo_train.samples.row_meta import task_of

MOST_COPIES: Final = 4
"""Rows are copied up to this often to say their weights exactly; beyond it some rows are left out instead."""


@dataclass(frozen=True, slots=True)
class Weigher:
    """The weight of a row, given how many replies of its session and its task are trained."""

    policy: FilterPolicy
    session_trained: dict[str, int] = field(default_factory=dict)
    task_trained: dict[str, int] = field(default_factory=dict)
    """What the sessions of a task count together: no session counts more than ``session_cap`` replies."""

    @classmethod
    def from_counts(cls, policy: FilterPolicy, trained: Mapping[str, int], tasks: Mapping[str, str]) -> Weigher:
        """For sessions with so many trained replies, each of the task that ``tasks`` names."""
        cap = policy.weights.session_cap
        totals: dict[str, int] = {}
        for session, task in tasks.items():
            totals[task] = totals.get(task, 0) + _cap(trained[session], cap)
        return cls(policy, dict(trained), totals)

    def weight(self, judged: Annotations, share: float, replies: int = 1, *, row: bool = False) -> float:
        """The weight of a row that trains ``replies``; ``row``: it counts once however many they are (segments)."""
        rules = self.policy.weights
        total = max(1, self.session_trained.get(judged.session, 1))
        of_task = max(1, self.task_trained.get(task_of(judged.created, self.policy), 1))
        weight = share * _cap(total, rules.session_cap) / total
        if rules.normalise == "session":
            weight = share * replies / total
        elif rules.normalise == "task":
            weight *= replies / of_task
        else:
            weight *= (1 if row else replies) * _cap(of_task, rules.task_cap) / of_task
        return round(weight, 9)

    @property
    def needs_counts(self) -> bool:
        """Whether weights depend on how many replies are trained, so that they have to be counted first."""
        rules = self.policy.weights
        return rules.normalise != "none" or bool(rules.session_cap or rules.task_cap)


class Copies:
    """How often each row is written, so that a trainer which ignores weights sees each as often as it weighs.

    ``scale`` is how often a row of weight 1 is written on average. What a row is owed beyond whole copies goes to the
    rows after it, so that any stretch of rows is as good as right; a row that weighs little may be written not at all.
    """

    def __init__(self, scale: float, owed: float = 0.0) -> None:
        self.scale, self.owed = scale, owed

    @classmethod
    def of(cls, weights: Iterable[float]) -> Copies:
        """For rows of these weights: as few copies as say it exactly, else about as many rows as there are."""
        found = sorted(weights)
        if not found or not found[0]:
            return cls(1.0)
        shares = [weight / found[0] for weight in dict.fromkeys(found)]
        if shares[-1] <= MOST_COPIES and all(abs(share - round(share)) < 1e-6 for share in shares):
            return cls(1 / found[0])
        return cls(len(found) / sum(found))

    def next(self, weight: float) -> int:
        """How often the next row is written."""
        self.owed = round(self.owed + weight * self.scale, 9)
        copies = int(self.owed + 0.5)
        self.owed = round(self.owed - copies, 9)
        return copies


def _cap(number: int, cap: int) -> int:
    """``number``, but at most the cap; 0 is none."""
    return min(number, cap) if cap else number
