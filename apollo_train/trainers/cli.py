"""``apollo-train sft``, ``dpo`` and ``kto``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import click

from apollo_train.cli.questions import settle_policy
from apollo_train.cli.shared import advice_option, log_option, open_log, policy_option, report_errors, trainable_option
from apollo_train.cli.terminal_output import say
from apollo_train.cli.tokens import token_options, tokens_format
from apollo_train.offline_hub import stay_offline
from apollo_train.trainers.models import ignore_old_names, require_trainers
from apollo_train.trainers.run import Job, Method, run
from apollo_train.trainers.settings import Precision, TrainSettings
from sessions.terminal_text import plain_line

_DEFAULT: Final = {
    field: getattr(TrainSettings(model="", output=Path()), field) for field in TrainSettings.__struct_fields__
}


def _number(name: str, kind: Any, about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    field = name.removeprefix("--").replace("-", "_")
    return click.option(name, type=kind, default=_DEFAULT[field], show_default=True, help=about)


_COUNT: Final = click.IntRange(min=0)
_SOME: Final = click.IntRange(min=1)
_OPTIONS: Final = (
    click.option("--model", required=True, metavar="FOLDER", help="The base model's folder (or name)."),
    click.option("--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="The run's folder."),
    click.option("--tokenizer", metavar="FOLDER", help="Default: the model's."),
    click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions (may be given again)."),
    click.option("--position", type=int, help="Read the log only up to this event."),
    click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --output."),
    _number("--epochs", click.FloatRange(min=0, min_open=True), "Times over all rows."),
    _number("--max-steps", _COUNT, "Optimiser steps; 0: as the epochs say."),
    _number("--learning-rate", click.FloatRange(min=0, min_open=True), "At its highest."),
    _number("--schedule", click.Choice(["cosine", "linear", "constant", "constant_with_warmup"]), "Of the rate."),
    _number("--warmup", _COUNT, "Optimiser steps."),
    click.option("--batch", type=_SOME, help="Rows per device and pass.  [default: 1; kto: 2]"),
    _number("--accumulate", _SOME, "Passes per optimiser step."),
    _number("--lora", _COUNT, "Rank of adapters on all linear layers; 0: train the whole model."),
    _number("--precision", click.Choice(get_args(Precision)), "What to compute in."),
    click.option("--checkpointing/--no-checkpointing", default=True, show_default=True, help="Memory for time."),
    _number("--seed", int, "Of the order of rows and of new weights."),
    _number("--save-steps", _SOME, "Optimiser steps between checkpoints."),
    _number("--log-steps", _SOME, "Optimiser steps between lines of metrics."),
)


_BETA: Final = _number("--beta", click.FloatRange(min=0, min_open=True), "How dear it is to leave the base model.")


def _command(method: Method, about: str, *more: Callable[[Callable[..., Any]], Callable[..., Any]]) -> click.Command:
    """The command of one method: the options of all, and its own."""

    def run_it(**given: Any) -> None:
        _train(method, **given)

    command: Callable[..., Any] = token_options(run_it)
    options: tuple[Callable[..., Any], ...] = (
        log_option, policy_option, advice_option, trainable_option, *_OPTIONS, *more
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return click.command(name=method, help=about)(command)


sft = _command("sft", "Fine-tune a model on the replies that the policy trains, and on nothing else.")
dpo = _command(
    "dpo", "Train on pairs: a flagged action and what was done instead, where both answer the same prompt.", _BETA
)
kto = _command("kto", "Train on single verdicts: replies that humans flagged bad or marked good.", _BETA)


def _train(
    method: Method,
    log: Path | None,
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    chosen: tuple[str, ...],
    position: int | None,
    resume: bool,
    tokenizer: str | None,
    **given: Any,
) -> None:
    choices = {field: given.pop(field) for field in TrainSettings.__struct_fields__ if field in given}
    choices["output"] = choices["output"].resolve()
    choices["batch"] = choices["batch"] or (2 if method == "kto" else _DEFAULT["batch"])
    with report_errors():
        require_trainers()
        settings = TrainSettings(**choices)
        stay_offline(settings.model, tokenizer or settings.model)
        with open_log(log) as reader, ignore_old_names():
            sessions = [reader.find(prefix) for prefix in chosen] or None
            format = tokens_format(tokenizer or settings.model, **given)
            rules = settle_policy(
                reader, sessions, policy, format, advice=advice, trainable=trainable, position=position
            )
            record = run(Job(method, reader, sessions, rules, format, settings, position, resume), _print)
    if "finished" in record:
        loss = record["finished"]["metrics"].get("train_loss")
        _print(f"{record['finished']['steps']} steps; mean loss {loss:.4f}; saved in {settings.output / 'model'}")


def _print(line: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        say(plain_line(line))
