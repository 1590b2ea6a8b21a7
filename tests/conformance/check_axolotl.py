"""Axolotl: its dataset wrapper and its collator, on token rows and on segments with `message_field_training: train`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
from axolotl.utils.collators.batching import DataCollatorForSeq2Seq
from axolotl.utils.data.wrappers import get_dataset_wrapper
from axolotl.utils.dict import DictDefault
from compare import Labelled, ours, rows, table, verdict
from transformers import AutoTokenizer

EOT = {
    "llama3": ["<|eot_id|>"],
    "qwen3": ["<|im_end|>"],
    "glm": ["<|user|>", "<|observation|>"],
    "gemma": ["<end_of_turn>"],
}
FIELDS = {key: key for key in ("role", "content", "reasoning_content", "tool_calls", "tool_call_id")}
"""Named, because its analysis of GLM's template finds no fields of a message."""


def collated(tokenizer: Any, prepared: Any) -> Iterator[Labelled]:
    """Each row as the collator gives it, without the padding."""
    collate = DataCollatorForSeq2Seq(tokenizer)
    for row in prepared:
        columns = {key: row[key] for key in ("input_ids", "attention_mask", "labels")}
        batch = collate([columns])
        yield batch["input_ids"][0].tolist(), batch["labels"][0].tolist()


def config(case: Path, **more: Any) -> tuple[Any, Any]:
    """The parts of a configuration that the data code reads."""
    dataset = DictDefault({"path": str(case), "type": "chat_template", **more})
    whole = DictDefault(
        {"sequence_len": 8192, "train_on_inputs": False, "chat_template": "tokenizer_default", "dataset_num_proc": 1,
         "eot_tokens": EOT[case.name], "datasets": [dataset]}
    )  # fmt: skip
    return whole, dataset


def tokens(case: Path) -> str:
    """Our token rows; Axolotl knows them by their attention mask."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    columns = ("input_ids", "attention_mask", "labels")
    given = datasets.Dataset.from_list(
        [{key: row[key] for key in columns} for row in rows(case / "tokens.tokens.jsonl")]
    )
    whole, dataset = config(case)
    prepared, _ = get_dataset_wrapper(dataset, tokenizer, whole, "chat_template", given)
    return verdict(case, "tokens", collated(tokenizer, prepared), tokenizer.decode)


def segments(case: Path) -> str:
    """Our file with a boolean `train` per reply, read as a user's configuration would."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    given = datasets.load_dataset("json", data_files=str(ours(case, "axolotl")), split="train")
    whole, dataset = config(
        case, field_messages="messages", roles_to_train=["assistant"], message_field_training="train",
        train_on_eos="turn", message_property_mappings=FIELDS,
    )  # fmt: skip
    prepared, _ = get_dataset_wrapper(dataset, tokenizer, whole, "chat_template", given)
    return verdict(case, "segments", collated(tokenizer, prepared), tokenizer.decode)


if __name__ == "__main__":
    table("Axolotl", Path(sys.argv[1]), {"tokens": tokens, "axolotl": segments})
