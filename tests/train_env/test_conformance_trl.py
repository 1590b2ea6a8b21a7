from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))

import cases
import check_trl
import compare
import tiny_models

from apollo_train.formats.conformance import conformance, family_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cases")
    cases.write(made)
    return made


@pytest.mark.parametrize("packing", ["tokens", "unpacked"])
@pytest.mark.parametrize("name", compare.NAMES)
def test_trl_trains_exactly_the_positions_of_our_token_rows(folder: Path, name: str, packing: str) -> None:
    wanted = compare.expected(folder / name, packing)
    assert sum(len(row["trained"]) for row in wanted) > 20
    assert all(len(row["trained"]) < len(row["ids"]) for row in wanted)
    assert check_trl.tokens(packing)(folder / name) == "equal"


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("name", compare.NAMES)
def test_trl_compares_exactly_the_replies_of_our_token_rows(folder: Path, name: str, method: str) -> None:
    wanted = compare.expected(folder / name, method)
    assert sum(row["good"] for row in wanted) == 2
    assert sum(not row["good"] for row in wanted) >= 2
    assert all(0 < len(row["trained"]) < len(row["ids"]) for row in wanted)
    assert check_trl.CHECKS[f"tokens, {method}"](folder / name) == "equal"


@pytest.mark.parametrize("form", ["steps", "dpo", "kto"])
@pytest.mark.parametrize("name", compare.NAMES)
def test_what_trl_makes_of_messages_is_what_is_committed(folder: Path, name: str, form: str) -> None:
    result = conformance().of(form, name)
    assert result is not None
    assert check_trl.CHECKS[form](folder / name) == result.says
    assert check_trl.NEEDS.get((form, name), "") == result.needs


def test_a_good_reply_that_trl_takes_for_a_bad_one_is_found_out(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "llama3", tmp_path / "llama3")
    rows = compare.rows(tmp_path / "llama3" / "kto.jsonl")
    lines = [json.dumps(row | {"label": not row["label"]}) for row in rows]
    (tmp_path / "llama3" / "kto.jsonl").write_text("\n".join(lines))
    assert check_trl.CHECKS["kto"](tmp_path / "llama3").startswith("takes good for bad; equal")


def test_the_templates_that_were_run_are_those_that_the_exporter_knows(folder: Path) -> None:
    for name, known in conformance().templates.items():
        assert family_of(str(folder / name / "model")) == name
        assert hashlib.sha256(tiny_models.template(name).encode()).hexdigest() == known.sha256


@pytest.mark.parametrize(
    ("ids", "labels", "said"),
    [
        ([1, 2, 3], [-100, 2, 3], "equal"),
        ([1, 2, 3], [1, 2, 3], "also trains"),
        ([1, 2, 3], [-100, -100, 3], "does not train"),
        ([1, 2], [-100, 2], "does not train"),
        ([1, 9, 3], [-100, 9, 3], "has other text:"),
    ],
)
def test_the_comparison_sees_every_difference(tmp_path: Path, ids: list[int], labels: list[int], said: str) -> None:
    (tmp_path / "expected.json").write_text('{"rounds": [{"ids": [1, 2, 3], "trained": [1, 2]}]}')
    assert compare.verdict(tmp_path, "rounds", [(ids, labels)], str).startswith(said)
    assert compare.verdict(tmp_path, "rounds", [], str) == "has 0 rows of 1"


def test_rows_that_are_missing_do_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    wanted = [{"ids": [n, 2, 3], "trained": [2]} for n in (1, 5)]
    (tmp_path / "expected.json").write_text(json.dumps({"rounds": wanted}))
    assert compare.verdict(tmp_path, "rounds", [([5, 2, 3], [-100, -100, 3])], str) == "has 1 rows of 2"
    said = compare.verdict(tmp_path, "rounds", [([5, 2, 3], [-100, 2, 3])], str)
    assert said.startswith("has 1 rows of 2; also trains")
