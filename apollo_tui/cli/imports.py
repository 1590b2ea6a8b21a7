"""``apollo import``: recordings from elsewhere, one file or whole folders."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from apollo_train.cli.terminal_output import progress_on_stderr, say
from apollo_tui.acts.imports import ImportReport, Progress, Refusal, import_files, say_examined
from apollo_tui.cli.connection import Cli, ask_host, open_log
from apollo_tui.cli.output import json_option, print_json, print_lines
from sessions.errors import ApolloError
from sessions.host import protocol
from sessions.importers.base import CannotImport, NoKnownFormat
from sessions.importers.sources import Source, Sources, find_sources
from sessions.terminal_text import plain_line, say_count

if TYPE_CHECKING:
    pass


@click.command(name="import")
@click.argument("files", metavar="FILE|FOLDER|PATTERN...", nargs=-1, required=True)
@click.option("--format", "format_", default="auto", show_default=True, help="docs/formats.md lists them.")
@click.option("--copy", is_flag=True, help="Import a session that the log has already, as a copy with a new id.")
@click.option("--dry-run", is_flag=True, help="Say what each file is and what would become of it; write nothing.")
@json_option
@click.pass_obj
def import_(cli: Cli, files: tuple[str, ...], format_: str, copy: bool, dry_run: bool, as_json: bool) -> None:
    """Read trajectories that were recorded elsewhere, as finished sessions to annotate.

    Folders are searched whole; files may be packed (.gz, .zst). What is in the log already is passed over, what has
    grown since goes on where it ended. Files that cannot be read are named, and the others imported.
    """
    sources = find_sources(files)
    if not sources.found:
        raise CannotImport(f"there is nothing to import: {say_count(sources.others, 'file')} without JSON")
    if dry_run:
        _examine_all(cli, sources, format_, as_json)
    else:
        _import_all(cli, sources, format_, copy, as_json)


def _import_all(cli: Cli, sources: Sources, format_: str, copy: bool, as_json: bool) -> None:
    from sessions.host.client import RequestRefused

    async def ask(params: protocol.ImportFile) -> protocol.Imported | Refusal:
        try:
            return await asyncio.to_thread(ask_host, cli, params)
        except RequestRefused as problem:
            return Refusal(str(problem), problem.kind == "unknown_format")

    with _bar(sources) as progress:
        report = asyncio.run(import_files(sources, ask, format=format_, copy=copy, progress=progress))
    if report.made or report.continued or report.known:
        _print_report(cli, report, as_json)
    elif not (report.refused or report.broken_off):
        number = say_count(len(report.passed_over), "file")
        raise CannotImport(f"there is nothing to import: {number} in no known format")
    _refuse([*report.refused, *filter(None, [report.broken_off])])


def _print_report(cli: Cli, report: ImportReport, as_json: bool) -> None:
    reader = open_log(cli)
    if as_json:
        kinds = (("imported", report.made), ("continued", report.continued), ("known", report.known))
        made = [(kind, found) for kind, names in kinds for name in names if (found := reader.summary(name))]
        print_json([{"id": s.session, "number": s.number, "events": s.last_seq, "became": kind} for kind, s in made])
    else:
        print_lines(report.lines(reader.summary))
    reader.close()


def _refuse(problems: Sequence[str | ApolloError]) -> None:
    """Say each in a line; the last one ends the command."""
    for problem in problems[:-1]:
        say(plain_line(f"apollo: {problem}"), err=True)
    if problems:
        last = problems[-1]
        raise last if isinstance(last, ApolloError) else CannotImport(last)


def _examine_all(cli: Cli, sources: Sources, format_: str, as_json: bool) -> None:
    """Without a host: nothing is started, nothing written."""
    from sessions.host.examination import examine
    from sessions.log.errors import LogMissing

    try:
        reader = open_log(cli)
    except LogMissing:
        reader = None
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    unknown: list[str] = []
    done = 0
    with _bar(sources) as progress:
        for number, source in enumerate(sources.found):
            if progress:
                progress(number, done, source)
            done += source.size
            try:
                examined = examine(source.path.absolute(), format_, reader)
            except CannotImport as problem:
                rows.append({"path": str(source.path), "refused": str(problem)})
                if isinstance(problem, NoKnownFormat) and not source.named:
                    unknown.append(source.path.name)
                else:
                    refused.append(str(problem))
                continue
            rows.append({"path": str(source.path), **msgspec.to_builtins(examined)})
            if not as_json:
                print_lines(say_examined(source.path, examined))
    if reader is not None:
        reader.close()
    if as_json:
        print_json(rows)
    elif unknown or sources.others:
        print_lines(ImportReport(passed_over=unknown, others=sources.others).passed_over_lines())
    _refuse(refused)


@contextmanager
def _bar(sources: Sources) -> Iterator[Progress | None]:
    """A bar on stderr, by bytes; None where that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    name = ""
    with progress_on_stderr(max(1, sources.size), "import", lambda: name) as shown:

        def advance(done: int, size: int, source: Source) -> None:
            nonlocal name
            name = f"{done + 1:,} of {len(sources.found):,}: {source.path.name}"
            shown.update(max(0, size - shown.pos))
            shown.render_progress()

        yield advance
        shown.update(max(0, sources.size - shown.pos))
