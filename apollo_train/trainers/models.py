"""What is trained: the model, its adapters, and where it shall stop when it speaks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from apollo_train.runtime import TrainError
from apollo_train.trainers.settings import Precision

OLD_NAME: Final = r"`(is_)?gradient_checkpointing\w*` is deprecated"
"""How a warning of transformers begins that says only how a setting will be called."""


class NoModel(TrainError):
    """A model cannot be read, or cannot be trained."""


def require_trainers() -> None:
    """Raises NoModel where the trainers' environment is missing."""
    import importlib.util

    wanted = ("torch", "transformers", "trl", "peft", "datasets")
    missing = [name for name in wanted if not importlib.util.find_spec(name)]
    if missing:
        raise NoModel(
            f"training needs {', '.join(missing)}: `make train-env`, then .venv-train/bin/apollo-train "
            "(or pip install 'apollo-tui[train]')"
        )


@contextmanager
def ignore_old_names() -> Iterator[None]:
    """Without that warning: TRL and transformers use the old name themselves, and nobody who trains can help it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", OLD_NAME, FutureWarning)
        yield


def on_cpu() -> bool:
    """Whether there is nothing but the CPU; accelerate joins processes there only if it is told so."""
    import torch

    return not torch.accelerator.is_available()


def use_bf16(precision: Precision) -> bool:
    """Whether to compute in bf16. Raises NoModel where it is asked for and not there."""
    import torch

    there = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if precision == "bf16" and torch.cuda.is_available() and not there:
        raise NoModel("this GPU has no bf16: say --precision fp32")
    return there if precision == "auto" else precision == "bf16"


def load_model(source: str, *, half: bool) -> Any:
    """The model in that folder (or of that name); ``half``: its weights in bf16, for those that do not change."""
    import torch
    import transformers

    # Saved adapters name their base: a path must mean the same from wherever they are loaded.
    folder = Path(source).expanduser()
    source = str(folder.resolve()) if folder.is_dir() else source
    try:
        # Weights that are trained stay in fp32: bf16 is for computing, small updates would be lost in it.
        dtype = torch.bfloat16 if half else torch.float32
        model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError, KeyError) as problem:
        problem_line = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise NoModel(f"no model can be read from {source!r}: {problem_line}") from problem
    model.config.use_cache = False
    return model


def require_fit(model: Any, highest: int, longest: int) -> None:
    """Raises NoModel if the rows hold ids that the model has no embedding for, or are longer than it can read."""
    size = model.get_input_embeddings().num_embeddings
    if highest >= size:
        raise NoModel(f"the tokenizer has ids up to {highest:,}, and the model only {size:,} embeddings: no pair")
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if limit and longest > limit:
        raise NoModel(
            f"the longest row has {longest:,} tokens, and the model reads {limit:,}: say --max-length {limit} with "
            "--too-long exclude or keep_end"
        )


def require_same_ids(source: str, tokenizer: Any) -> None:
    """Raises NoModel if the model's own tokenizer has a token by another id than the one that made the rows.

    More tokens, and another chat template, are no contradiction; a model without a tokenizer says nothing.
    """
    import transformers

    try:
        own = transformers.AutoTokenizer.from_pretrained(source).get_vocab()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # a folder of weights alone
        return
    used = tokenizer.get_vocab()
    other = next((token for token, number in own.items() if used.get(token) != number), None)
    if other is not None:
        raise NoModel(
            f"the tokenizer gives the token {other!r} another id than the one of the model {source!r}: what it would "
            "learn is noise; take the model's own, with --chat-template for another template"
        )


def adapters(rank: int) -> Any:
    """LoRA on all linear layers but the head; None: the whole model is trained."""
    if not rank:
        return None
    import peft

    return peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )


def set_stops(model: Any, stops: Iterable[int]) -> None:
    """Let generation end where replies end: a trained stop token that nobody listens to stops nothing."""
    config = model.generation_config
    known = config.eos_token_id
    before = [] if known is None else [known] if isinstance(known, int) else list(known)
    config.eos_token_id = list(dict.fromkeys([*before, *sorted(stops)]))
