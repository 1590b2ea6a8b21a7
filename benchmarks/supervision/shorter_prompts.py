"""The control that takes flagged steps out of the context as well: the product's token format with shorter prompts.

The product has no such policy, on purpose: nobody ever saw such a prompt. Everything else (masks, advice, tokens, stop
tokens, packing) is the product's own. Later steps then follow from something that stands nowhere, which is what the
control is there to price.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace

from apollo_train.formats.tokens import TokensFormat
from apollo_train.samples.chat import Turn
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.templates.renderer import StepTokens


@dataclass
class CutTokens(TokensFormat):
    """Rows in whose prompts the steps with a flag of this label are missing, the agent's action and its result."""

    label: str = ""

    def tokenise(self, source: Source, sample: StepSample) -> StepTokens | Exclusion:
        """The tokens of one sample, its prompt cut."""
        flagged = {flag.target.step for flag in source.judged.flags.active if flag.label == self.label}
        kept = without_steps(sample.turns, flagged)
        if len(kept) < len(sample.turns):
            sample = replace(sample, turns=kept, dump=None, meta={**sample.meta, "prompt": "counterfactual"})
        return TokensFormat.tokenise(self, source, sample)


def cut(made: TokensFormat, label: str) -> CutTokens:
    """The same format, which leaves out the steps with flags of this label."""
    return CutTokens(**{each.name: getattr(made, each.name) for each in fields(made) if each.init}, label=label)


def without_steps(prompt: Sequence[Turn], steps: Collection[int]) -> list[Turn]:
    """The prompt without these steps: the agent's replies by number, from 1, each with the results of its calls."""
    kept: list[Turn] = []
    number, dropping = 0, False
    for turn in prompt:
        if turn.chat["role"] == "assistant":
            number += 1
            dropping = number in steps
        elif turn.chat["role"] != "tool":
            dropping = False
        if not dropping:
            kept.append(turn)
    return kept
