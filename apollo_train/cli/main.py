"""``apollo-train``: from a log to training data, and one sample under the eye."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from apollo_train.cli.progress import hint_at_resume, progress_bar
from apollo_train.cli.questions import settle_policy
from apollo_train.cli.root import TrainGroup
from apollo_train.cli.shared import (
    COLOURS,
    MARKS,
    advice_option,
    labels_option,
    log_option,
    open_log,
    policy_option,
    report_errors,
    scrub_option,
    template_option,
    tokenizer_option,
    trainable_option,
    workers_option,
)
from apollo_train.cli.terminal_output import say, say_json
from apollo_train.export.dataset_folder import write_folder
from apollo_train.export.diff import diff_exports
from apollo_train.export.plan import require_expressible
from apollo_train.export.preview import Preview, Span, preview
from apollo_train.export.run import find_finished_export, run_export
from apollo_train.formats import FORMATS, Format, format_for
from apollo_train.policy import ABOUT, PRESETS, load_policy, policy_toml, version_note
from apollo_train.runtime import TrainError
from apollo_train.samples.session_selection import position_of
from apollo_train.templates.token_check import open_renderer
from sessions.private_files import make_private_folder
from sessions.terminal_text import plain_line, plain_text


@click.group(cls=TrainGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Turn Apollo's log into training data with per-action masks."""


@main.command()
@log_option
@policy_option
@advice_option
@trainable_option
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to fill.")
@click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions (may be given again).")
@click.option(
    "--tokenizer",
    default="",
    metavar="FOLDER",
    help="The model's tokenizer: write ids and labels for it, which no trainer misreads, in place of step samples.",
)
@click.option("--segments", default="", metavar="FORMAT", help="Also whole segments, in a format of messages.")
@template_option
@labels_option
@scrub_option
@click.option("--position", type=int, help="Read the log only up to this event, to repeat an earlier export.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@workers_option
@click.option("--resume", is_flag=True, help="Go on with an export that was stopped, from the same log position.")
def build(
    log: Path | None,
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    out: Path,
    chosen: tuple[str, ...],
    tokenizer: str,
    segments: str,
    template: str,
    labels: bool,
    scrub: Path | None,
    position: int | None,
    overwrite: bool,
    workers: int | None,
    resume: bool,
) -> None:
    """Write what trains right for most: OUT/steps.jsonl, a row per trained reply; with a tokenizer OUT/tokens.jsonl.

    Each file has a twin, a manifest and a page beside it, and says which trainers read its masks.
    """
    with report_errors(), open_log(log) as reader:
        sessions = [reader.find(prefix) for prefix in chosen] or None
        at = None if position is None else position_of(reader, position)
        # No file is begun where another one cannot be written.
        files: dict[str, Format] = {}
        if tokenizer:
            files["tokens.jsonl"] = _tokens_format(tokenizer, template, labels, scrub)
        else:
            files["steps.jsonl"] = format_for("steps", template, labels=labels, scrub=scrub)
        if segments:
            files["segments.jsonl"] = format_for(segments, template, labels=labels, scrub=scrub)
        rules = settle_policy(
            reader, sessions, policy, *files.values(), advice=advice, trainable=trainable, position=at
        )
        for format in files.values():
            require_expressible(format, rules)
        try:
            make_private_folder(out)
        except OSError as problem:
            raise TrainError(f"cannot make the folder {out}: {problem.strerror}") from problem
        for name, format in files.items():
            before = find_finished_export(out / name, format, rules, sessions) if resume else None
            if before is not None and at in (None, before):
                at = before  # all are of one position
                say(plain_line(f"{out / name} ({format.name}) was whole before"))
                continue
            with hint_at_resume(out / name), progress_bar(f"{name}") as progress:
                report = run_export(
                    reader,
                    sessions,
                    rules,
                    format,
                    out / name,
                    overwrite=overwrite,
                    position=at,
                    progress=progress,
                    workers=workers,
                    resume=resume,
                )
            at = report.position
            say(plain_line(f"{report.path} ({format.name}), with {report.beside()} beside it"))
            for line in (*report.lines(), *_write_token_report(out / name, format, overwrite=overwrite or resume)):
                say(f"  {plain_line(line)}")


def _tokens_format(tokenizer: str, template: str, labels: bool, scrub: Path | None) -> Format:
    """Token rows for this tokenizer; a template in a file is taken in place of its own. Raises NoTokenizer."""
    from apollo_train.cli.tokens import tokens_format
    from apollo_train.offline_hub import stay_offline

    stay_offline(tokenizer)
    chat_template = Path(template) if Path(template).is_file() else None
    return tokens_format(tokenizer, chat_template, (), no_think="mask", labels=labels, scrub=scrub)


def _write_token_report(out: Path, format: Format, *, overwrite: bool) -> Iterator[str]:
    """Write the report and the page of token rows; its lines for a person. Nothing for other formats."""
    from apollo_train.formats.token_report import report_paths, write_report
    from apollo_train.formats.tokens import TokensFormat

    if isinstance(format, TokensFormat):
        write_report(out, format.report, format.settings, overwrite=overwrite)
        yield from format.report.lines()
        yield f"decoded rows: {report_paths(out)[1]}"


@main.command()
@log_option
@policy_option
@advice_option
@trainable_option
@click.argument("session")
@click.argument("step", type=int, required=False)
@click.option("--messages", default=4, show_default=True, help="How much of the prompt to show before the reply.")
@click.option("--tokenizer", metavar="FOLDER", help="Show its tokens instead, as `apollo-train tokens` trains them.")
@click.option("--chat-template", type=click.Path(path_type=Path, dir_okay=False), help="Instead of the tokenizer's.")
@click.option("--stop", multiple=True, metavar="TOKEN", help="Where replies end; twice: after a text, a call.")
def inspect(
    log: Path | None,
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    session: str,
    step: int | None,
    messages: int,
    tokenizer: str | None,
    chat_template: Path | None,
    stop: tuple[str, ...],
) -> None:
    """Show one sample of SESSION: what is trained (green, `+`) and what is masked (red, `-`)."""
    with report_errors(), open_log(log) as reader:
        name = reader.find(session)
        rules = settle_policy(reader, [name], policy, advice=advice, trainable=trainable)
        if tokenizer is not None:
            from apollo_train.cli.tokens import show_step

            show_step(reader, name, rules, step, tokenizer, chat_template, stop)
            return
        sample = preview(reader, name, rules, step=step, messages=messages)
        if sample is None:
            what = f"step {step}" if step is not None else "reply"
            raise TrainError(f"session {session} has no {what}: `apollo log {session}` shows what it has")
        _show(sample)


def _show(sample: Preview) -> None:
    verdict = "trained" if sample.trained else f"masked: {sample.reason}"
    say(plain_line(f"session {sample.session}  step {sample.name}  {verdict}"))
    if sample.hidden:
        say(f"  … {sample.hidden} earlier messages are in its prompt too")
    for span in sample.spans:
        _show_span(span)
    say(f"\n{MARKS['trained']} trained   {MARKS['masked']} masked   everything else is context")


def _show_span(span: Span) -> None:
    colour = None if os.environ.get("NO_COLOR") else COLOURS[span.role]
    reason = f" ({span.reason})" if span.reason else ""
    say(f"{MARKS[span.role]} {plain_line(span.label)}: {span.role}{reason}", colour=colour, bold=True)
    for line in plain_text(span.text).split("\n"):
        say(f"{MARKS[span.role]}   {line}", colour=colour)


@main.group()
def policy() -> None:
    """Look at filter policies and check them."""


@policy.command()
@click.argument("name", default="default")
def show(name: str) -> None:
    """Print a policy (a preset or a file) whole, to start from."""
    with report_errors():
        say(policy_toml(load_policy(name)), nl=False)


@policy.command()
@click.argument("file")
def check(file: str) -> None:
    """Say whether FILE is a good policy."""
    with report_errors():
        rules = load_policy(file)
        say(plain_line(f"{file}: good; policy {rules.name!r}, {rules.digest[:12]}"))
        if note := version_note(rules):
            say(plain_line(note))


@policy.command(name="list")
def list_() -> None:
    """Name the presets, with the beginning of their hashes and what they do."""
    for name, rules in PRESETS.items():
        say(f"{name:<12} {rules.digest[:12]}  {ABOUT[name]}")


@main.command()
def formats() -> None:
    """Name the formats that `apollo export` and `build` write."""
    for name, format in FORMATS.items():
        say(f"{name:<16} {format.about}")


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--shown", default=20, show_default=True, help="How many changed steps to name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(a: Path, b: Path, shown: int, as_json: bool) -> None:
    """Say how export B differs from export A, and why. Exit code 1 if their rows differ."""
    with report_errors():
        difference = diff_exports(a, b, shown=shown)
    if as_json:
        say_json(difference.plain())
    else:
        for line in difference.lines():
            say(plain_line(line))
    if not difference.same_bytes:
        raise SystemExit(1)


@click.command()
@log_option
@policy_option
@advice_option
@trainable_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to make.")
@click.option("--format", "format_", default="steps", show_default=True, help="`apollo-train formats` lists them.")
@template_option
@tokenizer_option
@labels_option
@scrub_option
@click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions (may be given again).")
@click.option("--position", type=int, help="Read the log only up to this event, to repeat an earlier export.")
def dataset(
    log: Path | None,
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    out: Path,
    format_: str,
    template: str,
    tokenizer: str,
    labels: bool,
    scrub: Path | None,
    chosen: tuple[str, ...],
    position: int | None,
) -> None:
    """Make a folder that `datasets.load_dataset` loads: rows by split, and a dataset card."""
    with report_errors(), open_log(log) as reader:
        sessions = [reader.find(prefix) for prefix in chosen] or None
        format = format_for(format_, template, labels=labels, scrub=scrub)
        rules = settle_policy(reader, sessions, policy, format, advice=advice, trainable=trainable, position=position)
        counter = open_renderer(tokenizer)
        report = write_folder(reader, sessions, rules, format, out.resolve(), position=position, counter=counter)
    say(plain_line(f"{out} ({format_})"))
    for line in report.lines():
        say(f"  {plain_line(line)}")
