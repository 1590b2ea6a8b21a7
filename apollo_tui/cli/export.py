"""``apollo export``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click
import msgspec

from apollo_train.cli.shared import advice_option, scrub_option, trainable_option
from apollo_train.cli.terminal_output import say, say_json
from apollo_tui.acts.requests import annotation_request
from apollo_tui.cli.connection import Cli, ask_host, new_request_id, open_log
from apollo_tui.cli.output import json_option, print_json, print_lines
from sessions import events as ev
from sessions.errors import ApolloError
from sessions.terminal_text import plain_line


@click.command()
@click.option(
    "--format", "format_", default="steps", show_default=True, metavar="FORMAT", help="docs/formats.md lists them."
)
@click.option(
    "--template",
    default="",
    metavar="NAME|FOLDER|FILE",
    help="The model's chat template: rows take the form it needs, or are refused if it would be misread.",
)
@click.option(
    "--tokenizer",
    default="",
    metavar="FOLDER",
    help="The model's tokenizer: compare its token counts with those of the servers.",
)
@click.option(
    "--labels", is_flag=True, help="Let each row say in `meta` which flags, with which labels, stand on its replies."
)
@scrub_option
@click.argument("named", nargs=-1, metavar="[SESSION]...")
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="The file to write.")
@click.option("--session", "chosen", multiple=True, metavar="ID", help="Only these sessions, as SESSION does.")
@click.option("--policy", metavar="FILE|PRESET", default="default", show_default=True)
@advice_option
@trainable_option
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@click.option("--resume", is_flag=True, help="Go on with an export that was stopped, from the same log position.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that make rows (default: one per core, 4 at most; 1 for little and steps). The bytes are the same.",
)
@click.option("--progress", is_flag=True, help="Print progress as JSON lines on stderr, for the app.")
@json_option
@click.pass_obj
def export(
    cli: Cli,
    format_: str,
    template: str,
    tokenizer: str,
    labels: bool,
    scrub: Path | None,
    named: tuple[str, ...],
    out: Path | None,
    chosen: tuple[str, ...],
    policy: str,
    advice: str | None,
    trainable: tuple[str, ...],
    overwrite: bool,
    resume: bool,
    workers: int | None,
    progress: bool,
    as_json: bool,
) -> None:
    """Write training data from the log, with a manifest beside it: of all sessions, or of each SESSION.

    Same position and policy: same bytes.
    """
    if out is None:
        raise click.UsageError("which file shall it write? Give --out FILE")
    from apollo_train.cli.progress import hint_at_resume, progress_bar
    from apollo_train.cli.questions import settle_policy
    from apollo_train.export.run import run_export
    from apollo_train.formats import format_for
    from apollo_train.templates.token_check import open_renderer

    reader = open_log(cli)
    format = format_for(format_, template, labels=labels, scrub=scrub)
    sessions = list(dict.fromkeys(reader.find(prefix) for prefix in (*named, *chosen))) or None
    rules = settle_policy(reader, sessions, policy, format, advice=advice, trainable=trainable)

    def print_progress(done: int, total: int) -> None:
        say_json({"done": done, "total": total}, err=True)

    with hint_at_resume(out.resolve()), nullcontext(print_progress) if progress else progress_bar(out.name) as listener:
        report = run_export(
            reader,
            sessions,
            rules,
            format,
            out.resolve(),
            overwrite=overwrite,
            progress=listener,
            resume=resume,
            counter=open_renderer(tokenizer),
            workers=workers,
        )
    _record(cli, report)
    if as_json:
        print_json({"id": str(report.path), **msgspec.to_builtins(report.counts)})
        return
    say(plain_line(f"wrote {report.path}, with {report.beside()} beside it"))
    print_lines(report.lines())


def _record(cli: Cli, report: object) -> None:
    """Let the log say what was exported, if a host runs; an export itself never starts one."""
    from apollo_train.export.report import ExportReport
    from sessions.host.client import host_status

    assert isinstance(report, ExportReport)
    try:
        if host_status(cli.paths) is None:
            return
        for session, counts in report.per_session.items():
            body = ev.ExportWritten(
                path=str(report.path),
                format=report.format,
                policy=report.policy,
                position=report.position,
                trained=counts.trained,
                masked=counts.masked,
            )
            ask_host(cli, annotation_request(new_request_id(), session, body), start=False)
    except ApolloError as error:
        say(plain_line(f"apollo: the file is written, but the log does not say so: {error}"), err=True)
