"""TRL: the dataset as SFTTrainer prepares it, through its own collator."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compare import Labelled, ours, rows, table, verdict


def collated(case: Path, data: Any, **more: Any) -> Iterator[Labelled]:
    """Each row as the trainer's data loader gives it to the model, without the padding."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, max_length=None, per_device_train_batch_size=2, use_cpu=True, bf16=False,
            report_to="none", train_sampling_strategy="sequential", **more,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_pretrained(case / "model")
        trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
        for batch in trainer.get_train_dataloader():
            for at in range(len(batch["input_ids"])):
                length = int(batch["attention_mask"][at].sum())
                yield batch["input_ids"][at][:length].tolist(), batch["labels"][at][:length].tolist()


def decoder(case: Path) -> Any:
    """Ids to text."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(case / "model").decode


def tokens(packing: str) -> Any:
    """Our token rows."""

    def check(case: Path) -> str:
        import datasets

        given = [{key: row[key] for key in ("input_ids", "labels")} for row in rows(case / f"{packing}.tokens.jsonl")]
        return verdict(case, packing, collated(case, datasets.Dataset.from_list(given)), decoder(case))

    return check


def steps(case: Path) -> str:
    """Our step rows, rendered by TRL with the model's own template."""
    import datasets

    # Its JSON reader keeps the arguments of different calls apart; `Dataset.from_list` would merge them.
    given = datasets.load_dataset(
        "json", data_files=str(ours(case, "steps")), split="train", cache_dir=str(case / "cache")
    )
    given = given.select_columns(["prompt", "completion", "tools"])
    return verdict(case, "steps", collated(case, given), decoder(case))


CHECKS = {"tokens": tokens("tokens"), "tokens, unpacked": tokens("unpacked"), "steps": steps}

if __name__ == "__main__":
    table("TRL", Path(sys.argv[1]), CHECKS)
