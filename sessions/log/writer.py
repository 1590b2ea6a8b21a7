"""The one writer: a single task that owns a single connection and drains a queue of write sets.

Each write set is all or nothing. A caller that is cancelled after ``append`` began loses the answer, not the events.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import aiosqlite

from sessions.clock import now_ms
from sessions.fold.summary import IllegalTransition, Summary
from sessions.log import schema
from sessions.log.codec import BY_REQUEST, event_of
from sessions.log.errors import LogClosed, LogError, LogWriteFailed, RepeatedRequest
from sessions.log.events import Event, NewEvent
from sessions.log.heads import UPSERT, Heads, load_heads, summary_row
from sessions.log.migrations import prepare_log
from sessions.log.staging import INSERT_BLOB, INSERT_EVENT, INSERT_REQUEST, BlobRow, Staged, pack, stage
from sessions.log.text import Blob

BATCH: Final = 200
"""Most write sets that share one commit."""
IDLE_S: Final = 0.5
"""With nothing to write for this long, a large WAL is folded back into the log."""
LARGE_WAL_BYTES: Final = 16 * 1024 * 1024
_PACK_HERE_BYTES: Final = 64 * 1024
_KNOWN_BLOBS: Final = 4096

Callback = Callable[[list[Event]], None]
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _WriteSet:
    events: tuple[NewEvent, ...]
    blobs: tuple[Blob, ...]
    answer: asyncio.Future[list[Event]]

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def requests(self) -> set[str]:
        return {event.request for event in self.events if event.request is not None}


class LogWriter:
    """Appends events. Open it with ``await LogWriter.open(path)``; one per log, guarded by the host's lock."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, heads: Heads, clock: Callable[[], int]) -> None:
        self.path = path
        self._connection = connection
        self._heads = heads
        self._clock = clock
        self._queue: asyncio.Queue[_WriteSet | None] = asyncio.Queue()
        self._later: deque[_WriteSet] = deque()
        self._callbacks: list[Callback] = []
        self._known_blobs: dict[str, None] = {}
        self._numbers = 0
        self._suspect = False
        self._closed = False
        self.committed_at = clock()
        """When the newest commit was acknowledged (ms), for the host's status."""
        self._task = asyncio.create_task(self._run(), name=f"log writer of {path.name}")

    @classmethod
    async def open(cls, path: Path, *, clock: Callable[[], int] = now_ms) -> LogWriter:
        """Create or migrate the log and open it for writing. Raises LogError, one line."""
        await asyncio.to_thread(prepare_log, path)
        connection = await aiosqlite.connect(path, isolation_level=None)
        try:
            for pragma in schema.WRITER_PRAGMAS:
                await connection.execute(pragma)
            heads = await asyncio.to_thread(_load, path)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.Error):
                raise LogWriteFailed(f"cannot open the log {path}: {error}") from error
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
        return self._heads.position

    def summary(self, session: str) -> Summary | None:
        """The session's summary after the newest commit."""
        return self._heads.summaries.get(session)

    def summaries(self) -> dict[str, Summary]:
        """All summaries after the newest commit, by session id."""
        return dict(self._heads.summaries)

    def next_number(self) -> int:
        """A number for a new session that no other session has or is about to get."""
        taken = max((summary.number for summary in self._heads.summaries.values()), default=0)
        self._numbers = max(self._numbers, taken) + 1
        return self._numbers

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
        if self._closed or self._task.done():
            raise LogClosed(f"the log {self.path.name} is closed: nothing was stored")
        answer: asyncio.Future[list[Event]] = asyncio.get_running_loop().create_future()
        # A cancelled caller never fetches the exception; reading it here keeps the loop from complaining.
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._queue.put_nowait(_WriteSet(events, tuple(blobs), answer))
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Store what is queued, then close the log. Calling it again waits for the first call."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while batch := await self._next_batch():
                await self._store(batch)
        finally:
            self._closed = True
            self._fail_waiting(LogClosed(f"the log {self.path.name} was closed before this was stored"))
            await self._connection.close()

    async def _next_batch(self) -> list[_WriteSet]:
        """The next write sets, in order; an empty list ends the writer. One request id comes once in a batch."""
        batch: list[_WriteSet] = []
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

    async def _wait(self) -> _WriteSet | None:
        while True:
            try:
                return await asyncio.wait_for(
                    self._queue.get(), IDLE_S if self._wal_bytes() > LARGE_WAL_BYTES else None
                )
            except TimeoutError:
                await self._checkpoint()

    async def _store(self, batch: list[_WriteSet]) -> None:
        done: list[tuple[_WriteSet, Staged]] = []
        try:
            if self._suspect:
                self._heads = await asyncio.to_thread(_load, self.path)
                self._suspect = False
            branch = self._heads.branch()
            await self._connection.execute("BEGIN IMMEDIATE")
            for item in batch:
                staged = await self._store_one(item, branch)
                if staged is not None:
                    staged.join(branch)
                    done.append((item, staged))
            changed = {session: None for _, staged in done for session in staged.summaries}
            await self._connection.executemany(UPSERT, [summary_row(branch.summaries[name]) for name in changed])
            await self._connection.execute("COMMIT")
        except BaseException as error:
            self._suspect = True
            for item in batch:
                item.fail(self._explained(error))
            if not isinstance(error, sqlite3.Error | LogError):
                raise
            await self._roll_back()
            return
        self._heads.merge(branch)
        self.committed_at = self._clock()
        for item, staged in done:
            for blob in item.blobs:
                self._known_blobs[blob.hash] = None
            if not item.answer.done():
                item.answer.set_result(staged.events)
        while len(self._known_blobs) > _KNOWN_BLOBS:
            del self._known_blobs[next(iter(self._known_blobs))]
        self._tell([event for _, staged in done for event in staged.events])

    async def _store_one(self, item: _WriteSet, branch: Heads) -> Staged | None:
        """Insert one write set in a savepoint of its own; None if it was refused, which leaves the others alone."""
        try:
            await self._refuse_repeats(item)
            staged = stage(item.events, branch, self._clock)
        except (LogError, IllegalTransition) as error:
            item.fail(error)
            return None
        rows = await self._packed(item.blobs)
        await self._connection.execute("SAVEPOINT write_set")
        try:
            if rows:
                await self._connection.executemany(INSERT_BLOB, rows)
            await self._connection.executemany(INSERT_EVENT, staged.rows)
            if staged.requests:
                await self._connection.executemany(INSERT_REQUEST, staged.requests)
        except sqlite3.OperationalError:
            raise  # disk full, locked, I/O: it concerns the whole batch
        except sqlite3.Error as error:
            await self._connection.execute("ROLLBACK TO write_set")
            await self._connection.execute("RELEASE write_set")
            item.fail(self._explained(error))
            return None
        await self._connection.execute("RELEASE write_set")
        return staged

    async def _refuse_repeats(self, item: _WriteSet) -> None:
        for request in sorted(item.requests()):
            cursor = await self._connection.execute(BY_REQUEST, (request,))
            if rows := list(await cursor.fetchall()):
                raise RepeatedRequest(request, [event_of(tuple(row)) for row in rows])

    async def _packed(self, blobs: tuple[Blob, ...]) -> list[BlobRow]:
        fresh = {blob.hash: blob for blob in blobs if blob.hash not in self._known_blobs}
        if sum(len(blob.data) for blob in fresh.values()) > _PACK_HERE_BYTES:
            return await asyncio.to_thread(pack, fresh.values())
        return pack(fresh.values())

    async def _roll_back(self) -> None:
        # SQLite has often rolled back by itself (disk full); then there is nothing to do.
        if self._connection.in_transaction:
            try:
                await self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                _logger.warning("the log %s could not roll back: %s", self.path, error)

    async def _checkpoint(self) -> None:
        """Move the WAL into the log; cut it if nobody reads. Never waits for a reader, which would hold up writing."""
        try:
            await self._connection.execute("PRAGMA busy_timeout = 0")
            await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _logger.warning("the log %s could not be checkpointed: %s", self.path, error)
        finally:
            await self._connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")

    def _wal_bytes(self) -> int:
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def _fail_waiting(self, error: LogError) -> None:
        while self._later:
            self._later.popleft().fail(error)
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if item is not None:
                item.fail(error)

    def _tell(self, events: list[Event]) -> None:
        if not events:
            return
        for callback in tuple(self._callbacks):
            try:
                callback(events)
            except Exception:  # a listener's mistake must not stop the log
                _logger.exception("a listener of the log failed")

    def _explained(self, error: BaseException) -> LogError:
        if isinstance(error, LogError):
            return error
        text = str(error)
        if "full" in text:
            return LogWriteFailed(f"the disk that holds {self.path} is full: nothing was stored; free some space")
        if "locked" in text or "busy" in text:
            return LogWriteFailed(
                f"another program holds {self.path} locked: nothing was stored; close it and try again"
            )
        return LogWriteFailed(f"the log {self.path} could not be written ({text or type(error).__name__})")


def _load(path: Path) -> Heads:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in schema.WRITER_PRAGMAS:
            connection.execute(pragma)
        return load_heads(connection)
    finally:
        connection.close()
