from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

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
