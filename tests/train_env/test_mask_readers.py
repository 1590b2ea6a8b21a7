"""TRL trains what is masked in files of messages, as formats/readers.py says; and our adapter lets it cut no row."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
from tiny_models import renderer, tiny_llama, tokenizer
from training_log import SESSION
from trl import SFTConfig, SFTTrainer

from apollo_train.adapters.trl_tokens import load_rows
from apollo_train.export.run import run_export
from apollo_train.formats.readers import MASK_READERS
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import parse_policy
from sessions.log.reader import LogReader

POLICY = parse_policy("version = 1")


def trainer(folder: Path, rows: Any, **more: Any) -> SFTTrainer:
    config = SFTConfig(output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", **more)
    made = tokenizer("qwen3")
    return SFTTrainer(tiny_llama(len(made)), args=config, train_dataset=rows, processing_class=made)


@pytest.mark.parametrize("name", ["openai", "messages", "ms-swift", "axolotl"])
def test_trl_trains_what_is_masked_in_files_of_messages(reader: LogReader, tmp_path: Path, name: str) -> None:
    assert "TRL" in MASK_READERS[name].not_read_by
    run_export(reader, [SESSION], POLICY, name, tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    texts = [
        {
            "messages": [
                {"role": m["role"], "content": m["content"] or "."} for m in row["messages"] if m["role"] != "tool"
            ]
        }
        for row in rows
    ]
    made = trainer(tmp_path / "out", datasets.Dataset.from_list(texts), max_length=None)
    [batch] = list(made.get_train_dataloader())[:1]
    assert int((batch["labels"] != -100).sum()) == int(batch["attention_mask"].sum()), (
        "all of it, whatever the fields say"
    )


def test_a_row_that_max_length_would_cut_is_an_error_before_training(reader: LogReader, tmp_path: Path) -> None:
    made = TokensFormat(renderer("qwen3"))
    run_export(reader, [SESSION], POLICY, made, tmp_path / "rows.jsonl")
    path, longest = tmp_path / "rows.jsonl", made.report.longest
    good = SFTConfig(output_dir=str(tmp_path / "o"), max_length=None, use_cpu=True, bf16=False, report_to="none")
    rows = load_rows(path, good)
    assert [len(ids) for ids in rows["input_ids"]].count(longest) >= 1
    assert len(load_rows(path, SimpleNamespace(max_length=longest, packing=False))) == len(rows)
    for config, said in (
        (SimpleNamespace(max_length=longest - 1, packing=False), f"has {longest:,} tokens, and max_length"),
        (SimpleNamespace(max_length=None, packing=True), "say packing=False"),
        (SimpleNamespace(max_length=None, packing=False, assistant_only_loss=True), "other labels"),
    ):
        with pytest.raises(ValueError, match=said):
            load_rows(path, config)
    with pytest.raises(ValueError, match="no rows of the split 'test'"):
        load_rows(path, good, "test")
    trained = trainer(tmp_path / "out", rows, max_length=None).train_dataset
    assert [list(ids) for ids in trained["input_ids"]] == [list(ids) for ids in rows["input_ids"]]
