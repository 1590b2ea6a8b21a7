"""Rows on their way from the file to the trainer: which split they are in, and that none weighs more than it says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from apollo_train.runtime import NothingToExport, TrainError
from apollo_train.trainers.preference_rows import PairRow, VerdictRow

COLUMNS: Final = {
    "sft": ("input_ids", "labels"),
    "dpo": tuple(name for name in PairRow.__struct_fields__ if name != "meta"),
    "kto": tuple(name for name in VerdictRow.__struct_fields__ if name != "meta"),
}
"""What each trainer reads of a row; everything else stays in the file."""


class UnequalWeights(TrainError):
    """The policy weighs rows, and the loss cannot."""


@dataclass(slots=True)
class Rows:
    """The rows of one split as columns."""

    columns: dict[str, list[Any]]
    weights: list[float] = field(default_factory=list)
    tokens: int = 0
    trained: int = 0

    def __len__(self) -> int:
        return len(self.weights)

    def dataset(self) -> Any:
        """The rows as a Hugging Face dataset."""
        import datasets

        return datasets.Dataset.from_dict(self.columns)


def read_rows(path: Path, method: str) -> dict[str, Rows]:
    """The rows of the file by split. Raises NothingToExport if none is for training."""
    found: dict[str, Rows] = {}
    names = COLUMNS[method]
    with path.open("rb") as lines:
        for line in lines:
            row = json.loads(line)
            rows = found.setdefault(row["meta"]["split"], Rows({name: [] for name in names}))
            for name in names:
                rows.columns[name].append(row[name])
            rows.weights.append(float(row["meta"]["weight"]))
            ids = [row[name] for name in names if name.endswith("_ids")]
            rows.tokens += sum(map(len, ids))
            rows.trained += sum(n != -100 for n in row["labels"]) if method == "sft" else sum(map(len, ids[1:]))
    if not len(found.get("train", ())):
        raise NothingToExport(f"no row of {path} is in the split for training: choose another policy")
    return found


def require_equal_weights(rows: Rows, apply: str) -> None:
    """Raises UnequalWeights where rows weigh differently and the file does not repeat them for it."""
    if apply != "resample" and len(set(rows.weights)) > 1:
        low, high = min(rows.weights), max(rows.weights)
        raise UnequalWeights(
            f"rows weigh {low:g} to {high:g}, and this loss knows no weights: say weights.apply = 'resample' in the "
            "policy, or let all rows weigh the same"
        )
