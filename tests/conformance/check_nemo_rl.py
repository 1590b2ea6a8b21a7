"""NeMo-RL: the functions that render and mask a conversation, from a checkout of its source (no package index has it).

As its SFT runs them with `only_unmask_final: true`, `add_generation_prompt: true` and `use_preserving_dataset: true`.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, Union, cast

import torch
from compare import Labelled, ours, table, verdict
from transformers import AutoTokenizer

WANTED = ("get_first_index_that_differs", "get_formatted_message_log", "add_loss_mask_to_message_log")


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
        mask = torch.cat([message["token_loss_mask"] for message in log]).tolist()
        yield ids, [number if on else -100 for number, on in zip(ids, mask, strict=True)]


def _functions() -> dict[str, Any]:
    """Their own functions, without the package around them: that wants Ray and a newer Python."""
    tree = ast.parse((Path(os.environ["SOURCE"]) / "nemo_rl/data/llm_message_utils.py").read_text("utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in WANTED]
    space: dict[str, Any] = {
        "Any": Any, "Optional": Optional, "Union": Union, "cast": cast, "torch": torch, "warnings": warnings,
        "Tensor": torch.Tensor, "LLMMessageLogType": list, "TokenizerType": Any, "TaskDataSpec": Any,
        "get_multimodal_default_settings_from_processor": lambda _: {},
        "load_media_from_message": lambda *_, **__: {},
    }  # fmt: skip
    exec(compile(tree, "llm_message_utils.py", "exec"), space)
    return space


if __name__ == "__main__":
    table("NeMo-RL", Path(sys.argv[1]), {"nemo-rl": steps})
