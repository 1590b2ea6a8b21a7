"""One transaction for many write sets: each in a savepoint of its own, so that a bad one leaves the others alone."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import aiosqlite
from isal import isal_zlib

from sessions.events import HOST_SESSION, Event, NewEvent, SessionCreated
from sessions.events.text import Blob, valid_unicode
from sessions.fold.summary import IllegalTransition, Summary, fold_summary
from sessions.garbage_collection import hold_collector
from sessions.log import schema
from sessions.log.codec import BY_REQUEST, encode_body, event_of
from sessions.log.errors import BadEvent, LogClosed, LogError, LogUnavailable, RepeatedRequest, write_error
from sessions.log.session_heads import UPSERT, Heads, SummaryRow, read_heads, summary_row

INSERT_EVENT: Final = (
    "INSERT INTO events (id, session, seq, step, call, kind, v, at, actor, request, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_BLOB: Final = "INSERT INTO blobs (hash, size, codec, data) VALUES (?, ?, ?, ?)"
INSERT_REQUEST: Final = "INSERT INTO requests (request, first, last) VALUES (?, ?, ?)"
WORTH_PACKING: Final = 1024
"""Bytes from which on a blob is compressed: below, inflating costs every reader more than the room is worth."""

_PACK_HERE_BYTES: Final = 64 * 1024
"""More than this is compressed off the event loop."""
_PACK_LEVEL: Final = 2
"""Of ``isal``, which knows 0 to 3: a tenth more room than zlib's usual level, for a fifth of the time."""
_STAGE_HERE_EVENTS: Final = 100
"""More than these (an import) are encoded and folded off the event loop."""
_ROWS_AT_ONCE: Final = 16
_INSERT_MANY: Final = f"{INSERT_EVENT}{', (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)' * (_ROWS_AT_ONCE - 1)}"
_KNOWN_BLOBS: Final = 4096
"""How many stored hashes are remembered, so that a prompt's tools are not compressed at every step."""

EventRow = tuple[int, str, int, int | None, int | None, str, int, int, str, str | None, str]
BlobRow = tuple[str, int, str, bytes]
RequestRow = tuple[str, int, int]

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


@dataclass(slots=True)
class WriteRows:
    """A write set, ready to be inserted."""

    events: list[Event] = field(default_factory=list)
    rows: list[EventRow] = field(default_factory=list)
    requests: list[RequestRow] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    summary_rows: dict[str, SummaryRow] = field(default_factory=dict)

    def join(self, heads: Heads) -> None:
        """Make the heads what they are after this set."""
        if self.events:
            heads.position = self.events[-1].id
        heads.seqs.update(self.seqs)
        heads.summaries.update(self.summaries)


def stage(events: Sequence[NewEvent], heads: Heads, clock: Callable[[], int]) -> WriteRows:
    """Number, encode and fold a write set on top of ``heads``, which stays as it is.

    Raises BadEvent or IllegalTransition; any other error comes from a fold that met what it did not expect.
    A request id is kept by the first event that carries it, and covers the set. Events without a time of their own
    happened at once.
    """
    staged = WriteRows()
    now = clock()
    seen: set[str] = set()
    first = heads.position + 1
    for number, new in enumerate(events, start=first):
        session = new.session
        before = staged.seqs.get(session)
        seq = (heads.seqs.get(session, 0) if before is None else before) + 1
        data, body = encode_body(new.body)
        request = None if new.request in seen else new.request
        if request is not None:
            seen.add(request)
        at = now if new.at is None else new.at
        actor = valid_unicode(new.actor)
        event = Event(number, session, seq, new.step, new.call, body.kind, body.v, at, actor, request, body)
        if session != HOST_SESSION:
            staged.summaries[session] = _fold_summary(event, staged, heads)
        staged.seqs[session] = seq
        staged.events.append(event)
        row = (number, session, seq, new.step, new.call, body.kind, body.v, at, actor, request, data.decode())
        staged.rows.append(row)
    last = heads.position + len(events)
    staged.summary_rows = {session: summary_row(summary) for session, summary in staged.summaries.items()}
    staged.requests = [(request, first, last) for request in sorted(seen)]
    return staged


def _stage_many(events: Sequence[NewEvent], heads: Heads, clock: Callable[[], int]) -> WriteRows:
    with hold_collector():
        return stage(events, heads, clock)


def pack(blobs: Iterable[Blob]) -> list[BlobRow]:
    """The rows of blobs, compressed where that pays. May take a while: run it off the event loop."""
    rows: list[BlobRow] = []
    for blob in blobs:
        small = isal_zlib.compress(blob.data, _PACK_LEVEL) if len(blob.data) >= WORTH_PACKING else blob.data
        codec, data = ("zlib", small) if len(small) < len(blob.data) else ("raw", blob.data)
        rows.append((blob.hash, len(blob.data), codec, data))
    return rows


def _fold_summary(event: Event, staged: WriteRows, heads: Heads) -> Summary:
    before = staged.summaries.get(event.session) or heads.summaries.get(event.session)
    if before is None and isinstance(event.body, SessionCreated):
        number = event.body.number
        if number in {known.number for known in (*heads.summaries.values(), *staged.summaries.values())}:
            raise BadEvent(f"number {number} belongs to another session already")
    if before is None and event.seq > 1:
        raise IllegalTransition(f"session {event.session} has no summary to build on")
    return fold_summary(before, event)


class Committer:
    """The writer's connection and what it knows of the log. Used by the writer's task alone."""

    def __init__(self, path: Path, connection: aiosqlite.Connection, heads: Heads, clock: Callable[[], int]) -> None:
        self.path = path
        self.heads = heads
        self._connection = connection
        self._clock = clock
        self._known_blobs: dict[str, None] = {}
        self._suspect = False
        self.trouble: LogUnavailable | None = None
        """Why the newest write failed, until one succeeds."""

    async def store(self, batch: list[WriteSet]) -> list[Event]:
        """Commit ``batch`` and answer its callers; returns the new events. Only a cancellation is raised."""
        done: list[tuple[WriteSet, WriteRows]] = []
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
            told = self._explain(error)
            self.trouble = told if isinstance(told, LogUnavailable) else self.trouble
            for item in batch:
                item.fail(told)
            if not isinstance(error, Exception):
                raise
            if not isinstance(error, sqlite3.Error | LogError):
                _logger.exception("the log %s could not be written", self.path)
            await self._roll_back()
            return []
        self.trouble = None
        self.heads.merge(branch)
        for item, staged in done:
            self._remember(item.blobs)
            if not item.answer.done():
                item.answer.set_result(staged.events)
        return [event for _, staged in done for event in staged.events]

    async def probe(self) -> None:
        """Try whether the log can be written again, by a write that changes nothing."""
        try:
            await self._connection.execute("BEGIN IMMEDIATE")
            await self._connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
            await self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            told = self._explain(error)
            self.trouble = told if isinstance(told, LogUnavailable) else None
            await self._roll_back()
        else:
            self.trouble = None

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

    async def _store_one(self, item: WriteSet, branch: Heads) -> WriteRows | None:
        """Insert one write set in its savepoint; None if it was refused."""
        try:
            await self._refuse_repeats(item)
            staged, rows = await self._prepare(item, branch)
        except (LogError, IllegalTransition) as error:
            item.fail(error)
            return None
        except Exception as error:
            _logger.exception("a write set could not be folded")
            item.fail(BadEvent(f"{type(error).__name__}: {error}"))
            return None
        await self._connection.execute("SAVEPOINT write_set")
        try:
            if rows:
                await self._connection.executemany(INSERT_BLOB, rows)
            await self._insert_events(staged.rows)
            if staged.requests:
                await self._connection.executemany(INSERT_REQUEST, staged.requests)
        except sqlite3.OperationalError:
            raise  # disk full, locked, I/O: it concerns the whole batch
        except (sqlite3.Error, OverflowError) as error:
            # A row where none should be: somebody else wrote. What is in the file is read again before the next batch.
            self._suspect |= isinstance(error, sqlite3.IntegrityError)
            await self._connection.execute("ROLLBACK TO write_set")
            await self._connection.execute("RELEASE write_set")
            item.fail(self._explain(error))
            return None
        await self._connection.execute("RELEASE write_set")
        return staged

    async def _prepare(self, item: WriteSet, branch: Heads) -> tuple[WriteRows, list[BlobRow]]:
        """The rows of a write set; of a large one its blobs are compressed while its events are encoded and folded."""
        if len(item.events) <= _STAGE_HERE_EVENTS:
            return stage(item.events, branch, self._clock), await self._pack_new(item.blobs)
        packing = asyncio.ensure_future(self._pack_new(item.blobs))
        try:
            return await asyncio.to_thread(_stage_many, item.events, branch, self._clock), await packing
        finally:
            packing.cancel()

    async def _insert_events(self, rows: Sequence[EventRow]) -> None:
        """Insert them, many with one statement where there are many: its beginning and end cost as much as a row."""
        whole = len(rows) - len(rows) % _ROWS_AT_ONCE if len(rows) > _STAGE_HERE_EVENTS else 0
        if whole:
            groups = (rows[start : start + _ROWS_AT_ONCE] for start in range(0, whole, _ROWS_AT_ONCE))
            await self._connection.executemany(_INSERT_MANY, [list(chain.from_iterable(group)) for group in groups])
        await self._connection.executemany(INSERT_EVENT, rows[whole:])

    async def _refuse_repeats(self, item: WriteSet) -> None:
        for request in sorted(item.requests()):
            rows = await self._connection.execute_fetchall(BY_REQUEST, (request,))
            events = [event_of(tuple(row)) for row in rows]
            if events:
                raise RepeatedRequest(request, events)

    async def _pack_new(self, blobs: tuple[Blob, ...]) -> list[BlobRow]:
        fresh = {blob.hash: blob for blob in blobs if blob.hash not in self._known_blobs}
        size = sum(len(blob.data) for blob in fresh.values())
        if size <= _PACK_HERE_BYTES:
            return pack(fresh.values())
        return await asyncio.to_thread(pack, fresh.values())

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

    def _explain(self, error: BaseException) -> LogError:
        if isinstance(error, LogError):
            return error
        if isinstance(error, asyncio.CancelledError):
            return LogClosed(f"the log {self.path} was closed in mid-write: look there whether this was stored")
        return write_error(self.path, error)
