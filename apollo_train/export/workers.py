"""Sessions made by several processes at once, their lines joined in order: the same bytes, whatever the number.

Each process writes a session to files without a name and hands them over; what is in memory is a chunk, and what waits
on the disk are a few sessions for each process. A process that finds nobody at the other end goes away.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol

from apollo_train.export.counts import Counts
from apollo_train.export.report import TELL_EVERY, weight_of
from apollo_train.formats.base import Format, Line
from apollo_train.masks.flag_verdicts import FlagVerdicts
from apollo_train.output_files import CHUNK, Data, NewFile
from apollo_train.policy import FilterPolicy
from apollo_train.runtime import TrainError
from apollo_train.samples.rows import Copies, Weigher
from apollo_train.samples.select import LeftOut, judged_of
from apollo_train.samples.steps import Excluded, Source
from sessions.events import ModelReplied, Target
from sessions.events.messages import CallPart
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader

Tell = Callable[[Line | Excluded], None]
"""Hears of each line and of each reply that is left out."""


class Sink(Protocol):
    """Takes lines in order."""

    def line(self, data: Data) -> None:
        """Write one line (or several, with their ends between them) and its end."""
        ...


@dataclass(frozen=True, slots=True)
class Making:
    """All that decides what the files say of a session; other processes get it as it is."""

    policy: FilterPolicy
    made: Format
    position: int
    weigher: Weigher
    named: bool
    """Whether somebody asked for these very sessions, so that a missing one is told of."""

    @property
    def ruled(self) -> bool:
        """Whether the policy applies."""
        return self.made.unit != "event"


@dataclass(slots=True)
class Made:
    """What became of one session: its counts, or the ``reason`` why it takes no part."""

    session: str
    reason: str = ""
    counts: Counts | None = None
    told: Any = None
    """What a format that reports gathered of it."""


def make(
    reader: LogReader, making: Making, session: str, data: Sink, twin: Sink, copies: Copies | None, tell: Tell
) -> Made | None:
    """Write the lines of a session; None if there was no such session then, and nobody asked for it."""
    judged = judged_of(reader, session, making.policy if making.ruled else None, making.position)
    if isinstance(judged, LeftOut):
        if judged.reason == "session_missing" and not making.named:
            return None
        twin.line(canonical_json({"session": session, "reason": judged.reason}))
        return Made(session, judged.reason)
    source = Source(reader, judged, making.policy, making.weigher)
    counts = counts_before(source, making.made)
    for item in making.made.lines(source):
        times = 1
        if isinstance(item, Excluded):
            twin.line(_twin_line(item))
        elif copies is None:
            data.line(item.data)
        else:
            times = _copied(item, copies, data, twin)
        counts.take(item, times)
        tell(item)
    return Made(session, counts=counts, told=making.made.take_report())


def made_here(
    reader: LogReader,
    making: Making,
    sessions: Sequence[str],
    data: Sink,
    twin: Sink,
    copies: Copies | None,
    tell: Tell,
) -> Iterator[Made]:
    """The sessions one after the other, in this process."""
    for session in sessions:
        made = make(reader, making, session, data, twin, copies, tell)
        if made is not None:
            yield made


def _copied(item: Line, copies: Copies, data: Sink, twin: Sink) -> int:
    """Write a row as often as it weighs; returns how often that is."""
    times = copies.next(item.weight)
    for _ in range(times):
        data.line(item.data)
    if not times:
        session, _, step = item.id.partition(":")
        twin.line(canonical_json({"id": item.id, "session": session, "step": step, "reason": "resampled"}))
    return times


def counts_before(source: Source, made: Format) -> Counts:
    """Counts of a session before its first line."""
    if made.unit == "event":
        return Counts(sessions=1)
    judged = source.judged
    verdicts = FlagVerdicts(judged, source.policy)
    flags = judged.flags.active
    return Counts(
        sessions=1,
        unresolved=verdicts.unresolved,
        lost_flags=sum(1 for flag in flags if not _exists(source, flag.target)),
        advice=len(judged.advice.delivered),
        flags=sum(flag.human for flag in flags),
        effort_ms=judged.effort_ms,
    )


def _exists(source: Source, target: Target) -> bool:
    """Whether there is such a step, or such a call of it, or such a summary, at the export's position."""
    judged = source.judged
    if target.part == "summary":
        return any(written.number == target.step for written in judged.summaries.values())
    steps = (target.step, target.to_step or target.step)
    # The first event of a span says whether there is any; a call may be in any reply of its step.
    kinds, limit = ("model.reply", "model.interrupted"), None if target.part == "call" else 1
    found = source.reader.events(judged.session, steps=steps, kinds=kinds, limit=limit)
    bodies = [event.body for event in found if event.id <= judged.position]
    if target.part != "call":
        return bool(bodies)
    replies = [body for body in bodies if isinstance(body, ModelReplied)]
    return any(sum(isinstance(part, CallPart) for part in body.parts) >= (target.call or 0) for body in replies)


def _twin_line(item: Excluded) -> bytes:
    """One line of the twin file."""
    line: dict[str, Any] = {"id": item.id, "session": item.session, "step": item.step, "reason": item.reason}
    return canonical_json({**line, "seq": item.seq})


MOST: Final = 4
"""Processes that are taken unasked: each needs about 45 MB."""
WORTH: Final = {True: 15_000, False: 60_000}
"""Replies (True), or events, from which on it pays to start processes: each needs a third of a second for it."""
AHEAD: Final = 2
"""Sessions that a process is given at once, so that it never waits for the next."""


class WorkerLost(TrainError):
    """A process of the export was ended by somebody else."""


def workers_for(size: int, sessions: int, *, ruled: bool) -> int:
    """How many processes an export of so many replies (or events) takes unasked."""
    if size < WORTH[ruled]:
        return 1
    return max(1, min(MOST, sessions, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))


class Workers:
    """Processes that make sessions of one log."""

    def __init__(self, log: Path, making: Making, folder: Path, number: int) -> None:
        """``folder`` takes what waits: the one of the export, which has to have the room anyhow."""
        context = multiprocessing.get_context("spawn")
        self._hands: list[_Hand] = []
        # Ctrl+c is for this process alone; what is blocked here stays blocked in those that it starts.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(number):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(str(log), making, str(folder), theirs), daemon=True)
                process.start()
                theirs.close()
                self._hands.append(_Hand(process, ours))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hand in self._hands:
            if kind is not None:
                hand.process.terminate()
            hand.connection.close()
        for hand in self._hands:
            hand.process.join()

    def make(
        self, sessions: Sequence[str], data: NewFile, twin: NewFile, tell: Callable[[int], None]
    ) -> Iterator[Made]:
        """What became of each session, in this order, when its lines are in both files."""
        given = 0
        ready: dict[int, tuple[Made | None, list[_Piece]]] = {}
        for number in range(len(sessions)):
            while True:
                for hand in self._hands:
                    while len(hand.given) < AHEAD and given < min(len(sessions), number + 2 * AHEAD * len(self._hands)):
                        hand.give(given, sessions[given])
                        given += 1
                if number in ready:
                    break
                for hand in self._ready():
                    hand.take(ready, tell)
            made, pieces = ready.pop(number)
            for file, piece in zip((data, twin), pieces, strict=True):
                with piece.file:
                    piece.file.seek(0)
                    file.copy(piece.file, piece.size)
            if made is not None:
                yield made

    def _ready(self) -> list[_Hand]:
        """Processes that have something to say."""
        by_connection = {hand.connection: hand for hand in self._hands}
        return [by_connection[one] for one in wait(list(by_connection)) if isinstance(one, Connection)]


class _Piece:
    """The lines of one session in a file without a name."""

    def __init__(self, file: IO[bytes], size: int = 0) -> None:
        self.file, self.size = file, size

    def line(self, data: Data) -> None:
        """See Sink."""
        for part in (data, b"\n") if isinstance(data, bytes) else (*data, b"\n"):
            self.file.write(part)
            self.size += len(part)


class _Hand:
    """One process, and which sessions it was given."""

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.given: deque[int] = deque()

    def give(self, number: int, session: str) -> None:
        """Ask for a session."""
        self.given.append(number)
        with self._there():
            self.connection.send(session)

    def take(self, ready: dict[int, tuple[Made | None, list[_Piece]]], tell: Callable[[int], None]) -> None:
        """Hear one thing from it. Raises what its session raised, or WorkerLost."""
        with self._there():
            said = self.connection.recv()
            if isinstance(said, int):
                tell(said)
                return
            if isinstance(said, BaseException):
                raise said
            made, sizes = said
            pieces = [_Piece(os.fdopen(reduction.recv_handle(self.connection), "rb", 0), size) for size in sizes]
        ready[self.given.popleft()] = (made, pieces)

    @contextlib.contextmanager
    def _there(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as problem:
            self.process.join(1)
            raise WorkerLost(
                f"a process of the export ended early (code {self.process.exitcode}): was there too little memory? "
                "`--workers 1` needs the least"
            ) from problem


def _work(log: str, making: Making, folder: str, connection: Connection) -> None:
    """Make sessions until nobody asks for one."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), LogReader(Path(log)) as reader:
        while True:
            session = connection.recv()
            with contextlib.ExitStack() as stack:
                files = [stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=CHUNK)) for _ in range(2)]
                data, twin = map(_Piece, files)
                try:
                    made = make(reader, making, session, data, twin, None, _Said(connection))
                    for file in files:
                        file.flush()
                except (EOFError, BrokenPipeError, ConnectionResetError):
                    raise
                except Exception as problem:  # noqa: BLE001 - whatever it is, it is told where the export is
                    connection.send(problem)
                    return
                connection.send((made, [data.size, twin.size]))
                for file in files:
                    reduction.send_handle(connection, file.fileno(), os.getppid())


class _Said:
    """Says now and then how much was made."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._some = connection, 0

    def __call__(self, item: Line | Excluded) -> None:
        """One more line."""
        self._some += weight_of(item)
        if self._some >= TELL_EVERY:
            self._connection.send(self._some)
            self._some = 0
