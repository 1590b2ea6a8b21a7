"""ms-swift: what `swift sft` makes of our files, from its command line to the batches that its trainer is given."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
from compare import Labelled, ours, rows, table, verdict
from swift.pipelines.train.sft import SwiftSft
from swift.trainers import TrainerFactory
from transformers import AutoTokenizer

TEMPLATES = {"llama3": "llama3_2", "qwen3": "qwen3", "glm": "glm4_5", "gemma": "gemma"}


def batches(case: Path, template: str, *options: str) -> Iterator[Labelled]:
    """The rows that `swift sft` with these options would train, without the padding."""
    with tempfile.TemporaryDirectory() as folder:
        made = SwiftSft(
            ["--model", str(case / "model"), "--model_type", "llama", "--template", template, "--tuner_type", "full",
             "--max_length", "8192", "--output_dir", folder, "--train_dataloader_shuffle", "false",
             "--per_device_train_batch_size", "1", "--torch_dtype", "float32", "--use_cpu", "true",
             "--dataset_shuffle", "false", "--report_to", "none", *options]
        )  # fmt: skip
        data, _ = made._prepare_dataset()
        kind = TrainerFactory.get_trainer_cls(made.args)
        trainer = kind(model=made.model, args=made.args.training_args, template=made.template, train_dataset=data)
        for batch in trainer.get_train_dataloader():
            yield batch["input_ids"][0].tolist(), batch["labels"][0].tolist()


def segments(case: Path) -> str:
    """Our file, as `swift sft --dataset FILE --template NAME` reads and encodes it."""
    found = list(batches(case, TEMPLATES[case.name], "--dataset", str(ours(case, "ms-swift")), "--strict", "true"))
    return verdict(case, "segments", found, _decoder(case))


def tokens(case: Path) -> str:
    """Our token rows, as `--cached_dataset FOLDER` takes rows that are encoded already."""
    given = [{key: row[key] for key in ("input_ids", "labels")} for row in rows(case / "tokens.tokens.jsonl")]
    columns = [{**row, "lengths": len(row["input_ids"])} for row in given]
    with tempfile.TemporaryDirectory() as folder:
        datasets.Dataset.from_list(columns).save_to_disk(folder)
        options = ("--cached_dataset", folder, "--truncation_strategy", "split")
        return verdict(case, "tokens", list(batches(case, TEMPLATES[case.name], *options)), _decoder(case))


def _decoder(case: Path) -> Callable[[list[int]], str]:
    """Ids to text."""
    decode: Callable[[list[int]], str] = AutoTokenizer.from_pretrained(case / "model").decode
    return decode


if __name__ == "__main__":
    table("ms-swift", Path(sys.argv[1]), {"tokens": tokens, "ms-swift": segments})
