from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from tiny_models import tiny_llama, tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from apollo_train.cli.main import main
from apollo_train.trainers.metrics import read_metrics
from apollo_train.trainers.record import read_record
from apollo_train.trainers.shards import recipe

ROOT = Path(__file__).parents[2]
ON_CPU = ROOT / "tests" / "support" / "cpu_sharding.py"
DDP = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
COMMON = ["--accumulate", "1", "--schedule", "constant", "--lora", "0", "--learning-rate", "0.003"]
deepspeed = pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many-base")
    tokenizer("qwen3").save_pretrained(folder)
    tiny_llama(len(tokenizer("qwen3"))).save_pretrained(folder)
    return folder


def arguments(story: Path, base: Path, output: Path, *more: str) -> list[str]:
    return ["sft", "--log", str(story / "log.sqlite"), "--model", str(base), "--output", str(output), *COMMON, *more]


@pytest.fixture(scope="session")
def alone(story: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of both rows at once, in three steps."""
    output = tmp_path_factory.mktemp("runs") / "alone"
    ran = CliRunner().invoke(main, arguments(story, base, output, "--batch", "2", "--max-steps", "3"))
    assert ran.exit_code == 0, ran.output
    return output


def launch(launcher: list[str], script: list[str], given: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", "0", *launcher, *script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "DS_ACCELERATOR": "cpu"}
    return subprocess.run(
        [*command, *given], env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False
    )


def losses(output: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in read_metrics(output) if "loss" in line]


def weights(output: Path) -> dict[str, Any]:
    return dict(AutoModelForCausalLM.from_pretrained(output / "model").state_dict())


def same_training(output: Path, alone: Path, base: Path) -> None:
    """Each step was logged once, with the loss of one process; the weights went where they went there."""
    assert [step for step, _ in losses(output)] == [1, 2, 3]
    assert [loss for _, loss in losses(output)] == pytest.approx([loss for _, loss in losses(alone)], rel=1e-4)
    before = dict(AutoModelForCausalLM.from_pretrained(base).state_dict())
    ours, theirs = weights(output), weights(alone)
    assert ours.keys() == theirs.keys()
    moved = sum(float((theirs[name] - before[name]).abs().sum()) for name in before)
    apart = sum(float((theirs[name] - ours[name]).abs().sum()) for name in before)
    assert moved > 100 * apart
    assert read_record(output)["rows_blake3"] == read_record(alone)["rows_blake3"]
    stop = AutoTokenizer.from_pretrained(output / "model").convert_tokens_to_ids("<|im_end|>")
    known = AutoModelForCausalLM.from_pretrained(output / "model").generation_config.eos_token_id
    assert stop in (known if isinstance(known, list) else [known])


def test_two_processes_train_what_one_would(alone: Path, story: Path, base: Path, tmp_path: Path) -> None:
    given = arguments(story, base, tmp_path / "two", "--max-steps", "3")
    # On a machine without GPUs this is how accelerate starts processes without MPI; they find no device and use gloo.
    ran = launch(DDP, ["-m", "apollo_train"], given)
    assert ran.returncode == 0, ran.stderr[-3000:]
    finished = read_record(tmp_path / "two")["finished"]
    assert (finished["processes"], finished["engine"], finished["steps"]) == (2, "MULTI_CPU", 3)
    assert ran.stdout.count("2 processes") == 1
    same_training(tmp_path / "two", alone, base)


SHARDED = [
    pytest.param("fsdp", "FSDP"),
    pytest.param("deepspeed-zero2", "DEEPSPEED", marks=deepspeed),
    pytest.param("deepspeed-zero3", "DEEPSPEED", marks=deepspeed),
]


@pytest.mark.parametrize(("name", "engine"), SHARDED)
def test_a_sharded_model_is_trained_resumed_and_saved_whole_by_our_recipe(
    name: str, engine: str, alone: Path, story: Path, base: Path, tmp_path: Path
) -> None:
    launcher, output = ["--config_file", str(recipe(name))], tmp_path / "sharded"
    more = ["--save-steps", "2", "--max-steps"]
    ran = launch(launcher, [str(ON_CPU)], arguments(story, base, output, *more, "2"))
    assert ran.returncode == 0, ran.stderr[-3000:]
    ran = launch(launcher, [str(ON_CPU)], arguments(story, base, output, *more, "3", "--resume"))
    assert ran.returncode == 0, ran.stderr[-3000:]
    finished = read_record(output)["finished"]
    assert (finished["processes"], finished["engine"], finished["steps"]) == (2, engine, 3)
    same_training(output, alone, base)


def test_sharded_adapters_are_saved_whole(story: Path, base: Path, tmp_path: Path) -> None:
    given = arguments(story, base, tmp_path / "lora", "--max-steps", "1", "--lora", "4")
    ran = launch(["--config_file", str(recipe("fsdp"))], [str(ON_CPU)], given)
    assert ran.returncode == 0, ran.stderr[-3000:]
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "lora" / "model")
    changed = {name: weight for name, weight in tuned.named_parameters() if "lora_B" in name}
    assert len(changed) == 14
    assert all(torch.count_nonzero(weight) for weight in changed.values())


def test_a_launcher_that_would_shard_nothing_is_refused(story: Path, base: Path, tmp_path: Path) -> None:
    given = arguments(story, base, tmp_path / "none", "--max-steps", "1")
    ran = launch(["--config_file", str(recipe("fsdp"))], ["-m", "apollo_train"], given)
    assert ran.returncode != 0
    assert "asks for FSDP, and accelerate would run MULTI_CPU instead" in ran.stderr


def test_recipes_are_named() -> None:
    assert CliRunner().invoke(main, ["recipe", "fsdp"]).output.strip() == str(recipe("fsdp"))
    said = CliRunner().invoke(main, ["recipe", "nosuch"])
    assert said.exit_code == 1
    assert "deepspeed-zero2, deepspeed-zero3, fsdp" in said.output
