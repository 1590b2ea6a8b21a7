"""DPO and KTO by TRL, on token ids that are made already: its own tokenising would render the prompts once more."""

from __future__ import annotations

from typing import Any

from apollo_train.runtime import TrainError
from apollo_train.trainers.data import Rows


def dpo_trainer(arguments: dict[str, Any], train: Rows, evaluation: Rows | None, *, beta: float, **parts: Any) -> Any:
    """A trainer over pairs. The reference is the base model: without adapters, or loaded once more."""
    from trl import DPOConfig, DPOTrainer

    class OnIds(DPOTrainer):  # type: ignore[misc]  # trl has no types here
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    config = DPOConfig(**arguments, beta=beta)
    eval_dataset = evaluation.dataset() if evaluation else None
    return OnIds(args=config, train_dataset=train.dataset(), eval_dataset=eval_dataset, **parts)


def kto_trainer(arguments: dict[str, Any], train: Rows, evaluation: Rows | None, *, beta: float, **parts: Any) -> Any:
    """A trainer over single verdicts. The side that is rarer weighs more, so that both count the same."""
    from trl import KTOConfig, KTOTrainer

    batch = arguments["per_device_train_batch_size"]
    if batch < 2 or len(train) < 2:
        raise TrainError("KTO compares replies within a batch: it needs --batch 2 or more, and two rows")

    class OnIds(KTOTrainer):  # type: ignore[misc]  # trl has no types here
        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            # Replies of other prompts of the same batch, from which the distance to the base model is estimated.
            return dataset.map(_rotate, batched=True, batch_size=batch) if self.calculate_KL else dataset

    good = sum(train.columns["label"])
    bad = len(train) - good
    sides = {"desirable_weight": max(1.0, bad / good) if good else 1.0}
    sides["undesirable_weight"] = max(1.0, good / bad) if bad else 1.0
    config = KTOConfig(**arguments, beta=beta, **sides)
    eval_dataset = evaluation.dataset() if evaluation else None
    return OnIds(args=config, train_dataset=train.dataset(), eval_dataset=eval_dataset, **parts)


def _rotate(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    completions = batch["completion_ids"]
    return {**batch, "KL_completion_ids": [completions[-1], *completions[:-1]]}
