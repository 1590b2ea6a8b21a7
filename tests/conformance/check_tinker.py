"""tinker-cookbook: its builder for files of conversations, with a mask per message and with the last message alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tinker
import torch
from compare import Labelled, ours, rows, table, verdict
from tinker_cookbook.renderers import TrainOnWhat
from tinker_cookbook.supervised.common import datum_from_model_input_weights
from tinker_cookbook.supervised.data import FromConversationFileBuilder
from tinker_cookbook.supervised.types import ChatDatasetBuilderCommonConfig
from transformers import AutoTokenizer

RENDERERS = {"llama3": "llama3", "qwen3": "qwen3"}


def file(form: str, packing: str, what: TrainOnWhat) -> Callable[[Path], str]:
    """One of our files."""

    def check(case: Path) -> str:
        if case.name not in RENDERERS:
            return "refuses: it has no renderer for these models"
        tokenizer = AutoTokenizer.from_pretrained(case / "model")
        path = ours(case, form)
        common = ChatDatasetBuilderCommonConfig(
            model_name_for_tokenizer=str(case / "model"), renderer_name=RENDERERS[case.name], max_length=8192,
            batch_size=len(rows(path)), train_on_what=what,
        )  # fmt: skip
        data, _ = FromConversationFileBuilder(common_config=common, file_path=str(path), shuffle_seed=None)()
        return verdict(case, packing, list(_labelled(data.get_batch(0))), tokenizer.decode)

    return check


def tokens(case: Path) -> str:
    """Our token rows, as its own function makes data of ids and weights."""
    data = []
    for row in rows(case / "tokens.tokens.jsonl"):
        weights = torch.tensor([float(label != -100) for label in row["labels"]])
        data.append(datum_from_model_input_weights(tinker.ModelInput.from_ints(row["input_ids"]), weights))
    return verdict(case, "tokens", list(_labelled(data)), AutoTokenizer.from_pretrained(case / "model").decode)


def _labelled(batch: list[Any]) -> Iterator[Labelled]:
    """A datum holds the next token and its weight at each place."""
    for datum in batch:
        after, weights = (datum.loss_fn_inputs[key].tolist() for key in ("target_tokens", "weights"))
        ids = [*datum.model_input.to_ints()[:1], *after]
        yield ids, [-100, *(number if weight > 0 else -100 for number, weight in zip(after, weights, strict=True))]


if __name__ == "__main__":
    checks = {
        "tokens": tokens,
        "tinker": file("tinker", "segments", TrainOnWhat.CUSTOMIZED),
        "tinker-steps": file("tinker-steps", "steps", TrainOnWhat.LAST_ASSISTANT_MESSAGE),
    }
    table("Tinker", Path(sys.argv[1]), checks)
