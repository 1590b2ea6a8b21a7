"""Importing many files, one request after the other: for the command line and the app, in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.fold.beginning import say_beginning
from sessions.fold.summary import Summary
from sessions.host import protocol
from sessions.importers.sources import Source, Sources
from sessions.terminal_text import say_count
from sessions.ulid import new_ulid

NAMED: Final = 3
"""Files that are named where several of a kind are counted."""

TASK_CHARS: Final = 160
"""Characters of a task that are shown."""

Importer = Callable[[protocol.ImportFile], Awaitable["protocol.Imported | Refusal"]]
"""Asks the host; what it refuses is an answer too. Raises ApolloError where no file can be imported."""
Progress = Callable[[int, int, Source], None]
"""``progress(files done, bytes done, the file that is next)``."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file was not imported. ``unknown``: it is no recording of any kind that is known."""

    reason: str
    unknown: bool = False


@dataclass(slots=True)
class ImportReport:
    """What became of the files."""

    made: list[str] = field(default_factory=list)
    continued: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    events: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """A line for each file that was named, or is damaged."""
    passed_over: list[str] = field(default_factory=list)
    """Files in folders that are no recording of a known kind."""
    others: int = 0
    """Files in folders that hold no JSON."""
    broken_off: ApolloError | None = None
    """What ended it before the last file: there is no host."""

    def take(self, answer: protocol.Imported) -> None:
        """Count what was imported of a file."""
        self.made += answer.sessions
        self.continued += answer.continued
        self.known += answer.known
        self.events += answer.events
        if answer.sessions or answer.continued:
            self.notes.update(answer.warnings)

    def refuse(self, source: Source, refusal: Refusal) -> None:
        """Count a file that was not imported."""
        if refusal.unknown and not source.named:
            self.passed_over.append(source.path.name)
        else:
            self.refused.append(refusal.reason)

    def headline(self) -> str:
        """All of it in one line."""
        said = [f"imported {say_count(len(self.made), 'session')}, {say_count(self.events, 'event')}"]
        if self.continued:
            said.append(f"{len(self.continued):,} of them go on" if not self.made else f"{len(self.continued):,} go on")
        if self.known:
            said.append(say_known(len(self.known)))
        if self.broken_off:
            said.append(f"broken off: {self.broken_off}")
        if self.refused:
            said.append(f"{say_count(len(self.refused), 'file')} refused: {self.refused[0]}")
        if self.notes:
            said.append(f"{say_count(len(self.notes), 'note')} of what they lack: `:facts` in a session")
        return " · ".join(said)

    def lines(self, summaries: Callable[[str], Summary | None]) -> Iterator[str]:
        """The report for a person; ``summaries``: of the sessions as they are now."""
        if self.made or not (self.continued or self.known):
            yield f"imported {say_count(len(self.made), 'session')}, {say_count(self.events, 'event')}"
        yield from say_sessions(filter(None, map(summaries, self.made)))
        if self.continued:
            yield f"continued {say_count(len(self.continued), 'session')}{self._events_beside()}"
            yield from say_sessions(filter(None, map(summaries, self.continued)))
        if self.known:
            yield say_known(len(self.known))
        yield from self.passed_over_lines()
        for note, number in self.notes.items():
            yield f"  note{f' ({number} times)' if number > 1 else ''}: {note}"

    def passed_over_lines(self) -> Iterator[str]:
        """The files of folders that are no recordings."""
        if self.passed_over:
            number = say_count(len(self.passed_over), "file")
            yield f"passed over: {number} in no known format ({_some(self.passed_over)})"
        if self.others:
            yield f"passed over: {say_count(self.others, 'file')} without JSON"

    def _events_beside(self) -> str:
        return f", {say_count(self.events, 'event')}" if not self.made else ""


def say_known(number: int) -> str:
    """That sessions are in the log already, and nothing of them is new."""
    return f"{say_count(number, 'session')} known already, nothing new"


def say_sessions(summaries: Iterable[Summary]) -> Iterator[str]:
    """A line for each session; a branch and a sub-agent say of which other one."""
    found = list(summaries)
    addresses = {summary.session: summary.address for summary in found}
    for s in found:
        begins = say_beginning(s.begins, addresses)
        yield f"  session {s.address} ({s.session}) {s.title}{f' ({begins})' if begins else ''}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


async def import_files(
    sources: Sources, ask: Importer, *, format: str = "auto", copy: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Import each file; what is refused keeps no other file out."""
    report = ImportReport(others=sources.others)
    done = 0
    for number, source in enumerate(sources.found):
        if progress is not None:
            progress(number, done, source)
        try:
            answer = await ask(import_request(source.path, format, copy=copy))
        except ApolloError as problem:  # without a host no other file goes in either
            report.broken_off = problem
            break
        if isinstance(answer, Refusal):
            report.refuse(source, answer)
        else:
            report.take(answer)
        done += source.size
    return report


def import_request(path: Path, format: str, *, copy: bool) -> protocol.ImportFile:
    """The request for one file."""
    return protocol.ImportFile(request=new_ulid(), path=str(path.absolute()), format=format, copy=copy)


def say_examined(path: Path, examined: protocol.Examined) -> Iterator[str]:
    """What a file is and what an import of it would do, a line for the file and one for each session."""
    yield f"{path}: {examined.format}, {say_count(len(examined.sessions), 'session')}"
    for session in examined.sessions:
        task = " ".join(session.task.split())
        yield f"  {say_standing(session)}: {say_count(session.steps, 'step')}, {session.title}"
        if task and task != session.title:
            yield f"    task: {task[:TASK_CHARS]}{'…' if len(task) > TASK_CHARS else ''}"
    for note, number in Counter(examined.warnings).items():
        yield f"  note{f' ({number} times)' if number > 1 else ''}: {note}"


def say_standing(session: protocol.ExaminedSession) -> str:
    """How a session of a file stands to the log."""
    match session.standing:
        case "new":
            return "new"
        case "known":
            return f"known, session {session.address}"
        case "longer":
            return f"goes on where session {session.address} ends, by {say_count(session.new_steps, 'step')}"
        case "other":
            return f"differs from session {session.address} ({session.problem}), refused without --copy"
