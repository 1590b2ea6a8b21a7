"""Our token rows in slime: ``--rollout-function-path slime_tokens.generate_rollout``, with this file on the path.

``--prompt-data rows.jsonl --input-key input_ids --label-key labels`` hand a row over as it is; slime's own SFT rollout
would render messages, and has no mask for most templates.
"""

from __future__ import annotations

from typing import Any

IGNORED = -100


def generate_rollout(args: Any, rollout_id: int, data_buffer: Any, evaluation: bool = False) -> list[list[Any]]:
    """The next batch of samples: tokens, how long they are from the first trained one, and the mask from there on."""
    assert not evaluation, "there is nothing to sample for an evaluation"
    samples: list[list[Any]] = data_buffer.get_samples(args.rollout_batch_size)
    for (sample,) in samples:
        mask = [int(label != IGNORED) for label in sample.label]
        start = mask.index(1)
        sample.tokens = list(sample.prompt)
        sample.response_length = len(mask) - start
        sample.loss_mask = mask[start:]
        sample.reward = 0
    return samples
