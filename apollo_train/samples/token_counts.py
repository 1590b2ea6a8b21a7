"""Token counts of replies and prompts for reports: the server's own where the log has them, else an estimate."""

from __future__ import annotations

from typing import Final

import msgspec

from apollo_train.masks.reply_masks import ReplyMask
from apollo_train.samples.step_samples import reply_of, target_text
from sessions import events as ev

BYTES_PER_TOKEN: Final = 4
"""The estimate where no server counted: rough, and said to be so wherever it is shown."""


class Count(msgspec.Struct, frozen=True):
    """Tokens of a reply and of the prompt before it; ``exact`` if the server counted them."""

    reply: int
    prompt: int
    exact: bool


def count(mask: ReplyMask, request: ev.ModelRequested | None = None) -> Count:
    """The tokens of a reply, and of the prompt that it answered."""
    usage = reply_of(mask).usage
    if usage is not None and usage.output_tokens:
        return Count(usage.output_tokens, usage.input_tokens, True)
    estimate = len(target_text(mask).encode()) // BYTES_PER_TOKEN + 1
    return Count(estimate, request.estimate_tokens if request else 0, False)
