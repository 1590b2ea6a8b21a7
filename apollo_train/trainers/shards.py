"""Many devices: that the model is sharded where the launcher was told so, and that its weights come back whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from apollo_train.runtime import TrainError

RECIPES: Final = Path(__file__).parent / "recipes"
"""Configurations for ``accelerate launch --config_file``, by the name that ``apollo-train recipe`` takes."""
_ASKED: Final = {"FSDP": "ACCELERATE_USE_FSDP", "DEEPSPEED": "ACCELERATE_USE_DEEPSPEED"}
_WEIGHTS: Final = ("*.safetensors", "*.bin")


class NotSharded(TrainError):
    """The launcher was told to shard the model, and that would not happen, or its result would be lost."""


def recipe(name: str) -> Path:
    """The file of a recipe. Raises NotSharded, naming those that there are."""
    found = {path.stem: path for path in RECIPES.glob("*.yaml")}
    if name not in found:
        raise NotSharded(f"there is no recipe {name!r}: choose one of {', '.join(sorted(found))}")
    return found[name]


def engine_of(trainer: Any) -> str:
    """What joins the processes, in accelerate's words: NO, MULTI_CPU, MULTI_GPU, FSDP, DEEPSPEED."""
    return str(trainer.accelerator.distributed_type.value)


def require_shards(trainer: Any) -> None:
    """Raises NotSharded where the launcher's wish would be ignored, or where the model could not be saved whole."""
    engine, state = engine_of(trainer), trainer.accelerator.state
    for asked, variable in _ASKED.items():
        if os.environ.get(variable, "").lower() == "true" and engine != asked:
            raise NotSharded(
                f"the launcher asks for {asked}, and accelerate would run {engine} instead, which shards nothing: it "
                "shards on accelerators only"
            )
    if engine == "DEEPSPEED":
        zero = state.deepspeed_plugin.deepspeed_config.get("zero_optimization", {})
        if zero.get("stage") == 3 and not zero.get("stage3_gather_16bit_weights_on_model_save"):
            raise NotSharded(
                "DeepSpeed's stage 3 would not save a model that can be loaded: say zero3_save_16bit_model: true "
                "(stage3_gather_16bit_weights_on_model_save in a file of DeepSpeed's own)"
            )


def gather_on_save(trainer: Any) -> None:
    """Let the trained weights be gathered from all processes when the model is saved."""
    if engine_of(trainer) == "FSDP":
        # With accelerate's default each process keeps its own shard, and the saved model holds no weights at all.
        # Not before the end: checkpoints are read back in the way in which they were written.
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")


def weights_in(folder: Path) -> list[Path]:
    """The files of weights of a saved model or its adapters. Raises TrainError if there are none."""
    found = [path for pattern in _WEIGHTS for path in folder.glob(pattern) if path.name != "training_args.bin"]
    if not found:
        raise TrainError(f"{folder} was saved without weights; the run's checkpoints have them")
    return found
