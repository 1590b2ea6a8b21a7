"""The loss of our token rows in Axolotl: ``plugins: [axolotl_tokens.TokenMean]``, with this file on the Python path.

Axolotl keeps the masks, but averages each micro-batch by itself and then these averages: a row with ten trained tokens
weighs as much as one with a thousand. With this plugin the loss is the mean over all trained tokens of an optimiser
step, on all devices together, as in ``apollo-train sft``.
"""

from __future__ import annotations

from typing import Any

from axolotl.integrations.base import BasePlugin  # type: ignore[import-not-found]  # there only where Axolotl is


class TokenMean(BasePlugin):  # type: ignore[misc]  # as above
    """Tells the trainer that the model's loss takes the number of trained tokens, as all causal models' does."""

    def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
        """Axolotl calls it before training."""
        trainer.model_accepts_loss_kwargs = True
        trainer.args.average_tokens_across_devices = True
