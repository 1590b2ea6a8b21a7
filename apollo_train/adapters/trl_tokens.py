"""TRL: rows of ``apollo-train tokens`` as they are, and an error where a configuration would cut one.

TRL cuts a row behind ``max_length`` tokens (1,024 where nobody says otherwise) without a word, and what an agent did
last is behind them; packing by length cuts rows, or joins parts of them. Put this folder on PYTHONPATH:

    from trl import SFTConfig, SFTTrainer
    from trl_tokens import load_rows

    config = SFTConfig(output_dir="runs/trl", max_length=None, packing=False)
    SFTTrainer(MODEL, args=config, train_dataset=load_rows("rows.jsonl", config)).train()
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_rows(path: str | Path, config: Any, split: str = "train") -> Any:
    """The rows of a split as a data set for ``SFTTrainer(args=config)``.

    Raises ValueError, one line, where this configuration would cut a row or train something else than its labels.
    """
    import datasets

    if config.packing:
        raise ValueError(
            "packing=True cuts rows by length or joins them: say packing=False, the rows are packed already"
        )
    for name in ("completion_only_loss", "assistant_only_loss"):
        if getattr(config, name, None):
            raise ValueError(f"{name}=True makes other labels than those of the rows: leave it out")
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    with Path(path).open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            if row["meta"]["split"] != split:
                continue
            length = len(row["input_ids"])
            if config.max_length is not None and length > config.max_length:
                raise ValueError(
                    f"row {row['meta']['id']} has {length:,} tokens, and max_length={config.max_length:,} would cut "
                    "off its end: say max_length=None, or write rows with `apollo-train tokens --max-length "
                    f"{config.max_length} --too-long exclude` (or keep_end)"
                )
            for name, values in columns.items():
                values.append(row[name])
    if not columns["input_ids"]:
        raise ValueError(f"{path} has no rows of the split {split!r}")
    return datasets.Dataset.from_dict(columns)
