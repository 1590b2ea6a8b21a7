"""One arm: the product's export and the product's trainer, on the sessions of one kind of rollout. Needs torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.supervision.arms import Arm
from benchmarks.supervision.knobs import Train
from benchmarks.supervision.shorter_prompts import cut
from benchmarks.supervision.vocabulary import END
from sessions import events as ev
from sessions.events.messages import Usage
from sessions.log.reader import LogReader


class TrainedOn(msgspec.Struct, frozen=True):
    """What an arm was trained on."""

    rows: int
    tokens: int
    trained: int
    steps: int
    loss: float


class NothingToTrain(Exception):
    """The policy leaves no action."""


class Unsound(Exception):
    """The export is not what was played."""


def train(reader: LogReader, sessions: Sequence[str], arm: Arm, base: Path, out: Path, knobs: Train) -> TrainedOn:
    """Train the base on what the arm's policy leaves of these sessions; the model is in ``out``/model, made anew."""
    from apollo_train.cli.tokens import tokens_format
    from apollo_train.policy import load_policy
    from apollo_train.runtime import NothingToExport
    from apollo_train.trainers.run import Job, run
    from apollo_train.trainers.settings import TrainSettings

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    policy = out / "policy.toml"
    policy.write_text(arm.policy, "utf-8")
    made = tokens_format(
        str(base), None, (END,), max_length=None, too_long="error", packing="rounds", no_think="mask", previews=3
    )
    made = cut(made, arm.masks) if arm.cut else made
    settings = TrainSettings(
        model=str(base), output=out, max_steps=knobs.max_steps, learning_rate=knobs.learning_rate,
        schedule=knobs.schedule, batch=knobs.batch, accumulate=1, lora=0, precision="fp32", checkpointing=False,
        save_steps=10 * knobs.max_steps, log_steps=knobs.max_steps,
    )  # fmt: skip
    try:
        record = run(Job("sft", reader, list(sessions), load_policy(policy), made, settings), lambda _: None)
    except NothingToExport as error:
        raise NothingToTrain(str(error)) from error
    _sound(record["counts"])
    as_served(reader, out / "data" / "rows.jsonl")
    done = record["finished"]
    rows, tokens, trained = (record["counts"][name] for name in ("rows", "tokens", "trained"))
    return TrainedOn(rows, tokens, trained, done["steps"], done["metrics"]["train_loss"])


def _sound(counts: dict[str, Any]) -> None:
    """Raise Unsound if a reply could not be written though the policy wants it."""
    lost = {reason: n for reason, n in counts["dropped"].items() if reason in ("prompt_differs", "prompt_missing")}
    if lost or counts["first_problem"]:
        raise Unsound(f"replies that could not be written: {lost} {counts['first_problem']}")


def as_served(reader: LogReader, rows: Path) -> int:
    """How many replies have an exact prompt. Raises Unsound if one has not the tokens that the server counted."""
    served: dict[str, dict[str, Usage | None]] = {}
    same = 0
    for line in rows.read_bytes().splitlines():
        meta = json.loads(line)["meta"]
        if meta["prompt"] != "exact":
            continue
        session = meta["session"]
        if session not in served:
            replies = reader.events(session, kinds={"model.reply"})
            bodies = ((str(event.step), event.body) for event in replies)
            served[session] = {step: body.usage for step, body in bodies if isinstance(body, ev.ModelReplied)}
        for step, start, end in meta["targets"]:
            usage = served[session][step]
            if usage is None or (usage.input_tokens, usage.output_tokens) != (start, end - start):
                raise Unsound(
                    f"step {step} of session {session}: {start} and {end - start} tokens, served were {usage}"
                )
            same += 1
    return same
