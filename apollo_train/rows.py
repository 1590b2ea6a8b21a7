"""What every row says about itself, whatever its format: where it comes from and how much it counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from apollo_train.judgement import Judgement
from apollo_train.policy import FilterPolicy, SplitRules
from sessions.log import events as ev
from sessions.log.text import canonical_json

NOT_SAMPLING: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "system", "metadata", "user"}
)
"""Keys of a request's envelope that are no choice of sampling."""


@dataclass(frozen=True, slots=True)
class Weigher:
    """The weight of a row, given how many replies of its session and its task are trained."""

    policy: FilterPolicy
    session_trained: dict[str, int] = field(default_factory=dict)
    task_trained: dict[str, int] = field(default_factory=dict)

    def weight(self, judged: Judgement, share: float, replies: int = 1, *, row: bool = False) -> float:
        """The weight of a row that trains ``replies``; ``row``: it counts once however many they are (segments)."""
        rules = self.policy.weights
        total = max(1, self.session_trained.get(judged.session, 1))
        weight = share
        if rules.normalise == "session":
            weight *= replies / total
        elif rules.normalise == "task":
            weight *= replies / max(1, self.task_trained.get(task_of(judged), 1))
        elif not row:
            weight *= replies
        if rules.session_cap and total > rules.session_cap:
            weight *= rules.session_cap / total
        return round(weight, 9)


def task_of(judged: Judgement) -> str:
    """What the split goes by: the task's id, or the hash of its text where it has none."""
    created = judged.created
    return created.task_id or "sha256:" + hashlib.sha256(created.task.encode()).hexdigest()[:16]


def split_of(task: str, rules: SplitRules) -> str:
    """``train``, ``validation`` or ``test``: a function of the task alone, so that no task is on both sides."""
    number = int.from_bytes(hashlib.sha256(f"{rules.seed}\0{task}".encode()).digest()[:8], "big") / (1 << 64)
    if number < rules.test:
        return "test"
    return "validation" if number < rules.test + rules.validation else "train"


def sampling_of(request: ev.ModelRequested) -> str:
    """The sampling choices of a request as JSON text: one column, whatever providers call them."""
    chosen = {key: value for key, value in request.envelope.items() if key not in NOT_SAMPLING}
    return canonical_json(chosen).decode()


def meta_of(judged: Judgement, policy: FilterPolicy, request: ev.ModelRequested, **more: Any) -> dict[str, Any]:
    """The columns that all rows of a session share, then those of the row."""
    task = task_of(judged)
    return {
        "session": judged.session,
        "task": task,
        "model": judged.created.model.id,
        "sampling": sampling_of(request),
        "split": split_of(task, policy.split),
        **more,
    }
