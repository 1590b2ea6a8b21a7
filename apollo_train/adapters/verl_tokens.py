"""Our token rows in verl, whose own data set masks nothing.

Say ``data.custom_cls.path=…/verl_tokens.py data.custom_cls.name=TokenRows data.pad_mode=no_padding``, and name as
``data.train_files`` the Parquet file that ``apollo-train tokens --parquet`` writes. A row that is longer than
``data.max_length`` is an error, because cutting it would take the reply off.
"""

from __future__ import annotations

from typing import Any

import pyarrow.parquet
import torch

IGNORED = -100


class TokenRows(torch.utils.data.Dataset):  # type: ignore[misc]  # torch is not there to be read
    """The rows of one or several files, each as verl's collator wants it."""

    def __init__(
        self, parquet_files: Any, tokenizer: Any, config: Any, processor: Any = None, max_samples: int = -1
    ) -> None:
        """Raises ValueError for a row that is too long."""
        files = [parquet_files] if isinstance(parquet_files, str) else list(parquet_files)
        self.rows: list[tuple[list[int], list[int]]] = []
        for file in files:
            columns = pyarrow.parquet.read_table(file, columns=["input_ids", "labels"]).to_pydict()
            self.rows += zip(columns["input_ids"], columns["labels"], strict=True)
        if max_samples >= 0:
            self.rows = self.rows[:max_samples]
        limit, longest = int(config.get("max_length", 1024)), max((len(ids) for ids, _ in self.rows), default=0)
        if longest > limit:
            raise ValueError(f"the longest row has {longest} tokens: set data.max_length to that, not {limit}")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        ids, labels = (torch.tensor(column, dtype=torch.long) for column in self.rows[at])
        return {"input_ids": ids, "position_ids": torch.arange(len(ids)), "loss_mask": (labels != IGNORED).long()}
