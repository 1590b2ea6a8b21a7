"""TRL: the dataset as SFTTrainer, DPOTrainer and KTOTrainer prepare it, through their own collators."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from compare import Labelled, expected, ours, rows, table, verdict

NEEDS = {("steps", "glm"): "assistant_only_loss=True"}
"""With it TRL renders by a template of its own, which for GLM alone ends a reply with the stop token and no more."""


def arguments(folder: str) -> dict[str, Any]:
    """What all three trainers are told."""
    return {
        "output_dir": folder, "max_length": None, "per_device_train_batch_size": 2, "use_cpu": True, "bf16": False,
        "report_to": "none", "train_sampling_strategy": "sequential",
    }  # fmt: skip


def parts(case: Path) -> dict[str, Any]:
    """The model and the tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(case / "model")
    return {"model": model, "processing_class": AutoTokenizer.from_pretrained(case / "model")}


def collated(case: Path, data: Any, **more: Any) -> Iterator[Labelled]:
    """Each row as the trainer's data loader gives it to the model, without the padding."""
    from trl import SFTConfig, SFTTrainer

    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(**arguments(folder), **more)
        trainer = SFTTrainer(args=config, train_dataset=data, **parts(case))
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
    own = {"assistant_only_loss": True} if ("steps", case.name) in NEEDS else {}
    return verdict(case, "steps", collated(case, given, **own), decoder(case))


def preferences(method: Literal["dpo", "kto"]) -> Any:
    """Our messages for DPO or KTO, rendered by TRL with the model's own template."""

    def check(case: Path) -> str:
        import datasets
        from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

        # A folder of its own for each: its JSON reader keeps apart what `Dataset.from_list` would merge.
        file, cache = str(ours(case, method)), str(case / f"{method}.cache")
        given = datasets.load_dataset("json", data_files=file, split="train", cache_dir=cache).remove_columns("meta")
        config, kind = (DPOConfig, DPOTrainer) if method == "dpo" else (KTOConfig, KTOTrainer)
        with tempfile.TemporaryDirectory() as folder:
            made = kind(args=config(**arguments(folder)), train_dataset=given, **parts(case))
            return judged(case, method, made)

    return check


def preference_tokens(method: Literal["dpo", "kto"]) -> Any:
    """The rows of ids that `apollo-train dpo` and `kto` hand to the same trainers."""

    def check(case: Path) -> str:
        from apollo_train.trainers.data import read_rows
        from apollo_train.trainers.preference_trainers import dpo_trainer, kto_trainer

        made = dpo_trainer if method == "dpo" else kto_trainer
        rows = read_rows(case / f"{method}.tokens.jsonl", method)["train"]
        with tempfile.TemporaryDirectory() as folder:
            return judged(case, method, made(arguments(folder), rows, None, beta=0.1, **parts(case)))

    return check


def judged(case: Path, method: Literal["dpo", "kto"], trainer: Any) -> str:
    """What a trainer compares: the tokens of each reply that count, at their prompt, and whether it is wanted."""
    found: list[Labelled] = []
    good: list[bool] = []
    for batch in trainer.get_train_dataloader():
        columns = [batch[key].tolist() for key in ("input_ids", "attention_mask", "completion_mask")]
        both = [_labelled(*row) for row in zip(*columns, strict=True)]
        if method == "kto":
            found += both
            good += batch["label"].tolist()
            continue
        pairs = len(both) // 2
        for chosen, rejected in zip(both[:pairs], both[pairs:], strict=True):
            found += [chosen, rejected]
            good += [True, False]
    said = verdict(case, method, found, decoder(case))
    return said if good == [row["good"] for row in expected(case, method)] else f"takes good for bad; {said}"


def _labelled(ids: list[int], attention: list[int], counts: list[int]) -> Labelled:
    length = sum(attention)
    pairs = zip(ids[:length], counts[:length], strict=True)
    return ids[:length], [number if on else -100 for number, on in pairs]


CHECKS = {
    "tokens": tokens("tokens"),
    "tokens, unpacked": tokens("unpacked"),
    "tokens, dpo": preference_tokens("dpo"),
    "tokens, kto": preference_tokens("kto"),
    "steps": steps,
    "dpo": preferences("dpo"),
    "kto": preferences("kto"),
}

if __name__ == "__main__":
    table("TRL", Path(sys.argv[1]), CHECKS, NEEDS)
