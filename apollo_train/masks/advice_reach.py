"""How far advice reaches: what is *general* would have helped anybody, what holds *here* made sense at that step alone.

Advice of which nobody said it counts as *here*. Where a policy drops advice, only general advice goes.
"""

from __future__ import annotations

from apollo_train.masks.annotations import Annotations
from apollo_train.policy import AdviceMode, FilterPolicy
from sessions.fold.advice import AdviceRecord


def is_general(record: AdviceRecord | None) -> bool:
    """Whether somebody said that this advice is general."""
    return record is not None and record.reach == "general"


def find_steps_after_here(judged: Annotations, policy: FilterPolicy, mode: AdviceMode) -> frozenset[int]:
    """The steps right after advice that holds here only, or after an answer, of kinds that the policy gives this mode.

    None in version 1, or where the policy keeps such replies.
    """
    rules = policy.advice
    if policy.version == 1 or rules.here == "keep" or mode not in rules.modes:
        return frozenset()
    steps: set[int] = set()
    for turn in judged.delivered.values():
        records = [judged.advice.get(number) for number in turn.advice]
        here = [record for record in records if not is_general(record)]
        if turn.channel == "user" and any(rules.mode(record.kind if record else None) == mode for record in here):
            steps.add(turn.at_step)
    if rules.mode(None) == mode:
        asked = (judged.asked.get(answer.question) for answer in judged.answers.values())
        steps.update(place[0] + 1 for place in asked if place is not None)
    return frozenset(steps)
