from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from tiny_models import engine, tiny_llama, tokenizer
from training_log import Teller, new_log
from transformers import AutoModelForCausalLM

from apollo_train.cli.main import main
from apollo_train.trainers.metrics import read_metrics
from apollo_train.trainers.record import read_record
from sessions import events as ev

QUICK = ["--no-checkpointing", "--schedule", "constant", "--accumulate", "1", "--learning-rate", "0.003", "--lora", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two pairs, one refusal, and marks of both kinds; and a tiny model."""
    made = tmp_path_factory.mktemp("preferences")

    async def tell() -> None:
        writer = await new_log(made)
        told = await Teller(writer).begin()
        for bad, good in (("kill 7", "wait"), ("rm -rf data", "ls data")):
            await told.reply(("run", json.dumps({"command": bad})), reasoning="Quick.")
            await told.refuse(why="skipped_for_advice", shown="skipped for advice")
            await told.flag(ev.Target(told.step))
            await told.advise("Think of the data.", "strategy")
            await told.act(good, reasoning="Slow.")
            await told.flag(ev.Target(told.step), verdict="good")
        await told.act("kill 9", reasoning="Quick.")
        await told.flag(ev.Target(told.step))
        await writer.close()

    asyncio.run(tell())
    tokenizer("qwen3").save_pretrained(made / "base")
    tiny_llama(len(tokenizer("qwen3"))).save_pretrained(made / "base")
    return made


def train(folder: Path, method: str, output: Path, *more: str) -> Result:
    start = [method, "--log", str(folder / "log.sqlite"), "--model", str(folder / "base"), "--output", str(output)]
    return CliRunner().invoke(main, [*start, *QUICK, *more])


def rows_of(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "data" / "rows.jsonl").read_text().splitlines()]


def score(model: Any, prompt: list[int], target: list[int]) -> float:
    ids = torch.tensor([[*prompt, *target]])
    with torch.no_grad():
        found = torch.log_softmax(model(input_ids=ids).logits[0, len(prompt) - 1 : -1], -1)
    return float(found.gather(-1, torch.tensor(target)[:, None]).sum())


@pytest.mark.parametrize("rank", ["0", "4"])
def test_dpo_prefers_what_was_done_instead_and_counts_what_makes_no_pair(
    folder: Path, tmp_path: Path, rank: str
) -> None:
    ran = train(folder, "dpo", tmp_path / "out", "--max-steps", "6", "--batch", "2", "--lora", rank)
    assert ran.exit_code == 0, ran.output
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 2
    for row in rows:
        assert "Think of the data" not in engine("qwen3").decode(row["prompt_ids"])[-200:]
        assert engine("qwen3").decode(row["chosen_ids"]).endswith("<|im_end|>")
        assert engine("qwen3").decode(row["rejected_ids"]).startswith("<think>\nQuick.")
    record = read_record(tmp_path / "out")
    assert record["counts"] == {"rows": 2, "good": 0, "refused": {"no_redo": 1}}
    margins = [line["rewards/margins"] for line in read_metrics(tmp_path / "out") if "rewards/margins" in line]
    assert margins[-1] > margins[0]
    assert margins[-1] > 0


@pytest.fixture(scope="module")
def corrected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of corrections: with reasoning as the reply has, without where the reply has none, and without alone."""
    made = tmp_path_factory.mktemp("corrected")

    async def tell() -> None:
        writer = await new_log(made)
        told = await Teller(writer).begin()
        instead = 'Look first.\nrun {"command": "ls data"}'
        for reasoning, text in (
            ("Quick.", f"<think>\nThe data is needed.\n</think>\n{instead}"),
            ("", instead),
            ("Quick.", instead),
        ):
            await told.act("rm -rf data", reasoning=reasoning)
            await told.flag(ev.Target(told.step))
            await told.tell(ev.CorrectionWritten(target=ev.Target(told.step), text=text), actor="human:ann")
        await writer.close()

    asyncio.run(tell())
    (made / "base").symlink_to(folder / "base")
    return made


def test_dpo_trains_on_corrections_of_replies_that_ran_where_both_think_or_neither_does(
    corrected: Path, tmp_path: Path
) -> None:
    ran = train(corrected, "dpo", tmp_path / "out", "--max-steps", "6", "--batch", "2")
    assert ran.exit_code == 0, ran.output
    decode = engine("qwen3").decode
    call = '<tool_call>\n{{"name": "run", "arguments": {{"command": "{}"}}}}\n</tool_call><|im_end|>'
    both, neither = rows_of(tmp_path / "out")
    thought = "<think>\nThe data is needed.\n</think>\n\nLook first.\n"
    assert decode(both["chosen_ids"]) == thought + call.format("ls data")
    assert decode(both["rejected_ids"]) == "<think>\nQuick.\n</think>\n\n" + call.format("rm -rf data")
    assert decode(neither["chosen_ids"]) == "Look first.\n" + call.format("ls data")
    assert decode(neither["rejected_ids"]) == call.format("rm -rf data")
    assert decode(neither["prompt_ids"]).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert read_record(tmp_path / "out")["counts"] == {"rows": 2, "good": 0, "refused": {"reasoning": 1}}
    said = "refused: 1 reasoning: one of the two has reasoning and the other none"
    assert said in ran.output and "may begin with <think>" in ran.output
    margins = [line["rewards/margins"] for line in read_metrics(tmp_path / "out") if "rewards/margins" in line]
    assert margins[-1] > max(0, margins[0])


def test_kto_makes_good_replies_likelier_against_bad_ones(folder: Path, tmp_path: Path) -> None:
    ran = train(folder, "kto", tmp_path / "out", "--max-steps", "8", "--batch", "5")
    assert ran.exit_code == 0, ran.output
    rows = rows_of(tmp_path / "out")
    assert [row["label"] for row in rows] == [False, True, False, True, False]
    assert read_record(tmp_path / "out")["counts"] == {"rows": 5, "good": 2, "refused": {}}
    before = AutoModelForCausalLM.from_pretrained(folder / "base").eval()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").eval()
    moved = {True: 0.0, False: 0.0}
    for row in rows:
        ids = (row["prompt_ids"], row["completion_ids"])
        moved[row["label"]] += (score(after, *ids) - score(before, *ids)) / len(ids[1])
    assert moved[True] > moved[False]


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_resumed_run_goes_on_as_if_nothing_had_happened(folder: Path, tmp_path: Path, method: str) -> None:
    more = ["--batch", "2", "--save-steps", "2"]
    assert train(folder, method, tmp_path / "whole", "--max-steps", "4", *more).exit_code == 0
    assert train(folder, method, tmp_path / "cut", "--max-steps", "2", *more).exit_code == 0
    ran = train(folder, method, tmp_path / "cut", "--max-steps", "4", *more, "--resume")
    assert ran.exit_code == 0, ran.output
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
    assert len(losses(tmp_path / "cut")) == 4
    other = "kto" if method == "dpo" else "dpo"
    assert "another method" in train(folder, other, tmp_path / "cut", "--max-steps", "6", *more, "--resume").output


def losses(output: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_metrics(output) if "loss" in line}


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_rows_are_repeated_for_their_weight_and_refused_where_nobody_does(
    folder: Path, tmp_path: Path, method: str
) -> None:
    policy = tmp_path / "twins.toml"
    policy.write_text("version = 1\npreset = 'twins'\n[weights]\napply = 'resample'\n")
    ran = train(folder, method, tmp_path / "out", "--max-steps", "1", "--batch", "2", "--policy", str(policy))
    assert ran.exit_code == 0, ran.output
    rows = rows_of(tmp_path / "out")
    assert {row["meta"]["weight"] for row in rows} == {0.5, 1.0}
    ids = [row["meta"]["id"] for row in rows]
    assert all(ids.count(row["meta"]["id"]) == row["meta"]["weight"] * 2 for row in rows)
    assert read_record(tmp_path / "out")["counts"]["rows"] == len(set(ids))
    policy.write_text(policy.read_text().replace("resample", "column"))
    refused = train(folder, method, tmp_path / "not", "--max-steps", "1", "--batch", "2", "--policy", str(policy))
    assert (refused.exit_code, "this loss knows no weights" in refused.output) == (1, True)
    policy.write_text("version = 1\n[weights]\nnormalise = 'session'\n")
    ran = train(folder, method, tmp_path / "one", "--max-steps", "1", "--batch", "2", "--policy", str(policy))
    assert ran.exit_code == 0, ran.output
    weights = [row["meta"]["weight"] for row in rows_of(tmp_path / "one")]
    assert sum(weights) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_what_is_too_long_is_an_error_until_somebody_chooses(folder: Path, tmp_path: Path, method: str) -> None:
    more = ["--max-steps", "1", "--batch", "2", "--max-length", "60"]
    ran = train(folder, method, tmp_path / "out", *more)
    assert (ran.exit_code, "--too-long exclude" in ran.output) == (1, True)
    ran = train(folder, method, tmp_path / "out", *more, "--too-long", "keep_end")
    assert ran.exit_code == 0, ran.output
    for row in rows_of(tmp_path / "out"):
        replies = [ids for name, ids in row.items() if name in ("chosen_ids", "rejected_ids", "completion_ids")]
        assert all(len(row["prompt_ids"]) + len(ids) <= 60 for ids in replies)


def test_nothing_to_learn_from_is_one_line(story: Path, folder: Path, tmp_path: Path) -> None:
    start = [
        "dpo",
        "--log",
        str(story / "log.sqlite"),
        "--model",
        str(folder / "base"),
        "--output",
        str(tmp_path / "o"),
    ]
    ran = CliRunner().invoke(main, [*start, *QUICK])
    assert ran.exit_code == 1
    assert "nothing to write (1 no_redo, 1 ran): a pair needs a flagged reply" in ran.output
    alone = train(folder, "kto", tmp_path / "k", "--batch", "1")
    assert alone.exit_code == 1
    assert "--batch 2" in alone.output
