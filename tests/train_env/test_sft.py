from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from blake3 import blake3
from click.testing import CliRunner, Result
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_models import tiny_llama, tokenizer
from training_log import Teller, new_log
from transformers import AutoModelForCausalLM, AutoTokenizer

from apollo_train.cli.main import main
from apollo_train.policy import load_policy
from apollo_train.templates.engine import open_engine
from apollo_train.trainers.data import read_rows
from apollo_train.trainers.metrics import read_metrics
from apollo_train.trainers.record import read_record
from apollo_train.trainers.settings import TrainSettings
from apollo_train.trainers.sft import require_unchanged, sft_trainer
from sessions.log.reader import LogReader

QUICK = ["--accumulate", "1", "--no-checkpointing", "--schedule", "constant", "--lora", "0"]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    tokenizer("qwen3").save_pretrained(folder)
    tiny_llama(len(tokenizer("qwen3"))).save_pretrained(folder)
    return folder


def command(story: Path, base: Path, output: Path, *more: str, method: str = "sft") -> list[str]:
    return [method, "--log", str(story / "log.sqlite"), "--model", str(base), "--output", str(output), *QUICK, *more]


def train(*args: Any, **more: Any) -> Result:
    return CliRunner().invoke(main, command(*args, **more))


def losses(output: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_metrics(output) if "loss" in line}


@pytest.fixture(scope="session")
def trained(story: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps over all rows at once, with a checkpoint at the second."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    ran = train(story, base, output, "--max-steps", "4", "--save-steps", "2", "--batch", "2", "--learning-rate", "0.01")
    assert ran.exit_code == 0, ran.output
    return output


def test_the_loss_on_trained_tokens_falls(trained: Path) -> None:
    found = losses(trained)
    assert list(found) == [1, 2, 3, 4]
    assert found[4] < 0.95 * found[1]


def test_tensorboard_shows_the_losses_of_the_metrics_file(trained: Path) -> None:
    board = EventAccumulator(str(trained / "tensorboard")).Reload()
    shown = {event.step: event.value for event in board.Scalars("train/loss")}
    assert shown == pytest.approx(losses(trained), rel=1e-4)


def test_the_record_says_exactly_what_was_trained_on_what(trained: Path, story: Path, base: Path) -> None:
    record = read_record(trained)
    manifest = json.loads((trained / "data" / "rows.jsonl.manifest.json").read_text())
    assert record["position"] == manifest["position"] > 0
    assert record["policy_sha256"] == manifest["policy_sha256"]
    assert record["rows_blake3"] == manifest["blake3"]["data"]
    assert record["tokens"] == manifest["format"]["settings"]
    template = (base / "chat_template.jinja").read_text("utf-8")
    assert record["tokens"]["template_sha256"] == hashlib.sha256(template.encode()).hexdigest()
    assert record["tokens"]["tokenizer_sha256"] == open_engine(str(base)).tokenizer_hash
    with LogReader(story / "log.sqlite") as reader:
        assert record["position"] == reader.position()
    assert record["policy_sha256"] == load_policy("default").with_advice("kept").digest
    rows = (trained / "data" / "rows.jsonl").read_bytes()
    assert record["rows_blake3"] == blake3(rows).hexdigest()
    assert record["versions"]["trl"] and record["versions"]["torch"].startswith("2.13")
    assert record["settings"]["seed"] == 0
    assert record["finished"]["steps"] == 4
    assert record["counts"]["trained"] == sum(
        label != -100 for rows in read_rows(trained / "data" / "rows.jsonl", "sft").values()
        for labels in rows.columns["labels"] for label in labels
    )  # fmt: skip


def test_the_saved_model_knows_where_to_stop(trained: Path) -> None:
    saved = AutoModelForCausalLM.from_pretrained(trained / "model")
    stop = AutoTokenizer.from_pretrained(trained / "model").convert_tokens_to_ids("<|im_end|>")
    known = saved.generation_config.eos_token_id
    assert stop in (known if isinstance(known, list) else [known])


def trainer_of(trained: Path, base: Path, output: Path) -> Any:
    rows = read_rows(trained / "data" / "rows.jsonl", "sft")["train"]
    arguments = TrainSettings(model=str(base), output=output, batch=2, accumulate=1, checkpointing=False).arguments(
        bf16=False, cpu=True, evaluate=False
    )
    model = AutoModelForCausalLM.from_pretrained(base)
    return sft_trainer(arguments, rows, None, model=model, processing_class=tokenizer("qwen3"))


def test_the_gradient_is_that_of_a_reference_loss_over_the_trained_tokens_only(
    trained: Path, base: Path, tmp_path: Path
) -> None:
    trainer = trainer_of(trained, base, tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    model = trainer.model.eval()
    labels = batch["labels"]
    assert labels.shape[0] == 2
    assert (labels == -100).sum() > (labels != -100).sum() > 50

    model.zero_grad()
    trainer.compute_loss(model, dict(batch)).backward()
    theirs = {name: weight.grad.clone() for name, weight in model.named_parameters()}

    model.zero_grad()
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    logits.retain_grad()
    ours = 0.0
    for row in range(2):
        for at in range(1, labels.shape[1]):
            if labels[row, at] != -100:
                ours = ours - torch.log_softmax(logits[row, at - 1], -1)[batch["input_ids"][row, at]]
    (ours / (labels[:, 1:] != -100).sum()).backward()  # type: ignore[union-attr]  # a tensor by now
    for name, weight in model.named_parameters():
        torch.testing.assert_close(theirs[name], weight.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_the_gradient_is_zero_exactly_where_the_next_token_is_masked(trained: Path, base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(trained, base, tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    model = trainer.model.eval()
    states: list[torch.Tensor] = []

    def keep(module: Any, given: Any, made: torch.Tensor) -> None:
        made.retain_grad()
        states.append(made)

    # The last norm feeds the logits of its own position and nothing else: its gradient is zero where theirs is.
    handle = model.model.norm.register_forward_hook(keep)
    trainer.compute_loss(model, dict(batch)).backward()
    handle.remove()
    felt = states[0].grad.abs().amax(-1) > 0  # type: ignore[union-attr]  # it was retained
    wanted = torch.zeros_like(felt)
    wanted[:, :-1] = batch["labels"][:, 1:] != -100
    assert torch.equal(felt, wanted)


def test_every_trained_token_counts_the_same_however_rows_are_spread_over_passes(
    story: Path, base: Path, tmp_path: Path
) -> None:
    weights = []
    for name, batch, passes in (("at_once", "2", "1"), ("apart", "1", "2")):
        more = ["--max-steps", "2", "--batch", batch, "--accumulate", passes, "--learning-rate", "0.001"]
        ran = train(story, base, tmp_path / name, *more)
        assert ran.exit_code == 0, ran.output
        weights.append(AutoModelForCausalLM.from_pretrained(tmp_path / name / "model").state_dict())
    trained = {
        sum(n != -100 for n in row)
        for row in read_rows(tmp_path / "apart/data/rows.jsonl", "sft")["train"].columns["labels"]
    }
    assert len(trained) > 1, "rows with as many trained tokens each would show nothing"
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=2e-5, msg=name)


def test_a_loader_that_drops_or_changes_rows_is_found_out(trained: Path, base: Path, tmp_path: Path) -> None:
    rows = read_rows(trained / "data" / "rows.jsonl", "sft")["train"]
    prepared = rows.dataset()
    require_unchanged(prepared, rows)
    with pytest.raises(Exception, match="changed the rows"):
        require_unchanged(prepared.select(range(1)), rows)
    with pytest.raises(Exception, match="changed the rows"):
        require_unchanged(prepared.map(lambda row: {"labels": row["input_ids"]}), rows)
    with pytest.raises(Exception, match="changed the rows"):
        require_unchanged(prepared.map(lambda row: {"input_ids": [*row["input_ids"][1:], 0]}), rows)


def test_a_resumed_run_goes_on_as_if_nothing_had_happened(
    trained: Path, story: Path, base: Path, tmp_path: Path
) -> None:
    more = ["--save-steps", "2", "--batch", "2", "--learning-rate", "0.01"]
    assert train(story, base, tmp_path / "cut", "--max-steps", "2", *more).exit_code == 0
    again = train(story, base, tmp_path / "cut", "--max-steps", "4", *more)
    assert again.exit_code == 1
    assert "--resume" in again.output
    # A kill may have left half a checkpoint and half a line.
    (tmp_path / "cut" / "checkpoints" / "checkpoint-10").mkdir()
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    ran = train(story, base, tmp_path / "cut", "--max-steps", "4", *more, "--resume")
    assert ran.exit_code == 0, ran.output
    assert losses(tmp_path / "cut") == pytest.approx(losses(trained), rel=1e-4)
    record = read_record(tmp_path / "cut")
    assert record["resumed"] == [{"changed": {"max_steps": [2, 4]}}]
    for word, value, said in (
        ("--policy", "unaided", "policy_sha256"), ("--position", "9", "position"), ("--session", "1", "sessions"),
    ):  # fmt: skip
        other = train(story, base, tmp_path / "cut", *more, "--resume", word, value)
        assert f"another {said}" in other.output
    assert "no run to resume" in train(story, base, tmp_path / "none", "--resume").output


def test_a_run_whose_rows_or_template_are_others_is_not_gone_on_with(story: Path, base: Path, tmp_path: Path) -> None:
    more = ["--save-steps", "1", "--batch", "2"]
    assert train(story, base, tmp_path / "cut", "--max-steps", "1", *more).exit_code == 0
    template = tmp_path / "other.jinja"
    template.write_text((base / "chat_template.jinja").read_text("utf-8") + "{# other #}", "utf-8")
    other = train(story, base, tmp_path / "cut", *more, "--resume", "--chat-template", str(template))
    assert "another tokens" in other.output
    rows = tmp_path / "cut" / "data" / "rows.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"labels":[-100', b'"labels":[-101', 1))
    changed = train(story, base, tmp_path / "cut", "--max-steps", "2", *more, "--resume")
    assert changed.exit_code == 1
    assert "is not the file that the run began with" in changed.output


def test_a_tokenizers_hash_changes_with_its_tokens(base: Path, tmp_path: Path) -> None:
    made = AutoTokenizer.from_pretrained(base)
    made.add_tokens(["<another>"])
    made.save_pretrained(tmp_path)
    assert open_engine(str(tmp_path)).tokenizer_hash != open_engine(str(base)).tokenizer_hash


def test_merged_adapters_say_what_base_and_adapters_say(story: Path, base: Path, tmp_path: Path) -> None:
    output = tmp_path / "lora"
    assert train(story, base, output, "--max-steps", "2", "--lora", "4", "--learning-rate", "0.01").exit_code == 0
    made = CliRunner().invoke(main, ["merge", str(output), "--out", str(tmp_path / "whole")])
    assert made.exit_code == 0, made.output
    ids = torch.tensor([read_rows(output / "data" / "rows.jsonl", "sft")["train"].columns["input_ids"][0]])
    with torch.no_grad():
        apart = AutoModelForCausalLM.from_pretrained(output / "model")(input_ids=ids).logits
        whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")(input_ids=ids).logits
        before = AutoModelForCausalLM.from_pretrained(base)(input_ids=ids).logits
    torch.testing.assert_close(whole, apart, rtol=1e-3, atol=1e-4)
    assert (whole - before).abs().max() > 0.01
    assert not (tmp_path / "whole" / "adapter_config.json").exists()
    assert AutoTokenizer.from_pretrained(tmp_path / "whole").chat_template
    again = CliRunner().invoke(main, ["merge", str(output), "--out", str(tmp_path / "whole")])
    assert "is there already" in again.output
    none = CliRunner().invoke(main, ["merge", str(base.parent), "--out", str(tmp_path / "none")])
    assert "is not there: name the --output of a training run" in none.output


def test_adapters_train_alone_and_are_saved_alone(story: Path, base: Path, tmp_path: Path) -> None:
    ran = train(story, base, tmp_path / "lora", "--max-steps", "2", "--lora", "4", "--checkpointing")
    assert ran.exit_code == 0, ran.output
    assert (tmp_path / "lora" / "model" / "adapter_model.safetensors").exists()
    assert not (tmp_path / "lora" / "model" / "model.safetensors").exists()
    assert read_record(tmp_path / "lora")["settings"]["lora"] == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "/nowhere/model", "--tokenizer", "BASE"], "no model can be read"),
        (["--max-length", "100"], "--too-long exclude"),
        (["--policy", "COLUMN"], "weights.apply = 'resample'"),
        (["--session", "nosuch"], "nosuch"),
    ],
)
def test_mistakes_are_one_line(story: Path, base: Path, tmp_path: Path, more: list[str], said: str) -> None:
    column = tmp_path / "column.toml"
    column.write_text("version = 1\npreset = 'twins'\n[weights]\napply = 'column'\n")
    names = {"BASE": str(base), "COLUMN": str(column)}
    ran = train(story, base, tmp_path / "out", "--max-steps", "1", *[names.get(word, word) for word in more])
    assert ran.exit_code == 1
    assert said in ran.output
    assert "Traceback" not in ran.output


def test_a_tokenizer_that_is_not_the_models_is_refused(story: Path, tmp_path: Path) -> None:
    tokenizer("qwen3").save_pretrained(tmp_path / "small")
    tiny_llama(300).save_pretrained(tmp_path / "small")
    ran = train(story, tmp_path / "small", tmp_path / "out", "--max-steps", "1")
    assert ran.exit_code == 1
    assert "embeddings" in ran.output
    tokenizer("llama3").save_pretrained(tmp_path / "other")
    tiny_llama(len(tokenizer("qwen3")) + 50).save_pretrained(tmp_path / "other")
    words = ["--max-steps", "1", "--tokenizer", str(tmp_path / "small")]
    ran = train(story, tmp_path / "other", tmp_path / "noise", *words)
    assert ran.exit_code == 1
    assert "another id than the one of the model" in ran.output
    assert not (tmp_path / "noise" / "model").exists()


@pytest.mark.parametrize("name", ["glm", "llama3", "qwen3"])
def test_a_model_trained_on_the_result_stops_where_it_should(tmp_path: Path, name: str) -> None:
    async def tell() -> None:
        writer = await new_log(tmp_path)
        told = await Teller(writer).begin("Go.")
        await told.act("ls", "a", reasoning="Look.")
        await told.reply(text="Done.", reasoning="So.")
        await writer.close()

    asyncio.run(tell())
    tokenizer(name).save_pretrained(tmp_path / "base")
    tiny_llama(len(tokenizer(name))).save_pretrained(tmp_path / "base")
    (tmp_path / "policy.toml").write_text("version = 1\n[targets]\ntext_only = true\n")
    more = ["--policy", str(tmp_path / "policy.toml"), "--packing", "steps", "--batch", "2", "--max-steps", "90"]
    ran = train(tmp_path, tmp_path / "base", tmp_path / "out", *more, "--learning-rate", "0.01", "--log-steps", "30")
    assert ran.exit_code == 0, ran.output
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model").eval()
    rows = [json.loads(line) for line in (tmp_path / "out" / "data" / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    for row in rows:
        [[_, start, end]] = row["meta"]["targets"]
        prompt = torch.tensor([row["input_ids"][:start]])
        with torch.no_grad():
            said = model.generate(prompt, max_new_tokens=80, do_sample=False, pad_token_id=0)[0, start:].tolist()
        assert said == row["input_ids"][start:end]
    last = [tokenizer(name).convert_ids_to_tokens(row["input_ids"][-1]) for row in rows]
    assert (
        last
        == {"glm": ["<|observation|>", "<|user|>"], "qwen3": ["<|im_end|>"] * 2, "llama3": ["<|eot_id|>"] * 2}[name]
    )
