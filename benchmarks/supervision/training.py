"""One arm: the product's export and the product's trainer, on the sessions of one kind of rollout. Needs torch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from apollo_train.formats.token_report import TokenReport
from benchmarks.supervision.arms import Arm
from benchmarks.supervision.cutting import cut
from benchmarks.supervision.knobs import Train
from benchmarks.supervision.words import END
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
    from apollo_train.errors import NothingToExport
    from apollo_train.token_cli import tokens_format
    from apollo_train.trainers.running import Job, run
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
        record = run(Job("sft", reader, list(sessions), str(policy), made, settings), lambda _: None)
    except NothingToExport as error:
        raise NothingToTrain(str(error)) from error
    _sound(made.report)
    done = record["finished"]
    return TrainedOn(
        made.report.rows, made.report.tokens, made.report.trained, done["steps"], done["metrics"]["train_loss"]
    )


def _sound(report: TokenReport) -> None:
    """Raise Unsound unless every prompt is the one that was sent, and the server counted the same tokens."""
    lost = {reason: n for reason, n in report.dropped.items() if reason in ("prompt_differs", "prompt_missing")}
    if lost or report.first_problem:
        raise Unsound(f"replies that could not be written: {lost} {report.first_problem}")
    if report.own_tokens != report.server_tokens:
        raise Unsound(f"the server counted {report.server_tokens:,} tokens, the export {report.own_tokens:,}")
