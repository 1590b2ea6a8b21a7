"""``apollo-train eval``."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import click

from apollo_train.cli.shared import report_errors
from apollo_train.cli.terminal_output import say
from apollo_train.evaluation.apollo_cli import ApolloCli, CommandFailed
from apollo_train.evaluation.plan import BadEvaluation, Plan, find_contenders, find_tasks, first_titles, sessions_of
from apollo_train.evaluation.report import JSON_NAME, MARKDOWN_NAME, Report, result_line
from apollo_train.evaluation.run import EvaluationRun
from apollo_train.evaluation.server_check import check_reachable
from apollo_train.folder_lock import lock_folder
from sessions.events import Limits
from sessions.log.reader import LogReader
from sessions.paths import log_paths
from sessions.terminal_text import plain_line

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


@click.command(name="eval")
@click.option(
    "--tasks",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER|FILE",
    help="Task files, or a folder of them (may be given again).",
)
@click.option(
    "--model",
    "models",
    required=True,
    multiple=True,
    metavar="PROVIDER:MODEL|PROFILE",
    help="The base first, then what was trained (may be given again).",
)
@click.option("--base-url", "base_urls", multiple=True, help="Where they are served: once for all, or one each.")
@click.option("--repeat", default=1, show_default=True, type=click.IntRange(min=1), help="Sessions per task and model.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A budget of each session, e.g. steps=50.")
@click.option("--parallel", default=4, show_default=True, type=click.IntRange(min=1), help="Sessions at a time.")
@click.option("--timeout", default="24h", show_default=True, metavar="TIME", help="For one session: 90s, 30m, 2h.")
@click.option(
    "--missing-score",
    type=float,
    metavar="SCORE",
    help="Count a session without a score as this. Default: its pair is left out, and counted.",
)
@click.option("--retry", is_flag=True, help="Let sessions go on that had come to rest for want of a server or a key.")
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A log for nothing but this. Default: a new one in OUTPUT.",
)
@click.option("--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to fill.")
def evaluate(
    tasks: tuple[Path, ...], models: tuple[str, ...], base_urls: tuple[str, ...], repeat: int, limits: tuple[str, ...],
    parallel: int, timeout: str, missing_score: float | None, retry: bool, log: Path | None, output: Path,
) -> None:  # fmt: skip
    """Play tasks with a base and a trained model, as real sessions, and compare. The same command goes on after a
    stop: sessions that are there are not played again.
    """
    with report_errors():
        seconds = _seconds(timeout)
        _check_limits(limits)
        plan = Plan(find_tasks(tasks), find_contenders(models, base_urls), repeat, limits)
        check_reachable(plan.contenders)
        with lock_folder(output, "evaluation"):
            where = log_paths(log or output / "apollo.sqlite").log
            for task in plan.tasks:
                if not task.scored:
                    say(plain_line(f"{task.id} has no scorer: it will have no scores"), err=True)
            report = _play(plan, ApolloCli(where), parallel, seconds, retry, missing_score)
            report.write(output)
    for line in report.lines():
        say(plain_line(line))
    say(plain_line(f"{output / MARKDOWN_NAME}, {output / JSON_NAME}"))
    if not report.has_comparison:
        say("apollo-train: nothing could be compared: see above what was not played, or has no score", err=True)
        if report.unplayed():
            say("apollo-train: once server, key and model are there, the same command with --retry goes on", err=True)
        raise SystemExit(1)


def _play(plan: Plan, apollo: ApolloCli, parallel: int, timeout: float, retry: bool, missing: float | None) -> Report:
    if apollo.log.exists():
        # Before a host starts: its end would stop the sessions of others.
        with LogReader(apollo.log) as reader:
            sessions_of(first_titles(reader))
    run = EvaluationRun(
        plan, apollo, lambda _, result: say(plain_line(result_line(result))), parallel=parallel, timeout=timeout
    )
    try:
        with _interrupt_on_sigterm():
            apollo.start_host()
            with LogReader(apollo.log) as reader:
                run.run(reader, retry=retry)
    except BaseException as problem:
        if isinstance(problem, KeyboardInterrupt):
            say("stopping; its sessions are held, and the same command goes on from here", err=True)
        try:
            apollo.stop_host(sessions=False)
        except CommandFailed as worse:
            say(plain_line(f"apollo-train: the host could not be stopped: {worse}"), err=True)
        raise
    apollo.stop_host(sessions=True)
    with LogReader(apollo.log) as reader:
        return Report(plan, tuple(run.results(reader)), apollo.log, reader.position(), timeout, missing)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None or not float(found[1]):
        raise BadEvaluation(f"--timeout {text}: expected a time such as 90s, 30m or 2h")
    return float(found[1]) * UNITS[found[2]]


def _check_limits(limits: tuple[str, ...]) -> None:
    for item in limits:
        name, _, value = item.partition("=")
        if name not in Limits.__struct_fields__ or not re.fullmatch(r"\d+(\.\d+)?", value):
            names = ", ".join(Limits.__struct_fields__)
            raise BadEvaluation(f"--limit {item}: expected NAME=NUMBER with a name of {names}")


@contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    """SIGTERM ends an evaluation as ctrl+c does: sessions are held, the host is stopped."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = None
    with suppress(ValueError):  # only the main thread may
        before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
