"""Every choice of a training run, each with its value: nothing is left to a library's default that loses data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

Precision = Literal["auto", "bf16", "fp32"]


class TrainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does. Lengths in tokens."""

    model: str
    output: Path
    epochs: float = 1.0
    max_steps: int = 0
    """Optimiser steps; 0: as many as the epochs need."""
    learning_rate: float = 1e-4
    schedule: str = "cosine"
    warmup: int = 0
    """Optimiser steps."""
    batch: int = 1
    """Rows per device and forward pass."""
    accumulate: int = 8
    """Forward passes per optimiser step."""
    lora: int = 16
    """Rank of the adapters on all linear layers; 0: the whole model is trained."""
    precision: Precision = "auto"
    """``auto``: bf16 where the device has it, else fp32."""
    checkpointing: bool = True
    """Compute activations again in the backward pass instead of keeping them."""
    seed: int = 0
    save_steps: int = 100
    log_steps: int = 1
    beta: float = 0.1
    """Of DPO and KTO: how dear it is to leave the base model."""

    def plain(self) -> dict[str, Any]:
        """As plain values for the record."""
        return msgspec.structs.asdict(self) | {"output": str(self.output)}

    def arguments(self, *, bf16: bool, cpu: bool, evaluate: bool) -> dict[str, Any]:
        """The keyword arguments that all of TRL's configurations share."""
        return {
            "output_dir": str(self.output / "checkpoints"),
            "num_train_epochs": self.epochs,
            "max_steps": self.max_steps or -1,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": self.schedule,
            "warmup_steps": self.warmup,
            "per_device_train_batch_size": self.batch,
            "per_device_eval_batch_size": self.batch,
            "gradient_accumulation_steps": self.accumulate,
            "use_cpu": cpu,
            "dataloader_pin_memory": not cpu,
            "bf16": bf16,
            "fp16": False,
            "gradient_checkpointing": self.checkpointing,
            "gradient_checkpointing_kwargs": {"use_reentrant": False} if self.checkpointing else None,
            # TRL's default keeps the first 1,024 tokens: late actions would vanish. Lengths are settled on writing.
            "max_length": None,
            "seed": self.seed,
            "data_seed": self.seed,
            "save_strategy": "steps",
            "save_steps": self.save_steps,
            "save_total_limit": 2,
            "logging_steps": self.log_steps,
            "logging_nan_inf_filter": False,
            "report_to": "none",
            "eval_strategy": "epoch" if evaluate else "no",
            "dataloader_drop_last": False,
            "average_tokens_across_devices": True,
        }
