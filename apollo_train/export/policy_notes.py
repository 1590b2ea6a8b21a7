"""What a plan and a report say of the policy beside their counts: what was chosen, and what nobody chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from apollo_train.export.counts import Counts
from apollo_train.export.open_questions import say_models
from apollo_train.policy import ADVICE_KINDS, FilterPolicy, version_note
from sessions.fold.repeats import RULE, RULE_VERSION

RULES: Final = {RULE: RULE_VERSION}
"""The rules that say how far an open flag reaches, by their version, for manifests."""


def policy_notes(policy: FilterPolicy, counts: Counts) -> Iterator[str]:
    """A line each."""
    if policy.version == 1:
        yield version_note(policy)
        return
    if (counts.advice or counts.answers) and policy.advice.is_open:
        yield "advice: nobody has said yet whether it is kept, dropped or both; it is counted as kept here"
    elif counts.advice or counts.answers:
        yield f"advice: {_say_modes(policy)}"
    if policy.advice.modes != {"kept"} and not counts.counterfactual and counts.rows:
        yield "0 rows with a prompt that no model ever saw"
    if counts.masked_by.get("rule"):
        yield f"rule: {RULE}, version {RULE_VERSION}, closes flags whose recovery nobody marked"
    if counts.trained_by_model:
        yield f"trained by model: {say_models(counts.trained_by_model)}"
        if len(counts.trained_by_model) > 1 and not policy.targets.trainable:
            yield (
                "nobody has said whose replies may be targets: an export asks (--trainable, or `trainable` under "
                "[export] in the config)"
            )


def _say_modes(policy: FilterPolicy) -> str:
    """What becomes of advice, by kind where kinds differ."""
    modes: dict[str, Any] = {kind: getattr(policy.advice, kind) or "kept" for kind in ADVICE_KINDS}
    if len(set(modes.values())) == 1:
        return str(modes["other"])
    return ", ".join(f"{kind} {mode}" for kind, mode in modes.items())
