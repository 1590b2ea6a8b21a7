"""verl: its multi-turn SFT data set, on the Parquet file that our page says how to make."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
from compare import Labelled, ours, rows, table, verdict
from transformers import AutoTokenizer
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.import_utils import load_extern_object

ADAPTER = Path(__file__).parents[2] / "apollo_train" / "adapters" / "verl_tokens.py"


def tokens(case: Path) -> str:
    """Our token rows, through the data set class that we hand to verl, and its collator."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    file = str(case / "tokens.parquet")
    given = [{key: row[key] for key in ("input_ids", "labels")} for row in rows(case / "tokens.tokens.jsonl")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(given), file)
    made = load_extern_object(str(ADAPTER), "TokenRows")(
        parquet_files=[file], tokenizer=tokenizer, config={"max_length": 8192}, processor=None, max_samples=-1
    )
    batch = SFTTensorCollator(DatasetPadMode.NO_PADDING)([made[at] for at in range(len(made))])
    both = zip(batch["input_ids"].unbind(), batch["loss_mask"].unbind(), strict=True)
    return verdict(case, "tokens", [_masked(ids.tolist(), mask.tolist()) for ids, mask in both], tokenizer.decode)


def segments(case: Path) -> str:
    """Whole segments, each reply trained."""
    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    file = str(case / "verl.parquet")
    given = [{key: row[key] for key in ("messages", "tools") if key in row} for row in rows(ours(case, "verl"))]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(given), file)
    config = {"max_length": 8192, "pad_mode": "no_padding", "truncation": "error"}
    made = MultiTurnSFTDataset(file, tokenizer, config)
    return verdict(case, "everything", list(_labelled(made)), tokenizer.decode)


def _labelled(made: MultiTurnSFTDataset) -> Iterator[Labelled]:
    for at in range(len(made)):
        yield _masked(made[at]["input_ids"].tolist(), made[at]["loss_mask"].tolist())


def _masked(ids: list[int], mask: list[int]) -> Labelled:
    return ids, [number if on else -100 for number, on in zip(ids, mask, strict=True)]


if __name__ == "__main__":
    table("verl", Path(sys.argv[1]), {"tokens": tokens, "verl": segments})
