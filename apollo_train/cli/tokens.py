"""``apollo-train tokens``: from a log to token ids and labels, with a report and a look at what is trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from msgspec import structs

from apollo_train.cli.progress import hint_at_resume, progress_bar
from apollo_train.cli.questions import settle_policy
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
    trainable_option,
    workers_option,
)
from apollo_train.cli.terminal_output import say
from apollo_train.export.preview import find_reply, make_sample
from apollo_train.export.report import ExportReport, Progress
from apollo_train.export.run import run_export
from apollo_train.formats.parquet import write_parquet
from apollo_train.formats.token_report import RowPreview, preview_row, report_paths, write_report
from apollo_train.formats.tokens import TokensFormat
from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.rules import REASONS
from apollo_train.offline_hub import stay_offline
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import FileInTheWay, TrainError
from apollo_train.samples.char_spans import masks_parts_of_tokens
from apollo_train.samples.scrub import load_scrub
from apollo_train.samples.session_selection import find_exclusion
from apollo_train.samples.step_samples import Exclusion, Source
from apollo_train.samples.weights import Weigher
from apollo_train.templates.engine import open_engine
from apollo_train.templates.packing import Row, make_row
from apollo_train.templates.renderer import UNFIT, Renderer
from apollo_train.templates.stop_tokens import find_stop_tokens
from apollo_train.templates.template_probe import probe_template
from sessions.log.reader import LogReader
from sessions.terminal_text import plain_line, plain_text

_OPTIONS: Final = (
    click.option("--chat-template", type=click.Path(path_type=Path, dir_okay=False), help="Instead of its own."),
    click.option("--stop", multiple=True, metavar="TOKEN", help="Where replies end; twice: after a text, a call."),
    click.option("--max-length", type=click.IntRange(min=8), help="The longest row, in tokens (default: no limit)."),
    click.option("--too-long", type=click.Choice(["error", "exclude", "keep_end"]), default="error", show_default=True,
                 help="Rows over --max-length: an error, left out, or without the start of their prompt."),
    click.option("--packing", type=click.Choice(["rounds", "steps"]), default="rounds", show_default=True,
                 help="Replies share a row while the template allows it, or have one each."),
    click.option("--no-think", type=click.Choice(["mask", "exclude"]), default="mask", show_default=True,
                 help="Replies without reasoning: the empty block masked, or left out."),
    click.option("--render", type=click.Choice(["turns", "whole"]), default="turns", show_default=True,
                 help="Render and encode each turn once, or each prompt whole (slow; for odd templates)."),
)  # fmt: skip


def token_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how rows of tokens are made."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tokens_format(tokenizer: str, chat_template: Path | None, stop: tuple[str, ...], **settings: Any) -> TokensFormat:
    """The format for this tokenizer. Raises NoTokenizer or UnknownTemplate."""
    no_think, whole = settings.pop("no_think"), settings.pop("render", "turns") == "whole"
    if (scrub := settings.pop("scrub", None)) is not None:
        settings["scrub"] = load_scrub(scrub)
    engine = open_engine(tokenizer, chat_template)
    renderer = Renderer(engine, find_stop_tokens(engine, stop), probe_template(engine), no_think, whole)
    return TokensFormat(renderer, **settings)


def write_tokens(
    reader: LogReader,
    sessions: list[str] | None,
    policy: FilterPolicy,
    format: TokensFormat,
    out: Path,
    *,
    overwrite: bool,
    position: int | None,
    resume: bool = False,
    workers: int | None = 1,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the rows, their twin, manifest, report and page."""
    for path in () if overwrite else report_paths(out):
        if path.exists():
            raise FileInTheWay(f"{path} is there already: choose another name, or say --overwrite")
    report = run_export(
        reader,
        sessions,
        policy,
        format,
        out,
        overwrite=overwrite,
        position=position,
        progress=progress,
        resume=resume,
        workers=workers,
    )
    write_report(out, format.report, format.settings, overwrite=overwrite)
    return report


@click.command()
@log_option
@policy_option
@advice_option
@trainable_option
@click.option("--tokenizer", required=True, metavar="FOLDER", help="The model's folder (or name).")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The JSONL file to write.")
@click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions (may be given again).")
@token_options
@labels_option
@scrub_option
@click.option("--attention-mask", is_flag=True, help="Also write a column of ones (Axolotl, LLaMA-Factory).")
@click.option("--parquet", is_flag=True, help="Also write the rows as Parquet, OUT with .parquet.")
@click.option("--show", default=1, show_default=True, help="Rows to show decoded, what is trained in colour.")
@click.option("--position", type=int, help="Read the log only up to this event, to repeat an earlier export.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@workers_option
@click.option("--resume", is_flag=True, help="Go on with an export that was stopped, from the same log position.")
def tokens(
    log: Path | None,
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    tokenizer: str,
    out: Path,
    chosen: tuple[str, ...],
    parquet: bool,
    show: int,
    position: int | None,
    overwrite: bool,
    workers: int | None,
    resume: bool,
    **settings: Any,
) -> None:
    """Write rows of token ids and labels, -100 where there is no loss, with a report and a page of decoded rows."""
    with report_errors(), open_log(log) as reader:
        sessions = [reader.find(prefix) for prefix in chosen] or None
        stay_offline(tokenizer)
        format = tokens_format(tokenizer, **settings)
        rules = settle_policy(reader, sessions, policy, format, advice=advice, trainable=trainable, position=position)
        columns = out.with_suffix(".parquet")
        if parquet and columns.exists() and not overwrite:
            raise FileInTheWay(f"{columns} is there already: choose another name, or say --overwrite")
        if parquet and columns == out:
            raise TrainError("--out names the JSONL file; --parquet writes another one beside it")
        with hint_at_resume(out), progress_bar(out.name) as progress:
            report = write_tokens(
                reader,
                sessions,
                rules,
                format,
                out,
                overwrite=overwrite,
                position=position,
                resume=resume,
                workers=workers,
                progress=progress,
            )
        if parquet:
            write_parquet(out, columns)
        for row in format.report.shown[:show]:
            show_row(row)
        say(plain_line(f"{report.path} (tokens)"))
        weighed = "of what follows each row counts once, however often it is written for its weight, or not at all"
        for line in (*report.lines(), *([weighed] if report.counts.resampled else []), *format.report.lines()):
            say(f"  {plain_line(line)}")
        say(plain_line(f"  decoded rows: {report_paths(out)[1]}"))


def show_step(
    reader: LogReader,
    session: str,
    policy: FilterPolicy,
    step: int | None,
    tokenizer: str,
    chat_template: Path | None,
    stop: tuple[str, ...],
) -> None:
    """One reply as tokens, trained or masked. Raises TrainError where there is none."""
    stay_offline(tokenizer)
    format = tokens_format(tokenizer, chat_template, stop, no_think="mask", packing="steps")
    row = row_of(reader, session, policy, format, step)
    if row is None:
        raise TrainError(f"session {session} has no {'reply' if step is None else f'step {step}'}")
    if isinstance(row, Exclusion):
        about = (
            format.explanation()
            or REASONS.get(row.reason)
            or UNFIT.get(row.reason)
            or "the policy leaves the session out"
        )
        raise TrainError(f"step {row.step} makes no tokens: {row.reason} ({about})")
    if not any(row.trained):
        say(f"step {row.last.sample.meta['step']} is masked: {row.last.sample.mask.reason}")
    show_row(preview_row(row, format.renderer.engine))


def row_of(
    reader: LogReader, session: str, policy: FilterPolicy, format: TokensFormat, step: int | None
) -> Row | Exclusion | None:
    """The row of one reply by itself, also of one that is masked; None where there is no such reply."""
    judged = read_annotations(reader, session, reader.position())
    mask = find_reply(reader, judged, policy, step) if judged is not None else None
    if judged is None or mask is None:
        return None
    source = Source(reader, judged, policy, Weigher(policy))
    left_out = find_exclusion(judged, policy.sessions)
    if left_out:
        return source.exclude(mask, left_out)
    if not mask.trained and not masks_parts_of_tokens(policy):
        cells = [structs.replace(cell, trained=False, reason=cell.reason or mask.reason) for cell in mask.cells]
        mask = structs.replace(mask, cells=tuple(cells))
    sample = make_sample(source, mask)
    found = sample if isinstance(sample, Exclusion) else format.tokenise(source, replace(sample, mask=mask))
    if not isinstance(found, Exclusion):
        return make_row(found)
    masked = not mask.trained and not any(cell.trained for cell in mask.cells)
    return source.exclude(mask, mask.reason) if masked else found


def show_row(row: RowPreview) -> None:
    """One row, decoded: what is trained in colour, and by a sign in the margin where there is none."""
    say(plain_line(f"row {row.id}: {row.trained:,} of {row.tokens:,} tokens trained"))
    for stretch in row.stretches:
        colour = None if os.environ.get("NO_COLOR") else COLOURS[stretch.role]
        for line in plain_text(stretch.text).split("\n"):
            say(f"{MARKS[stretch.role]} {line}", colour=colour)
