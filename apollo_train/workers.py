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
from multiprocessing import reduction, resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

from apollo_train.errors import TrainError
from apollo_train.formats.base import Line
from apollo_train.making import Made, Making, make
from apollo_train.reporting import TELL_EVERY, weight_of
from apollo_train.samples import Excluded
from apollo_train.writing import CHUNK, Data, NewFile
from sessions.log.reader import LogReader

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
