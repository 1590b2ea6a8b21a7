from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
import torch
from tiny_models import tiny_llama
from transformers import Trainer, TrainingArguments

from apollo_train.adapters import nemo_rl_tokens
from apollo_train.adapters.verl_tokens import TokenRows


def file(folder: Path, name: str, *lengths: int) -> str:
    rows = [{"input_ids": list(range(n)), "labels": [-100] * (n - 1) + [n - 1]} for n in lengths]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / name)
    return str(folder / name)


def test_verl_gets_the_rows_of_all_files_with_loss_where_there_is_a_label(tmp_path: Path) -> None:
    files = [file(tmp_path, "a.parquet", 3, 4), file(tmp_path, "b.parquet", 2)]
    made = TokenRows(parquet_files=files, tokenizer=None, config={"max_length": 4})
    assert len(made) == 3
    assert [made[at]["input_ids"].tolist() for at in range(3)] == [[0, 1, 2], [0, 1, 2, 3], [0, 1]]
    assert [made[at]["loss_mask"].tolist() for at in range(3)] == [[0, 0, 1], [0, 0, 0, 1], [0, 1]]
    assert made[1]["position_ids"].tolist() == [0, 1, 2, 3]
    assert len(TokenRows(files[0], None, {"max_length": 4}, max_samples=1)) == 1


def test_a_row_that_is_too_long_is_an_error_and_never_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set data"):
        TokenRows(file(tmp_path, "a.parquet", 9), None, {"max_length": 8})


def test_nemo_rl_gets_a_turn_for_each_stretch_with_and_without_loss(tmp_path: Path) -> None:
    row = {"input_ids": [1, 2, 3, 4, 5], "labels": [-100, 2, 3, -100, 5], "meta": {"id": "a"}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    made = nemo_rl_tokens.TokenRows(data_path=str(tmp_path / "rows.jsonl"), dataset_name="x", split=None)
    made.set_task_spec({"processor": "sft_processor"})
    made.set_processor()
    [entry] = made.dataset
    assert entry["task_name"] == made.task_name
    datum = made.processor(entry, made.task_spec, None, 6, 0, add_bos=True, add_eos=True, add_generation_prompt=True)
    assert [(turn["role"], turn["token_ids"].tolist()) for turn in datum["message_log"]] == [
        ("user", [1]),
        ("assistant", [2, 3]),
        ("user", [4]),
        ("assistant", [5]),
    ]
    assert (datum["length"], datum["loss_multiplier"]) == (5, 1.0)
    with pytest.raises(ValueError, match="set data"):
        made.processor(entry, made.task_spec, None, 5, 0)


def as_axolotl_trains(folder: Path, rows: list[dict[str, list[int]]]) -> Any:
    """transformers' trainer, told what Axolotl's tells itself: that no model takes the number of trained tokens."""
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=1, gradient_accumulation_steps=len(rows), max_steps=1,
        logging_steps=1, report_to="none", use_cpu=True, save_strategy="no", average_tokens_across_devices=False,
    )  # fmt: skip
    torch.manual_seed(0)
    made = Trainer(tiny_llama(32), arguments, train_dataset=datasets.Dataset.from_list(rows))
    made.model_accepts_loss_kwargs = False
    return made


def test_axolotl_weighs_tokens_alike_and_not_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = ModuleType("axolotl.integrations.base")
    base.BasePlugin = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "axolotl.integrations.base", base)
    monkeypatch.setitem(sys.modules, "axolotl", ModuleType("axolotl"))
    monkeypatch.setitem(sys.modules, "axolotl.integrations", ModuleType("axolotl.integrations"))
    plugin = importlib.import_module("apollo_train.adapters.axolotl_tokens").TokenMean()
    ids = list(range(1, 13))
    rows = [{"input_ids": ids, "labels": ids}, {"input_ids": ids[::-1], "labels": [-100] * 11 + [1]}]

    without, with_it = as_axolotl_trains(tmp_path, rows), as_axolotl_trains(tmp_path, rows)
    plugin.post_trainer_create(None, with_it)
    means = []
    for row in rows:
        with torch.no_grad():
            made = without.model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]]))
        means.append(made.loss.item())
    assert abs(means[0] - means[1]) > 0.01
    without.train()
    with_it.train()
    assert without.state.log_history[0]["loss"] == pytest.approx((means[0] + means[1]) / 2, abs=1e-4)
    assert with_it.state.log_history[0]["loss"] == pytest.approx((11 * means[0] + means[1]) / 12, abs=1e-4)
