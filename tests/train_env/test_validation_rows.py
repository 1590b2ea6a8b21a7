from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_models import tiny_llama, tokenizer
from training_log import MANY, Teller, new_log

from apollo_train.cli.main import main
from apollo_train.policy import SplitRules
from apollo_train.samples.row_meta import split_of
from apollo_train.trainers.metrics import read_metrics
from sessions import events as ev

QUICK = ["--no-checkpointing", "--schedule", "constant", "--accumulate", "1", "--lora", "0", "--batch", "2"]
SPLIT = SplitRules(validation=0.4, test=0.3, seed="x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two sessions for each split, each with a pair and a good mark; a tiny model and a policy."""
    made = tmp_path_factory.mktemp("splits")
    names = [f"task {number}" for number in range(60)]
    tasks = [
        name
        for split in ("train", "validation", "test")
        for name in [n for n in names if split_of(n, SPLIT) == split][:2]
    ]

    async def tell() -> None:
        writer = await new_log(made)
        for name, task in zip(MANY, tasks, strict=True):
            told = await Teller(writer, name).begin(task_id=task)
            await told.reply(("run", '{"command":"kill 7"}'), reasoning="Quick.")
            await told.refuse(why="skipped_for_advice", shown="skipped for advice")
            await told.flag(ev.Target(1, "call", 1))
            await told.advise("Think of the data.", "strategy")
            await told.act("wait", reasoning="Slow.")
            await told.flag(ev.Target(2, "call", 1), verdict="good")
        await writer.close()

    asyncio.run(tell())
    tokenizer("qwen3").save_pretrained(made / "base")
    tiny_llama(len(tokenizer("qwen3"))).save_pretrained(made / "base")
    text = "version = 1\n[split]\nvalidation = 0.4\ntest = 0.3\nseed = 'x'\n"
    (made / "split.toml").write_text(text)
    return made


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_rows_of_validation_are_evaluated_and_those_of_test_never_read(
    folder: Path, tmp_path: Path, method: str
) -> None:
    words = ["--log", str(folder / "log.sqlite"), "--model", str(folder / "base"), "--output", str(tmp_path / "out")]
    ran = CliRunner().invoke(main, [method, *words, *QUICK, "--policy", str(folder / "split.toml"), "--epochs", "2"])
    assert ran.exit_code == 0, ran.output
    rows = [json.loads(line) for line in (tmp_path / "out" / "data" / "rows.jsonl").read_text().splitlines()]
    per_split = {"sft": 4, "dpo": 2, "kto": 4}[method]
    assert sorted(row["meta"]["split"] for row in rows) == sorted(["train", "validation", "test"] * per_split)
    assert f"{per_split:,} rows," in ran.output
    metrics = read_metrics(tmp_path / "out")
    assert len([line for line in metrics if "eval_loss" in line]) == 2
    assert all(line["eval_loss"] > 0 for line in metrics if "eval_loss" in line)
