from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny_models import tiny_llama, tokenizer
from training_log import Teller, new_log

from apollo_train.cli.main import main
from apollo_train.folder_lock import lock_folder
from apollo_train.templates.engine import NoTokenizer, open_engine
from sessions import events as ev


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a bad reply and a good one, and a tiny model."""
    made = tmp_path_factory.mktemp("starting")

    async def tell() -> None:
        writer = await new_log(made)
        told = await Teller(writer).begin()
        for command, verdict in (("kill 9", "bad"), ("wait", "good")):
            await told.act(command, reasoning="Quick.")
            await told.flag(ev.Target(told.step), verdict=verdict)  # type: ignore[arg-type]
        await writer.close()

    asyncio.run(tell())
    tokenizer("qwen3").save_pretrained(made / "base")
    tiny_llama(len(tokenizer("qwen3"))).save_pretrained(made / "base")
    return made


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def start(folder: Path, method: str, output: Path, *more: str) -> Result:
    whole = ("--max-steps", "1", "--accumulate", "1", "--lora", "0", "--no-checkpointing", *more)
    return run(method, "--log", folder / "log.sqlite", "--model", folder / "base", "--output", output, *whole)


def refused(done: Result) -> str:
    assert done.exit_code == 1 and done.stderr.count("\n") == 1, done.output
    return done.stderr


def test_kto_compares_two_replies_unasked_and_a_refusal_leaves_the_folder_free(folder: Path, tmp_path: Path) -> None:
    assert "--batch 2 or more" in refused(start(folder, "kto", tmp_path, "--batch", "1"))
    done = start(folder, "kto", tmp_path)
    assert done.exit_code == 0, done.output
    assert "2 rows" in done.output and "1 process\n" in done.output
    assert "say --resume" in refused(start(folder, "kto", tmp_path))


def test_a_run_that_failed_before_its_first_step_can_be_started_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "apollo.train.json").write_text("{}")
    done = start(folder, "sft", tmp_path)
    assert done.exit_code == 0, done.output


def test_a_run_that_was_stopped_before_its_first_checkpoint_is_not_said_to_be_resumable(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    said = refused(start(folder, "sft", tmp_path))
    assert "stopped before its first checkpoint: remove it" in said and "--resume" not in said


def test_two_runs_in_one_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    with lock_folder(tmp_path, "run"):
        assert "another run is under way" in refused(start(folder, "sft", tmp_path))


def test_an_output_that_cannot_be_written_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot write into the folder" in refused(start(folder, "sft", tmp_path / "file" / "run"))


def test_to_resume_nothing_makes_no_folder(folder: Path, tmp_path: Path) -> None:
    assert "holds no run to resume" in refused(start(folder, "sft", tmp_path / "run", "--resume"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "a/b/c"])
def test_a_tokenizer_that_can_only_be_a_path_is_not_looked_for_elsewhere(source: str) -> None:
    with pytest.raises(NoTokenizer, match=r"^there is no folder"):
        open_engine(source)


def test_a_folder_without_a_tokenizer_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(NoTokenizer, match=r"holds no tokenizer: expected one of tokenizer.json"):
        open_engine(tmp_path)


def test_merging_what_is_not_there_says_so(tmp_path: Path) -> None:
    assert "is not there: name the --output of a training run" in refused(
        run("merge", tmp_path / "none", "--out", tmp_path / "out")
    )
    (tmp_path / "whole" / "model").mkdir(parents=True)
    assert "holds no adapters" in refused(run("merge", tmp_path / "whole", "--out", tmp_path / "out"))


HOOK = """
import socket, sys
def refused(host, *more, **named):
    sys.stderr.write(f"ASKED {host}\\n")
    raise OSError("no network in this test")
socket.getaddrinfo = refused
"""


@pytest.mark.parametrize("method", ["sft", "kto"])
def test_a_model_in_a_folder_is_trained_without_a_word_to_the_network_or_of_names_to_come(
    folder: Path, tmp_path: Path, method: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    words = [method, "--log", folder / "log.sqlite", "--model", folder / "base", "--output", tmp_path / "out"]
    command = [sys.executable, "-m", "apollo_train", *map(str, words), "--max-steps", "1", "--accumulate", "1"]
    plain = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env = plain | {"PYTHONPATH": str(tmp_path), "HF_HOME": str(tmp_path / "home")}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "ASKED" not in done.stderr and "FutureWarning" not in done.stderr
    assert (tmp_path / "out" / "model" / "adapter_model.safetensors").exists()
