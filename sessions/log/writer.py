"""The one writer: a single task that owns a single connection and drains a queue of write sets.

Each write set is all or nothing. A caller that is cancelled after ``append`` began loses the answer, not the events.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

import aiosqlite

from sessions.clock import now_ms
from sessions.events import Event, NewEvent
from sessions.events.text import Blob
from sessions.fold.summary import Summary
from sessions.log import schema
from sessions.log.errors import LogClosed, LogError, write_error
from sessions.log.migrations import prepare_log
from sessions.log.session_heads import Heads, read_heads
from sessions.log.transaction import Committer, WriteSet

BATCH: Final = 200
"""Most write sets that share one commit."""
IDLE_S: Final = 0.5
"""With nothing to write for this long, a large WAL is folded back into the log."""
LARGE_WAL_BYTES: Final = 16 * 1024 * 1024
PROBE_S: Final = 1.0
"""How often a log that could not be written is tried again."""
SLOW_S: Final = 3.0
"""A commit that takes longer is said."""

Callback = Callable[[list[Event]], None]
_logger = logging.getLogger(__name__)


class LogWriter:
    """Appends events. Open it with ``await LogWriter.open(path)``; one per log, guarded by the host's lock."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, heads: Heads, clock: Callable[[], int]) -> None:
        self.path = path
        self._committer = Committer(path, connection, heads, clock)
        self._clock = clock
        self._queue: asyncio.Queue[WriteSet | None] = asyncio.Queue()
        self._later: deque[WriteSet] = deque()
        self._callbacks: list[Callback] = []
        self._number = 0
        self._closed = False
        self._under_way = 0
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._available = asyncio.Event()
        self._available.set()
        self._storing_since: float | None = None
        self.committed_at = clock()
        """When the newest commit was acknowledged (ms), for the host's status."""
        self._task = asyncio.create_task(self._run(), name=f"log writer of {path.name}")

    @classmethod
    async def open(cls, path: Path, *, clock: Callable[[], int] = now_ms) -> LogWriter:
        """Create or migrate the log and open it for writing. Raises LogError, one line."""
        await asyncio.to_thread(prepare_log, path)
        try:
            heads = await asyncio.to_thread(read_heads, path)
            connection = await aiosqlite.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise write_error(path, error, "opened") from error
        try:
            for pragma in schema.WRITER_PRAGMAS:
                await connection.execute(pragma)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.Error):
                raise write_error(path, error, "opened") from error
            raise
        return cls(path, connection, heads, clock)

    async def __aenter__(self) -> LogWriter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def position(self) -> int:
        """Id of the newest committed event, 0 in an empty log."""
        return self._committer.heads.position

    def summary(self, session: str) -> Summary | None:
        """The session's summary after the newest commit."""
        return self._committer.heads.summaries.get(session)

    def summaries(self) -> dict[str, Summary]:
        """All summaries after the newest commit, by session id."""
        return dict(self._committer.heads.summaries)

    async def wait_for_writes(self) -> None:
        """Wait until all that was appended so far is stored or refused.

        What ``summary`` says then holds until the caller next waits for something: who checks it and appends at once
        cannot be overtaken, neither by a write set in the queue nor by one that other processes have read already.
        """
        while self._under_way:
            await self._at_rest.wait()

    def waits_for(self) -> str:
        """What the log cannot be written for, in one line; "" while all is well."""
        if self._committer.trouble is not None:
            return self._committer.trouble.waits
        since = self._storing_since
        took = 0.0 if since is None else time.monotonic() - since
        slow = f"the disk that holds {self.path} is slow, or another program holds the log: a commit takes longer than"
        return f"{slow} {SLOW_S:g} s" if took > SLOW_S else ""

    async def wait_until_available(self) -> None:
        """Return once the log can be written again, or is closed; at once if it can be."""
        await self._available.wait()

    def next_number(self) -> int:
        """A number for a new session that no other has or had, or was promised since the log was opened."""
        heads = self._committer.heads
        taken = max((summary.number for summary in heads.summaries.values()), default=0)
        self._number = max(self._number, taken, heads.highest_purged) + 1
        return self._number

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` with the new events after each commit, on the event loop; the answer ends it."""
        self._callbacks.append(callback)

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return end

    async def append(self, *events: NewEvent, blobs: Iterable[Blob] = ()) -> list[Event]:
        """Store one write set, all or nothing, in the order of the calls; returns after it is on disk.

        Raises IllegalTransition, BadEvent, LogWriteFailed or RepeatedRequest; nothing of the set is stored then.
        Cancelling the caller does not take the set back.
        """
        if self._closed:
            raise LogClosed(f"the log {self.path} is closed: nothing was stored")
        answer: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        # A cancelled caller never fetches the exception; looking at it here keeps the loop from complaining.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.put_nowait(WriteSet(events, tuple(blobs), answer))
        self._under_way += 1
        self._at_rest.clear()
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Store what is queued, then close the log. Calling it again waits for the first call."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        await asyncio.wait([self._task])

    async def wait_for_end(self) -> None:
        """Return once the writer has been closed; raises what ended it otherwise."""
        await asyncio.shield(self._task)

    async def _run(self) -> None:
        try:
            while batch := await self._next_batch():
                self._storing_since = time.monotonic()
                events = await self._committer.store(batch)
                self._note_trouble()
                self._under_way -= len(batch)
                if not self._under_way:
                    self._at_rest.set()
                if events:
                    self.committed_at = self._clock()
                    self._tell(events)
        finally:
            self._closed = True
            self._available.set()
            self._under_way = 0
            self._at_rest.set()
            self._fail_waiting(LogClosed(f"the log {self.path} was closed: nothing was stored"))
            await self._committer.close()

    async def _next_batch(self) -> list[WriteSet]:
        """The next write sets, in order; an empty list ends the writer.

        A request id comes once in a batch: its repeat waits, and finds the first answer in the log.
        """
        batch: list[WriteSet] = []
        requests: set[str] = set()
        if not self._later:
            item = await self._wait()
            if item is None:
                return []
            self._later.append(item)
        while len(batch) < BATCH:
            if not self._later:
                if self._queue.empty():
                    break
                item = self._queue.get_nowait()
                if item is None:
                    self._queue.put_nowait(None)
                    break
                self._later.append(item)
            if not requests.isdisjoint(self._later[0].requests()):
                break
            requests |= self._later[0].requests()
            batch.append(self._later.popleft())
        return batch

    async def _wait(self) -> WriteSet | None:
        while True:
            failed = self._committer.trouble is not None
            patience = PROBE_S if failed else IDLE_S if self.wal_bytes() > LARGE_WAL_BYTES else None
            try:
                return await asyncio.wait_for(self._queue.get(), patience)
            except TimeoutError:
                if failed:
                    await self._committer.probe()
                    self._note_trouble()
                else:
                    await self._committer.checkpoint()

    def _note_trouble(self) -> None:
        """Tell who waits for the log whether it can be written."""
        self._storing_since = None
        if self._committer.trouble is None:
            self._available.set()
        else:
            self._available.clear()

    def wal_bytes(self) -> int:
        """How much of the log is still in its WAL."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return 0

    def _fail_waiting(self, error: LogError) -> None:
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if item is not None:
                self._later.append(item)
        while self._later:
            self._later.popleft().fail(error)

    def _tell(self, events: list[Event]) -> None:
        for callback in tuple(self._callbacks):
            try:
                callback(events)
            except Exception:
                # A listener's mistake must not stop the log.
                _logger.exception("a listener of the log failed")
