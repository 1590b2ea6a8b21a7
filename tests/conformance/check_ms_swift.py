"""ms-swift: rows that are encoded already, and its loader, templates and collator on segments with a boolean `loss`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import datasets
from compare import ours, rows, table, verdict
from swift.dataset import load_dataset
from swift.model import get_processor
from swift.pipelines.utils import get_cached_dataset
from swift.template import get_template

TEMPLATES = {"llama3": "llama3_2", "qwen3": "qwen3", "glm": "glm4_5", "gemma": "gemma"}


def segments(case: Path) -> str:
    """Our file, as `swift sft --dataset FILE --template NAME` reads it."""
    processor = get_processor(str(case / "model"), model_type="llama")
    template = get_template(processor, template_type=TEMPLATES[case.name], max_length=8192)
    template.set_mode("train")
    data, _ = load_dataset([str(ours(case, "ms-swift"))], split_dataset_ratio=0.0, num_proc=1)
    found = []
    for row in data:
        batch = template.data_collator([template.encode(dict(row))])
        found.append((batch["input_ids"][0].tolist(), batch["labels"][0].tolist()))
    return verdict(case, "segments", found, processor.decode)


def tokens(case: Path) -> str:
    """Our token rows, as `--cached_dataset FOLDER` takes rows that are encoded already."""
    processor = get_processor(str(case / "model"), model_type="llama")
    template = get_template(processor, template_type="dummy", max_length=8192)
    template.set_mode("train")
    given = [{key: row[key] for key in ("input_ids", "labels")} for row in rows(case / "tokens.tokens.jsonl")]
    columns = [{**row, "lengths": len(row["input_ids"])} for row in given]
    with tempfile.TemporaryDirectory() as folder:
        datasets.Dataset.from_list(columns).save_to_disk(folder)
        arguments = SimpleNamespace(
            cached_dataset=[folder], cached_val_dataset=[], data_seed=0, max_length=8192, truncation_strategy="delete",
            dataset_shuffle=False,
        )  # fmt: skip
        [[data], _] = get_cached_dataset(arguments)
        batches = [template.data_collator([dict(row)]) for row in data]
    found = [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in batches]
    return verdict(case, "tokens", found, processor.decode)


if __name__ == "__main__":
    table("ms-swift", Path(sys.argv[1]), {"tokens": tokens, "ms-swift": segments})
