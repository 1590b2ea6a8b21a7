"""Supervised fine-tuning: TRL's trainer on our labels, as they are."""

from __future__ import annotations

from typing import Any

from apollo_train.runtime import TrainError
from apollo_train.trainers.data import Rows


def sft_trainer(arguments: dict[str, Any], train: Rows, evaluation: Rows | None, **parts: Any) -> Any:
    """A trainer over these rows. Raises TrainError if TRL would train anything else than the labels say."""
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        **arguments,
        packing=False,
        padding_free=False,
        completion_only_loss=False,
        assistant_only_loss=False,
        shuffle_dataset=False,
        loss_type="nll",
    )
    trainer = SFTTrainer(
        args=config, train_dataset=train.dataset(), eval_dataset=evaluation.dataset() if evaluation else None, **parts
    )
    require_unchanged(trainer.train_dataset, train)
    if evaluation:
        require_unchanged(trainer.eval_dataset, evaluation)
    return trainer


def require_unchanged(prepared: Any, rows: Rows) -> None:
    """Raises TrainError if preparing the dataset dropped or changed a row."""
    for name, column in rows.columns.items():
        if len(prepared) != len(rows) or any(a != b for a, b in zip(prepared[name], column, strict=True)):
            raise TrainError("the trainer's own preparation changed the rows: its version is not one that was tested")
