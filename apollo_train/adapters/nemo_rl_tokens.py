"""Our token rows in NeMo-RL, whose own data code would render messages.

Say ``data.train.dataset_name=nemo_rl_tokens.TokenRows data.train.data_path=rows.jsonl``, with this file on the Python
path, and leave ``sft.only_unmask_final`` false. A row becomes turns of ids: ``assistant`` where it is trained, ``user``
where not, which is what its loss mask goes by. A row that is too long is an error, because it would be left out.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

IGNORED = -100
TASK = "apollo"


class TokenRows:
    """The rows of one file, as ``load_response_dataset`` asks for them."""

    task_name = TASK
    val_dataset = None

    def __init__(self, data_path: str, **_: Any) -> None:
        """Reads the whole file."""
        with Path(data_path).open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        self.dataset = [{"task_name": TASK, **{key: row[key] for key in ("input_ids", "labels")}} for row in rows]
        self.processor = process

    def set_task_spec(self, data_config: Any) -> None:
        """There is no prompt to put around a row."""
        self.task_spec = SimpleNamespace(prompt=None, system_prompt=None)

    def set_processor(self) -> None:
        """Nothing to look up: the one in this file is meant, whatever the configuration's default is."""


def process(
    datum_dict: dict[str, Any], task_data_spec: Any, tokenizer: Any, max_seq_length: int | None, idx: int, **_: Any
) -> dict[str, Any]:
    """One row. Raises ValueError for a row that is too long."""
    ids, labels = datum_dict["input_ids"], datum_dict["labels"]
    if max_seq_length is not None and len(ids) >= max_seq_length:
        raise ValueError(f"row {idx} has {len(ids)} tokens: set data.max_input_seq_length above that")
    log, at = [], 0
    for trained, group in groupby(label != IGNORED for label in labels):
        end = at + len(list(group))
        role = "assistant" if trained else "user"
        log.append({"role": role, "content": "", "token_ids": torch.tensor(ids[at:end], dtype=torch.long)})
        at = end
    return {"message_log": log, "length": len(ids), "extra_env_info": None, "loss_multiplier": 1.0, "idx": idx}
