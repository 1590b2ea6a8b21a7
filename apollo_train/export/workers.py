"""Sessions written by several processes at once, their lines joined in order: the same bytes, whatever the number.

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

from apollo_train.export.report import PROGRESS_EVERY, size_of
from apollo_train.export.session_writer import ExportRules, SessionResult, write_session
from apollo_train.formats.base import Line
from apollo_train.output_files import CHUNK, Data, NewFile
from apollo_train.runtime import TrainError
from apollo_train.samples.step_samples import Exclusion
from sessions.annotators import know_logins
from sessions.log.reader import LogReader

MOST: Final = 4
"""Processes that are taken unasked: each needs about 45 MB."""
WORTH: Final = {True: 15_000, False: 60_000}
"""Replies (True), or events, from which on it pays to start processes: each needs a third of a second for it."""
AHEAD: Final = 2
"""Sessions that a process is given at once, so that it never waits for the next."""


ProgressListener = Callable[[int], None]
"""Hears that so many replies (or events) more were written."""


class WorkerLost(TrainError):
    """A process of the export was ended by somebody else."""


def workers_for(size: int, sessions: int, *, replies: bool) -> int:
    """How many processes an export of so many replies (or events) takes unasked."""
    if size < WORTH[replies]:
        return 1
    return max(1, min(MOST, sessions, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2))


class Workers:
    """Processes that write sessions of one log."""

    def __init__(self, log: Path, rules: ExportRules, folder: Path, number: int) -> None:
        """``folder`` takes what waits: the one of the export, which has to have the room anyhow."""
        context = multiprocessing.get_context("spawn")
        self._processes: list[_Worker] = []
        # Ctrl+c is for this process alone; what is blocked here stays blocked in those that it starts.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for _ in range(number):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(str(log), rules, str(folder), theirs), daemon=True)
                process.start()
                theirs.close()
                self._processes.append(_Worker(process, ours))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._processes:
            if kind is not None:
                worker.process.terminate()
            worker.connection.close()
        for worker in self._processes:
            worker.process.join()

    def write(
        self, sessions: Sequence[str], data: NewFile, twin: NewFile, on_progress: ProgressListener
    ) -> Iterator[SessionResult]:
        """What became of each session, in this order, when its lines are in both files."""
        given_count = 0
        ready: dict[int, _Session] = {}
        for number in range(len(sessions)):
            while True:
                limit = min(len(sessions), number + 2 * AHEAD * len(self._processes))
                for worker in self._processes:
                    while len(worker.given) < AHEAD and given_count < limit:
                        worker.give(given_count, sessions[given_count])
                        given_count += 1
                if number in ready:
                    break
                for worker in self._ready():
                    worker.take(ready, on_progress)
            result, files = ready.pop(number)
            for target, written in zip((data, twin), files, strict=True):
                with written.file:
                    written.file.seek(0)
                    target.copy(written.file, written.size)
            if result is not None:
                yield result

    def _ready(self) -> list[_Worker]:
        """Processes that have sent something."""
        by_connection = {worker.connection: worker for worker in self._processes}
        return [by_connection[one] for one in wait(list(by_connection)) if isinstance(one, Connection)]


class _SessionFile:
    """The lines of one session in a file without a name."""

    def __init__(self, file: IO[bytes], size: int = 0) -> None:
        self.file, self.size = file, size

    def line(self, data: Data) -> None:
        """See Sink."""
        for part in (data, b"\n") if isinstance(data, bytes) else (*data, b"\n"):
            self.file.write(part)
            self.size += len(part)


_Session = tuple[SessionResult | None, list[_SessionFile]]
"""What became of a session, and its lines: rows, then twin."""


class _Worker:
    """One process, and which sessions it was given."""

    def __init__(self, process: Any, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.given: deque[int] = deque()

    def give(self, number: int, session: str) -> None:
        """Ask for a session."""
        self.given.append(number)
        with self._detect_loss():
            self.connection.send(session)

    def take(self, ready: dict[int, _Session], on_progress: ProgressListener) -> None:
        """Take one message from it. Raises what its session raised, or WorkerLost."""
        with self._detect_loss():
            message = self.connection.recv()
            if isinstance(message, int):
                on_progress(message)
                return
            if isinstance(message, BaseException):
                raise message
            result, sizes = message
            files = [_SessionFile(os.fdopen(reduction.recv_handle(self.connection), "rb", 0), size) for size in sizes]
        ready[self.given.popleft()] = (result, files)

    @contextlib.contextmanager
    def _detect_loss(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, BrokenPipeError, ConnectionResetError) as problem:
            self.process.join(1)
            raise WorkerLost(
                f"a process of the export ended early (code {self.process.exitcode}): was there too little memory? "
                "`--workers 1` needs the least"
            ) from problem


def _serve(log: str, rules: ExportRules, folder: str, connection: Connection) -> None:
    """Write sessions until nobody asks for one."""
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), LogReader(Path(log)) as reader:
        know_logins(reader.logins())
        while True:
            session = connection.recv()
            with contextlib.ExitStack() as stack:
                files = [stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=CHUNK)) for _ in range(2)]
                data, twin = map(_SessionFile, files)
                try:
                    result = write_session(reader, rules, session, data, twin, None, _ProgressSender(connection))
                    for file in files:
                        file.flush()
                except (EOFError, BrokenPipeError, ConnectionResetError):
                    raise
                except Exception as problem:  # noqa: BLE001 - whatever it is, it is raised where the export is
                    connection.send(problem)
                    return
                connection.send((result, [data.size, twin.size]))
                for file in files:
                    reduction.send_handle(connection, file.fileno(), os.getppid())


class _ProgressSender:
    """Sends now and then how much was written."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._size = connection, 0

    def __call__(self, item: Line | Exclusion) -> None:
        """One more line."""
        self._size += size_of(item)
        if self._size >= PROGRESS_EVERY:
            self._connection.send(self._size)
            self._size = 0
