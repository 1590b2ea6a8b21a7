"""One transaction for many write sets: each in a savepoint of its own, so that a bad one leaves the others alone."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiosqlite

from sessions.fold.summary import IllegalTransition
from sessions.log import schema
from sessions.log.codec import BY_REQUEST, event_of
from sessions.log.errors import BadEvent, LogClosed, LogError, LogWriteFailed, RepeatedRequest
from sessions.log.events import Event, NewEvent
from sessions.log.heads import UPSERT, Heads, read_heads
from sessions.log.staging import INSERT_BLOB, INSERT_EVENT, INSERT_REQUEST, BlobRow, Staged, pack, stage
from sessions.log.text import Blob

_PACK_HERE_BYTES: Final = 64 * 1024
"""More than this is compressed off the event loop."""
_STAGE_HERE_EVENTS: Final = 100
"""More than these (an import) are encoded and folded off the event loop."""
_KNOWN_BLOBS: Final = 4096
"""How many stored hashes are remembered, so that a prompt's tools are not compressed at every step."""

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class WriteSet:
    """Events that are stored together or not at all, and the future that their caller waits on."""

    events: tuple[NewEvent, ...]
    blobs: tuple[Blob, ...]
    answer: asyncio.Future[list[Event]]

    def fail(self, error: BaseException) -> None:
        """Tell the caller that nothing of it was stored."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def requests(self) -> set[str]:
        """The request ids that its events carry."""
        return {event.request for event in self.events if event.request is not None}


class Committer:
    """The writer's connection and what it knows of the log. Used by the writer's task alone."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, heads: Heads, clock: Callable[[], int]) -> None:
        self.path = path
        self.heads = heads
        self._connection = connection
        self._clock = clock
        self._known_blobs: dict[str, None] = {}
        self._suspect = False

    async def store(self, batch: list[WriteSet]) -> list[Event]:
        """Commit ``batch`` and answer its callers; returns the new events. Only a cancellation is raised."""
        done: list[tuple[WriteSet, Staged]] = []
        try:
            if self._suspect:
                # After a failure only the file says what is in it.
                self.heads = await asyncio.to_thread(read_heads, self.path)
                self._suspect = False
            branch = self.heads.branch()
            await self._connection.execute("BEGIN IMMEDIATE")
            for item in batch:
                staged = await self._store_one(item, branch)
                if staged is not None:
                    staged.join(branch)
                    done.append((item, staged))
            changed = {name: row for _, staged in done for name, row in staged.summary_rows.items()}
            await self._connection.executemany(UPSERT, changed.values())
            await self._connection.execute("COMMIT")
        except BaseException as error:
            self._suspect = True
            for item in batch:
                item.fail(self._explained(error))
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, sqlite3.Error | LogError):
                _logger.exception("the log %s could not be written", self.path)
            await self._roll_back()
            return []
        self.heads.merge(branch)
        for item, staged in done:
            self._remember(item.blobs)
            if not item.answer.done():
                item.answer.set_result(staged.events)
        return [event for _, staged in done for event in staged.events]

    async def checkpoint(self) -> None:
        """Move the WAL into the log; cut it if nobody reads. Never waits for a reader, which would hold up writing."""
        try:
            await self._connection.execute("PRAGMA busy_timeout = 0")
            await self._connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            _logger.warning("the log %s could not be checkpointed: %s", self.path, error)
        finally:
            await self._connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")

    async def close(self) -> None:
        """Close the connection; with no reader about, SQLite removes the WAL."""
        await self._connection.close()

    async def _store_one(self, item: WriteSet, branch: Heads) -> Staged | None:
        """Insert one write set in its savepoint; None if it was refused."""
        try:
            await self._refuse_repeats(item)
            if len(item.events) > _STAGE_HERE_EVENTS:
                staged = await asyncio.to_thread(stage, item.events, branch, self._clock)
            else:
                staged = stage(item.events, branch, self._clock)
        except (LogError, IllegalTransition) as error:
            item.fail(error)
            return None
        except Exception as error:
            _logger.exception("a write set could not be folded")
            item.fail(BadEvent(f"{type(error).__name__}: {error}"))
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
        except (sqlite3.Error, OverflowError) as error:
            # A row where none should be: somebody else wrote. What is in the file is read again before the next batch.
            self._suspect |= isinstance(error, sqlite3.IntegrityError)
            await self._connection.execute("ROLLBACK TO write_set")
            await self._connection.execute("RELEASE write_set")
            item.fail(self._explained(error))
            return None
        await self._connection.execute("RELEASE write_set")
        return staged

    async def _refuse_repeats(self, item: WriteSet) -> None:
        for request in sorted(item.requests()):
            rows = await self._connection.execute_fetchall(BY_REQUEST, (request,))
            events = [event_of(tuple(row)) for row in rows]
            if events:
                raise RepeatedRequest(request, events)

    async def _packed(self, blobs: tuple[Blob, ...]) -> list[BlobRow]:
        fresh = {blob.hash: blob for blob in blobs if blob.hash not in self._known_blobs}
        if sum(len(blob.data) for blob in fresh.values()) > _PACK_HERE_BYTES:
            return await asyncio.to_thread(pack, fresh.values())
        return pack(fresh.values())

    def _remember(self, blobs: tuple[Blob, ...]) -> None:
        for blob in blobs:
            self._known_blobs[blob.hash] = None
        while len(self._known_blobs) > _KNOWN_BLOBS:
            del self._known_blobs[next(iter(self._known_blobs))]

    async def _roll_back(self) -> None:
        # SQLite has often rolled back by itself (disk full); then there is nothing to do.
        if self._connection.in_transaction:
            try:
                await self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                _logger.warning("the log %s could not roll back: %s", self.path, error)

    def _explained(self, error: BaseException) -> LogError:
        text = str(error)
        if isinstance(error, LogError):
            return error
        if isinstance(error, asyncio.CancelledError):
            return LogClosed(f"the log {self.path} was closed in mid-write: look there whether this was stored")
        if "full" in text:
            return LogWriteFailed(f"the disk that holds {self.path} is full: nothing was stored; free some space")
        if "locked" in text or "busy" in text:
            return LogWriteFailed(f"another program holds {self.path} locked: nothing was stored; close it, try again")
        return LogWriteFailed(f"the log {self.path} could not be written: {text or type(error).__name__}")
