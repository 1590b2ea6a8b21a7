"""Reading the log beside a running host: read-only, in any thread, every call one short complete read."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
import zlib
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from sessions.events import ANCHORS, HOST_SESSION, Event, LongText
from sessions.events.text import Blob
from sessions.fold.summary import FOLD_VERSION, Summary
from sessions.hints import Remedy
from sessions.log import schema
from sessions.log.codec import BY_REQUEST, COLUMNS, event_of
from sessions.log.errors import AmbiguousId, LogMissing, LogReadFailed, LogTooOld, NoSuchSession, read_error
from sessions.log.session_heads import fold_summaries

STILL: Final = "mode=ro&immutable=1"
PAGE: Final = 500
"""Events per read of ``stream``."""
SHORT_ID: Final = 8
"""Characters of an id's end that lists show."""

ADDRESS: Final = re.compile(r"[1-9]\d*(\.[A-Z]+)+")
"""Of a sub-agent, in capitals."""

MAKES_LOG: Final = (Remedy("create", "makes one"), Remedy("demo", "shows five sessions"))
"""What to do where there is no log."""

Anchor = tuple[int, int | None, int | None, str]
"""``(seq, step, call, kind)`` of an event that begins an entry of the transcript."""


class LogReader:
    """A log, read-only. One connection under a lock; no cursor stays open, so the host can always cut its WAL."""

    def __init__(self, path: Path) -> None:
        """Raises SqliteTooOld, LogMissing, NotALog, LogTooNew or LogTooOld, one line each."""
        schema.check_sqlite()
        self.path = path
        self._lock = threading.Lock()
        self._connection, self._still = _open(path)

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the reader is of no more use."""
        with self._lock:
            self._connection.close()

    def check(self, *, whole: bool = False) -> str:
        """What SQLite's quick check says of the file, or its ``whole`` one: "ok", or the first thing that is wrong."""
        return str(self._rows(f"PRAGMA {'integrity' if whole else 'quick'}_check(1)")[0][0])

    def is_whole(self, session: str, up_to: int | None = None) -> bool:
        """Whether the events of a session can all be read, are JSON, and none between them is missing."""
        query = (
            "SELECT count(*), total(json_valid(body)), coalesce(max(seq), 0) FROM events WHERE session = ? AND id <= ?"
        )
        count, valid, newest = self._rows(query, session, self.position() if up_to is None else up_to)[0]
        return bool(count == valid == newest)

    def bad_blobs(self) -> Iterator[tuple[str, str]]:
        """The blobs whose bytes are not what their hash says, with what is wrong. Reads all of them."""
        after = ""
        query = "SELECT hash, size, codec, data FROM blobs WHERE hash > ? ORDER BY hash LIMIT 50"
        while rows := self._rows(query, after):
            for hash, size, codec, data in rows:
                try:
                    found = zlib.decompress(data) if codec == "zlib" else bytes(data)
                except zlib.error as error:
                    yield hash, f"it cannot be unpacked ({error})"
                    continue
                if Blob.of(found).hash != hash or len(found) != size:
                    yield hash, "its bytes are not those that were stored"
            after = rows[-1][0]

    def position(self) -> int:
        """Id of the newest event, 0 in an empty log."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def logins(self) -> set[str]:
        """The accounts whose hosts wrote the log, as far as it says."""
        query = "SELECT DISTINCT json_extract(body, '$.login') FROM events WHERE session = ? AND kind = 'host.started'"
        return {str(login) for (login,) in self._rows(query, HOST_SESSION) if login}

    def summaries(self) -> list[Summary]:
        """Every session's summary, by number."""
        rows = self._rows("SELECT session, fold, summary FROM sessions ORDER BY number")
        return [self._summary(*row) for row in rows]

    def summary(self, session: str) -> Summary | None:
        """One session's summary, None if there is no such session."""
        rows = self._rows("SELECT session, fold, summary FROM sessions WHERE session = ?", session)
        return self._summary(*rows[0]) if rows else None

    def find(self, prefix: str) -> str:
        """The session with this number or address, or whose id begins so, or ends so (with four characters or more).

        Raises NoSuchSession or AmbiguousId.
        """
        wanted = prefix.strip().upper()
        known = self._rows("SELECT session, number FROM sessions ORDER BY number")
        if wanted.isdecimal() and len(wanted) < 10 and wanted[0] != "0":  # ids begin with 0, numbers do not
            for session, number in known:
                if number == int(wanted):
                    return str(session)
        if ADDRESS.fullmatch(wanted):
            for summary in self.summaries():
                if summary.address.upper() == wanted:
                    return summary.session
        ids = [str(session) for session, _ in known]
        # What may be a mistyped number is no ending.
        ending = len(wanted) >= (SHORT_ID if wanted.isdecimal() else SHORT_ID // 2)
        for said, fits in (("begin", str.startswith), ("end", str.endswith)):
            found = [id for id in ids if wanted and fits(id.upper(), wanted)] if said == "begin" or ending else []
            if len(found) == 1:
                return found[0]
            if found:
                raise AmbiguousId(f"{len(found)} sessions {said} with {prefix}: give more of the id, or the number")
        raise NoSuchSession(f"no session is called {prefix!r}", remedies=[Remedy("list", "lists them")])

    def events(
        self,
        session: str,
        *,
        after: int = 0,
        before: int | None = None,
        kinds: Collection[str] | None = None,
        steps: tuple[int, int] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Event]:
        """Events of a session with ``after < seq < before``; ``steps`` is a range, both ends included."""
        # The plus keeps SQLite from walking the session by seq where it should go to the steps.
        seq = "seq" if steps is None else "+seq"
        where, values = _where(session, after, before, kinds, seq=seq)
        if steps is not None:
            where, values = where + " AND step BETWEEN ? AND ?", (*values, *steps)
        order = "DESC" if newest_first else "ASC"
        chosen = f"{where} ORDER BY {seq} {order} LIMIT ?"
        if kinds is not None and len(kinds) > 1:
            # Chosen in an index that holds the kind too, so that only the rows that are wanted are read.
            chosen = f"id IN (SELECT id FROM events WHERE {chosen}) ORDER BY seq {order}"
        query = f"SELECT {COLUMNS} FROM events WHERE {chosen}"
        return [event_of(row) for row in self._rows(query, *values, -1 if limit is None else limit)]

    def count(self, session: str, *, kinds: Collection[str] | None = None, up_to: int | None = None) -> int:
        """How many events (of these kinds) a session has up to the log position ``up_to``."""
        where, values = _where(session, 0, None, kinds)
        if up_to is not None:
            where, values = f"{where} AND id <= ?", (*values, up_to)
        return int(self._rows(f"SELECT count(*) FROM events WHERE {where}", *values)[0][0])

    def event(self, session: str, seq: int) -> Event | None:
        """The event that others call ``(session, seq)``."""
        rows = self._rows(f"SELECT {COLUMNS} FROM events WHERE session = ? AND seq = ?", session, seq)
        return event_of(rows[0]) if rows else None

    def since(self, position: int, limit: int = PAGE) -> list[Event]:
        """The events after ``position`` in the order of their ids, of all sessions."""
        query = f"SELECT {COLUMNS} FROM events WHERE id > ? ORDER BY id LIMIT ?"
        return [event_of(row) for row in self._rows(query, position, limit)]

    def of_kinds(self, kinds: Collection[str]) -> list[Event]:
        """The events of these kinds of all sessions, in the order of their ids: for kinds that are few."""
        some = "SELECT e.id FROM sessions AS s CROSS JOIN events AS e ON e.session = s.session"
        query = f"SELECT {COLUMNS} FROM events WHERE id IN ({some} AND e.kind IN ({_marks(kinds)})) ORDER BY id"
        return [event_of(row) for row in self._rows(query, *sorted(kinds))]

    def actors(self, kinds: Collection[str]) -> list[tuple[str, str]]:
        """Each session with each actor who wrote an event of these kinds in it: for kinds that are few."""
        # By kind in the order of the sessions: no index holds the actor.
        each = "FROM sessions AS s CROSS JOIN events AS e INDEXED BY events_by_kind ON e.session = s.session"
        query = f"SELECT DISTINCT s.session, e.actor {each} WHERE e.kind IN ({_marks(kinds)})"
        return [(str(session), str(actor)) for session, actor in self._rows(query, *sorted(kinds))]

    def by_request(self, request: str) -> list[Event]:
        """The whole write set that answered ``request``; empty if it was never applied."""
        return [event_of(row) for row in self._rows(BY_REQUEST, request)]

    def anchors(
        self, session: str, *, after: int = 0, limit: int | None = None, kinds: Collection[str] = ANCHORS
    ) -> list[Anchor]:
        """Where entries of the transcript begin (or only those of some ``kinds``), in order, without reading a body."""
        where, values = _where(session, after, None, sorted(kinds))
        query = f"SELECT seq, step, call, kind FROM events WHERE {where} ORDER BY seq LIMIT ?"
        return self._rows(query, *values, -1 if limit is None else limit)

    def stream(self, session: str | None = None, *, up_to: int | None = None) -> Iterator[Event]:
        """All events, of one session or of all by id, up to the log position ``up_to``; a page in memory at a time."""
        last = self.position() if up_to is None else up_to
        column = "id" if session is None else "seq"
        where = "id <= ?" if session is None else "id <= ? AND session = ?"
        values: tuple[Any, ...] = (last,) if session is None else (last, session)
        query = f"SELECT {COLUMNS} FROM events WHERE {where} AND {column} > ? ORDER BY {column} LIMIT {PAGE}"
        after = 0
        while rows := self._rows(query, *values, after):
            yield from map(event_of, rows)
            after = rows[-1][0 if session is None else 2]

    def blob(self, hash: str) -> bytes:
        """The bytes stored under ``hash``. Raises LogReadFailed if they are not in the log."""
        return self.blobs([hash])[hash]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        """Many blobs in one read. Raises LogReadFailed if one is not in the log."""
        wanted = list(dict.fromkeys(hashes))
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            query = f"SELECT hash, codec, data FROM blobs WHERE hash IN ({_marks(part)})"
            for name, codec, data in self._rows(query, *part):
                found[name] = self._unpack(name, codec, data)
        missing = [name for name in wanted if name not in found]
        if missing:
            raise LogReadFailed(f"blob {missing[0]} is not in {self.path}: the log is not whole")
        return found

    def find_blobs(self, hashes: Collection[str], *, up_to: int) -> dict[str, bytes | None]:
        """The blobs that these hashes name, without those that are not in the log; None for one of more bytes."""
        wanted = list(dict.fromkeys(hashes))
        found: dict[str, bytes | None] = {}
        for start in range(0, len(wanted), PAGE):
            part = wanted[start : start + PAGE]
            some = "SELECT hash, codec, CASE WHEN size <= ? THEN data END FROM blobs"
            query = f"{some} WHERE hash IN ({_marks(part)})"
            for name, codec, data in self._rows(query, up_to, *part):
                found[name] = None if data is None else self._unpack(name, codec, data)
        return found

    def _unpack(self, name: str, codec: str, data: bytes) -> bytes:
        try:
            return zlib.decompress(data) if codec == "zlib" else data
        except zlib.error as error:
            raise LogReadFailed(f"blob {name} of {self.path} is damaged: {error}") from error

    def text(self, text: LongText) -> str:
        """The whole of a long text."""
        return text.text if text.blob is None else self.blob(text.blob).decode(errors="replace")

    def _summary(self, session: str, version: int, text: str) -> Summary:
        try:
            if version == FOLD_VERSION:
                return msgspec.json.decode(text, type=Summary)
        except msgspec.MsgspecError:
            pass  # the cache is of no use; the events are the truth
        return fold_summaries(self.stream(session))[session]

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            if self._still and _has_wal(self.path):
                self._connection.close()
                self._connection, self._still = _open(self.path)
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise read_error(self.path, error) from error


def _where(
    session: str, after: int, before: int | None, kinds: Collection[str] | None, seq: str = "seq"
) -> tuple[str, tuple[Any, ...]]:
    where = f"session = ? AND {seq} > ?"
    values: tuple[Any, ...] = (session, after)
    if before is not None:
        where, values = f"{where} AND {seq} < ?", (*values, before)
    if kinds is not None:
        where, values = f"{where} AND kind IN ({_marks(kinds)})", (*values, *kinds)
    return where, values


def _marks(values: Sequence[str] | Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _open(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it takes the log for one that does not change."""
    if not path.exists():
        raise LogMissing(f"there is no log at {path}", remedies=MAKES_LOG)
    try:
        # A log that nobody may write is left alone: a -wal and -shm of its mode would lock out who may, later.
        if not path.stat().st_mode & 0o222 and not _has_wal(path):
            return _connect(path, STILL), True
        return _connect(path, "mode=ro"), False
    except sqlite3.OperationalError as error:
        # In a read-only folder and on a full disk a log gets no -wal. Where none is, nobody writes either.
        if not _has_wal(path):
            with contextlib.suppress(sqlite3.OperationalError):
                return _connect(path, STILL), True
        raise read_error(path, error, "opened") from error


def _has_wal(path: Path) -> bool:
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


_TEXT: Final = partial(str, encoding="utf-8", errors="replace")
"""A column of text, whatever its bytes are. SQLite calls it for each one, so that it is no function of ours."""


def _connect(path: Path, query: str) -> sqlite3.Connection:
    connection = sqlite3.connect(schema.file_uri(path, query), uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = _TEXT
        connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")
        connection.execute("PRAGMA query_only = ON")
        version = schema.check_version(connection, path)
        if version == 0:
            raise LogMissing(f"the log at {path} is empty", remedies=MAKES_LOG)
        if version < schema.SCHEMA_VERSION:
            brings = Remedy("start_host", "brings it up to date")
            raise LogTooOld(f"{path} was written by an older Apollo", remedies=[brings])
    except BaseException:
        connection.close()
        raise
    return connection
