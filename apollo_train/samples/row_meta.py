"""What every row says about itself in ``meta``, whatever its format."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, Final

import msgspec

from apollo_train.masks.annotations import Annotations
from apollo_train.policy import FilterPolicy, SplitRules
from sessions import events as ev
from sessions.events.text import canonical_json
from sessions.task_ids import group_of, make_task_id, name_origin

NOT_SAMPLING: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "tools", "system", "metadata", "user"}
)
"""Keys of a request's envelope that are no choice of sampling."""


def task_of(created: ev.SessionCreated, policy: FilterPolicy) -> str:
    """The task's id, or one of its workspace and its text where it has none (version 1: the hash of its text)."""
    if created.task_id:
        return created.task_id
    if policy.version == 1:
        return _hash_task(created.task)
    return make_task_id(name_origin(created.source_workspace or ""), created.task)


@lru_cache(maxsize=64)
def _hash_task(task: str) -> str:
    return "sha256:" + hashlib.sha256(task.encode()).hexdigest()[:16]


def split_of_session(created: ev.SessionCreated, policy: FilterPolicy) -> str:
    """The split of all rows of a session: by its task; from version 2 on all tasks of a repository are on one side."""
    task = task_of(created, policy)
    return split_of(task if policy.version == 1 else group_of(task), policy.split)


@lru_cache(maxsize=1024)
def split_of(task: str, rules: SplitRules) -> str:
    """``train``, ``validation`` or ``test``: a function of the task alone, so that no task is on both sides."""
    number = int.from_bytes(hashlib.sha256(f"{rules.seed}\0{task}".encode()).digest()[:8], "big") / (1 << 64)
    if number < rules.test:
        return "test"
    return "validation" if number < rules.test + rules.validation else "train"


def sampling_of(request: ev.ModelRequested) -> str:
    """The sampling choices of a request as JSON text: one column, whatever providers call them."""
    return _sampling_text(msgspec.json.encode(request.envelope))


@lru_cache(maxsize=1)
def _sampling_text(envelope: bytes) -> str:
    """The choices in an envelope; nearly all requests of a session have the same."""
    chosen = {key: value for key, value in msgspec.json.decode(envelope).items() if key not in NOT_SAMPLING}
    return canonical_json(chosen).decode()


def make_meta(judged: Annotations, policy: FilterPolicy, request: ev.ModelRequested, **more: Any) -> dict[str, Any]:
    """The columns that all rows of a session share, then those of the row."""
    harness = judged.created.harness
    return {
        "session": judged.session,
        "task": task_of(judged.created, policy),
        "model": judged.created.model.id,
        "sampling": sampling_of(request),
        "split": split_of_session(judged.created, policy),
        **msgspec.to_builtins(judged.terms),
        **({"harness": f"{harness.name} {harness.version}".strip()} if harness is not None else {}),
        **more,
    }
