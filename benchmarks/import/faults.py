"""Faults put in on purpose: what an importer may do wrong, done to what is in the log, to see whether it is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from .transcript import Reply, Transcript, Turn

Fault = Callable[[Sequence[Transcript]], list[Transcript] | None]
"""Changed copies of the sessions; None where a recording has nothing that the fault could touch."""


def lose_result(sessions: Sequence[Transcript]) -> list[Transcript] | None:
    """The last result of a session is gone, as if its call had none."""
    changed = deepcopy(list(sessions))
    for session in changed:
        for reply in reversed(session.replies):
            for call in reply.calls:
                if call.result is not None:
                    call.result, call.failed = None, None
                    return changed
    return None


def glue_replies(sessions: Sequence[Transcript]) -> list[Transcript] | None:
    """Two replies that follow each other are one."""
    changed = deepcopy(list(sessions))
    for session in changed:
        if len(session.replies) > 1:
            first, second = session.replies[:2]
            text = f"{first.text}\n{second.text}".strip()
            both = replace(first, text=text, calls=first.calls + second.calls, turns=first.turns + second.turns)
            session.replies[:2] = [both]
            return changed
    return None


def swap_task_and_advice(sessions: Sequence[Transcript]) -> list[Transcript] | None:
    """What a person said later is the task, and the task is what they said later."""
    changed = deepcopy(list(sessions))
    for session in changed:
        for reply in session.replies:
            for place, turn in enumerate(reply.turns):
                if turn.person and session.task and turn.text != session.task:
                    reply.turns[place], session.task = Turn(session.task), turn.text
                    return changed
    return None


def train_what_was_left(sessions: Sequence[Transcript]) -> list[Transcript] | None:
    """An abandoned way stands in the main line."""
    changed = deepcopy(list(sessions))
    main = next((s for s in changed if s.role == "main"), None)
    branch = next((s for s in changed if s.role == "branch" and s.replies), None)
    if main is None or branch is None:
        return None
    main.replies[1:1] = branch.replies
    changed.remove(branch)
    return changed


def count_usage_twice(sessions: Sequence[Transcript]) -> list[Transcript] | None:
    """Each part of a reply adds the usage of the whole."""
    changed = deepcopy(list(sessions))
    counted = [reply for session in changed for reply in session.replies if _counts(reply)]
    for reply in counted:
        assert reply.usage is not None
        reply.usage = replace(reply.usage, reply=2 * reply.usage.reply)
    return changed if counted else None


def _counts(reply: Reply) -> bool:
    return reply.usage is not None and reply.usage.reply > 0


FAULTS: Final[Mapping[Fault, frozenset[str]]] = MappingProxyType(
    {
        lose_result: frozenset({"no result"}),
        glue_replies: frozenset({"replies"}),
        swap_task_and_advice: frozenset({"task", "more than the task"}),
        train_what_was_left: frozenset({"replies"}),
        count_usage_twice: frozenset({"usage", "usage of nothing"}),
    }
)
"""Each fault, and the kinds of difference of which one must be new."""
