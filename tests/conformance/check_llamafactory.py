"""LLaMA-Factory: `tokenized_path` and the v0 collator on token rows, and v1's engine and renderer on segments."""

from __future__ import annotations

import importlib.machinery
import json
import os
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
from compare import Labelled, ours, rows, table, verdict
from transformers import AutoTokenizer

TEMPLATES_V0 = {"llama3": "llama3", "qwen3": "qwen3", "glm": "glm4_moe", "gemma": "gemma"}


def without_audio() -> None:
    """Its loader imports torchaudio, whose builds want CUDA libraries; text never calls it."""
    stub = types.ModuleType("torchaudio")
    stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = stub


def tokens(case: Path) -> str:
    """Our token rows, saved as a dataset and found by `tokenized_path`."""
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import DataArguments

    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    columns = ("input_ids", "attention_mask", "labels")
    given = [{key: row[key] for key in columns} for row in rows(case / "tokens.tokens.jsonl")]
    with tempfile.TemporaryDirectory() as folder:
        datasets.DatasetDict({"train": datasets.Dataset.from_list(given)}).save_to_disk(folder)
        arguments: Any = DataArguments(tokenized_path=folder)
        module: Any = get_dataset(TEMPLATES["empty"], None, arguments, None, "sft", tokenizer)
        collate = SFTDataCollatorWith4DAttentionMask(
            tokenizer=tokenizer, template=TEMPLATES["empty"], label_pad_token_id=-100
        )
        batches = [collate([row]) for row in module["train_dataset"]]
    found = [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in batches]
    return verdict(case, "tokens", found, tokenizer.decode)


def steps(case: Path) -> str:
    """Our step samples for v0, with `mask_history: true`."""
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    with tempfile.TemporaryDirectory() as folder:
        columns = {"messages": "conversations", "system": "system", "tools": "tools"}
        entry = {"file_name": str(ours(case, "llamafactory-v0")), "formatting": "sharegpt", "columns": columns}
        (Path(folder) / "dataset_info.json").write_text(json.dumps({"apollo": entry}))
        arguments: Any = DataArguments(
            dataset="apollo", dataset_dir=folder, template=TEMPLATES_V0[case.name], mask_history=True, cutoff_len=8192
        )
        model: Any = ModelArguments(model_name_or_path=str(case / "model"))
        template = get_template_and_fix_tokenizer(tokenizer, arguments)
        training = Seq2SeqTrainingArguments(output_dir=folder, use_cpu=True)
        module: Any = get_dataset(template, model, arguments, training, "sft", tokenizer)
        collate = SFTDataCollatorWith4DAttentionMask(tokenizer=tokenizer, template=template, label_pad_token_id=-100)
        batches = [collate([row]) for row in module["train_dataset"]]
    found = [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in batches]
    return verdict(case, "steps", found, tokenizer.decode)


def segments(case: Path) -> str:
    """Our file for v1, rendered by the templates that it has: Qwen3, and ChatML for all else."""
    from llamafactory.v1.core.data_engine import DataEngine
    from llamafactory.v1.core.utils.rendering import Renderer

    tokenizer = AutoTokenizer.from_pretrained(case / "model")
    engine = DataEngine(str(ours(case, "llamafactory-v1")))
    template = "qwen3" if case.name == "qwen3" else "chatml"
    made = Renderer(template=template, processor=tokenizer).process_samples([engine[at] for at in range(len(engine))])
    return verdict(case, "segments", list(_labelled(made)), tokenizer.decode)


def _labelled(made: list[dict[str, Any]]) -> Iterator[Labelled]:
    for row in made:
        pairs = zip(row["input_ids"], row["loss_weights"], strict=True)
        yield row["input_ids"], [number if weight > 0 else -100 for number, weight in pairs]


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    without_audio()
    table("LLaMA-Factory", Path(sys.argv[1]), {"tokens": tokens, "llamafactory-v0": steps, "llamafactory-v1": segments})
