"""NeMo-RL: the functions that load, render, mask and collate, from a checkout of its source (no package index has it).

Messages as its SFT runs them with `only_unmask_final: true`, `add_generation_prompt: true` and
`use_preserving_dataset: true`; token rows through the data set class that we hand to it.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
import os
import sys
import warnings
from collections import UserDict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, Union, cast

import torch
from compare import Labelled, ours, table, verdict
from transformers import AutoTokenizer, PreTrainedTokenizerBase

ADAPTERS = Path(__file__).parents[2] / "apollo_train" / "adapters"
WANTED = {
    "nemo_rl/data/llm_message_utils.py": (
        "get_first_index_that_differs", "get_formatted_message_log", "add_loss_mask_to_message_log", "_pad_tensor",
        "_validated_packed_values", "_validate_tensor_consistency", "message_log_to_flat_messages",
        "batched_message_log_to_flat_message",
    ),
    "nemo_rl/data/datasets/utils.py": (
        "resolve_external_dataset_class", "assert_no_double_bos", "merge_datasets",
        "warn_on_unsupported_dataset_config_keys",
    ),
    "nemo_rl/data/datasets/response_datasets/__init__.py": ("load_response_dataset",),
    "nemo_rl/data/datasets/processed_dataset.py": ("AllTaskProcessedDataset",),
    "nemo_rl/data/collate_fn.py": ("rl_collate_fn",),
}  # fmt: skip


def tokens(case: Path) -> str:
    """Our token rows, from the data set class to the batch that its SFT hands to the model."""
    theirs, tokenizer = _functions(), AutoTokenizer.from_pretrained(case / "model")
    path, name = case / "tokens.tokens.jsonl", "nemo_rl_tokens.TokenRows"
    data = theirs["load_response_dataset"]({"dataset_name": name, "data_path": str(path), "processor": "sft_processor"})
    told = {"add_bos": True, "add_eos": True, "add_generation_prompt": False}
    processors = {data.task_name: (data.task_spec, functools.partial(data.processor, **told))}
    merged = theirs["merge_datasets"]([data.dataset])
    made = theirs["AllTaskProcessedDataset"](merged, tokenizer, None, processors, max_seq_length=8192)
    found: list[Labelled] = []
    for at in range(0, len(made), 2):
        batch = theirs["rl_collate_fn"]([made[n] for n in range(at, min(at + 2, len(made)))])
        theirs["add_loss_mask_to_message_log"](batch["message_log"], roles_to_train_on=["assistant"])
        flat, lengths = theirs["batched_message_log_to_flat_message"](batch["message_log"], {"token_ids": 0})
        columns = (flat["token_ids"], flat["token_loss_mask"], lengths)
        found += [_masked(ids[:n].tolist(), mask[:n].tolist()) for ids, mask, n in zip(*columns, strict=True)]
    return verdict(case, "tokens", found, tokenizer.decode)


def steps(case: Path) -> str:
    """Our step samples as messages."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    return verdict(case, "steps", list(_labelled(tokenizer, ours(case, "nemo-rl"))), tokenizer.decode)


def _labelled(tokenizer: Any, path: Path) -> Iterator[Labelled]:
    theirs = _functions()
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        log = theirs["get_formatted_message_log"](
            row["messages"], tokenizer, SimpleNamespace(prompt=None), add_generation_prompt=True, tools=row.get("tools")
        )
        theirs["add_loss_mask_to_message_log"]([log], only_unmask_final=True)
        ids = torch.cat([message["token_ids"] for message in log]).tolist()
        yield _masked(ids, torch.cat([message["token_loss_mask"] for message in log]).tolist())


def _masked(ids: list[int], mask: list[int]) -> Labelled:
    return ids, [number if on else -100 for number, on in zip(ids, mask, strict=True)]


class _Without:
    """What the functions name, and text never meets."""


@functools.cache
def _functions() -> dict[str, Any]:
    """Their own functions, without the package around them: that wants Ray and a newer Python."""
    space: dict[str, Any] = {
        "Any": Any, "Optional": Optional, "Union": Union, "cast": cast, "torch": torch, "warnings": warnings,
        "Tensor": torch.Tensor, "LLMMessageLogType": list, "TokenizerType": Any, "TaskDataSpec": Any,
        "FlatMessagesType": dict, "BatchedDataDict": _dict_class(), "PackedTensor": _Without, "Dataset": _Without,
        "DatumSpec": dict, "TaskDataProcessFnCallable": Any, "TaskDataPreProcessFnCallable": Any,
        "ResponseDatasetConfig": dict, "DATASET_REGISTRY": {}, "importlib": importlib, "Mapping": dict,
        "PreTrainedTokenizerBase": PreTrainedTokenizerBase, "ConcatDataset": _Without, "functools": functools,
        "inspect": inspect,
        "_BEHAVIORAL_DATASET_CONFIG_KEYS": (),
        "get_multimodal_default_settings_from_processor": lambda _: {},
        "load_media_from_message": lambda *_, **__: {},
    }  # fmt: skip
    for file, names in WANTED.items():
        tree = ast.parse((Path(os.environ["SOURCE"]) / file).read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.ClassDef)
        tree.body = [node for node in tree.body if isinstance(node, kinds) and node.name in names]
        assert len(tree.body) == len(names), file
        exec(compile(tree, file, "exec"), space)
    return space


def _dict_class() -> type:
    """Their dictionary of a batch adds methods that none of these functions calls."""

    class BatchedDataDict(UserDict[str, Any]):
        def __class_getitem__(cls, _: Any) -> type:
            return cls

    return BatchedDataDict


if __name__ == "__main__":
    sys.path.insert(0, str(ADAPTERS))
    table("NeMo-RL", Path(sys.argv[1]), {"tokens": tokens, "nemo-rl": steps})
