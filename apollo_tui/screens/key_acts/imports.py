"""``:import``: recordings from elsewhere, in the words of the command line; keys work while the host reads."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apollo_tui.acts.imports import ImportReport, Refusal, import_files, say_examined
from apollo_tui.backend.feed import NotDone
from sessions.errors import ApolloError
from sessions.host import protocol
from sessions.importers.sources import Source, Sources, find_sources
from sessions.terminal_text import say_count
from widgets.models import Choice

if TYPE_CHECKING:
    from apollo_tui.screens.base import ApolloScreen

USAGE: Final = ":import [--dry-run] [--copy] [--format NAME] FILE|FOLDER|PATTERN…"


def import_named(screen: ApolloScreen, words: list[str]) -> None:
    """Import what the words name, or with ``--dry-run`` show what it is. Raises NotDone."""
    try:
        given = shlex.split(" ".join(words))
    except ValueError as problem:
        raise NotDone(f"{USAGE}: {problem}") from problem
    paths: list[str] = []
    format, copy, dry_run = "auto", False, False
    while given:
        word = given.pop(0)
        if word == "--format" and given:
            format = given.pop(0)
        elif word in ("--copy", "--dry-run"):
            copy, dry_run = copy or word == "--copy", dry_run or word == "--dry-run"
        elif word.startswith("--"):
            raise NotDone(USAGE)
        else:
            paths.append(word)
    if not paths:
        raise NotDone(USAGE)
    screen.run_worker(_run(screen, paths, format, copy=copy, dry_run=dry_run), group="import", exclusive=False)


async def _run(screen: ApolloScreen, paths: list[str], format: str, *, copy: bool, dry_run: bool) -> None:
    try:
        sources = await asyncio.to_thread(find_sources, paths)
        if not sources.found:
            screen.say(f"there is nothing to import: {say_count(sources.others, 'file')} without JSON", "error")
        elif dry_run:
            await _examine(screen, sources, format)
        else:
            await _import(screen, sources, format, copy)
    except NotDone as problem:
        screen.say(screen.apollo.explain(problem), "error")
    except ApolloError as problem:
        screen.say(str(problem), "error")


async def _import(screen: ApolloScreen, sources: Sources, format: str, copy: bool) -> None:
    async def ask(params: protocol.ImportFile) -> protocol.Imported | Refusal:
        try:
            return await screen.context.feed.call(params)
        except NotDone as problem:
            if not problem.kind:
                raise ApolloError(screen.apollo.explain(problem)) from problem
            return Refusal(str(problem), problem.kind == "unknown_format")

    def progress(number: int, _: int, source: Source) -> None:
        screen.say(f"importing {number + 1:,} of {len(sources.found):,}: {source.path.name}")

    report = await import_files(sources, ask, format=format, copy=copy, progress=progress)
    failed = bool(report.refused or report.broken_off)
    screen.say(report.headline(), "error" if failed else "done")


async def _examine(screen: ApolloScreen, sources: Sources, format: str) -> None:
    """Show what each file is; nothing is written."""
    from apollo_tui.screens.panels.base import ChoicePanel

    class ExaminedPanel(ChoicePanel):
        hang = 2

    choices: list[Choice] = []
    refused: list[str] = []
    unknown: list[str] = []
    for number, source in enumerate(sources.found, 1):
        screen.say(f"reading {number:,} of {len(sources.found):,}: {source.path.name}")
        try:
            ask = protocol.ExamineFile(path=str(source.path.absolute()), format=format)
            file, *lines = say_examined(Path(source.path.name), await screen.context.feed.call(ask))
            choices += [Choice(f"{number}.{at}", line.strip(), group=file) for at, line in enumerate(lines)]
        except NotDone as problem:
            if not problem.kind:
                raise
            if problem.kind == "unknown_format" and not source.named:
                unknown.append(source.path.name)
            else:
                refused.append(str(problem))
    passed_over = ImportReport(passed_over=unknown, others=sources.others).passed_over_lines()
    choices += [Choice(line, line, group="refused") for line in refused]
    choices += [Choice(line, line, group="no recordings") for line in passed_over]
    read = f"{say_count(len(sources.found), 'file')} read, nothing is written"
    if screen.typing or screen.app.screen is not screen:
        # It took its time, and no key opens it now.
        screen.apollo.say(f"{read}; something else is open here, so ask once more to see what an import would do")
        return
    screen.say(read)
    screen.ask(ExaminedPanel("what an import would do", choices, "nothing is written · esc closes"), lambda _: None)
