"""A log without one of its sessions: written anew beside the old one, verified, and only then put in its place.

The log itself stays append-only: no event is deleted, a file with fewer events takes the place of another. What is
left of the session is a tombstone among the host's events.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from sessions.clock import now_ms
from sessions.events import HOST_SESSION, BeginningPurged, NewEvent, SessionCreated, SessionPurged
from sessions.json_files import sync_folder
from sessions.log import schema
from sessions.log.codec import COLUMNS, event_of
from sessions.log.errors import LogError
from sessions.log.migrations import prepare_log
from sessions.log.reader import LogReader
from sessions.log.session_heads import UPSERT, load_heads
from sessions.log.transaction import INSERT_EVENT, stage
from sessions.private_files import open_private

HASH: Final = re.compile(r"\b[0-9a-f]{64}\b")
ROW: Final = "id, session, seq, step, call, kind, v, at, actor, request, body"
HASHED: Final = "seq, step, call, kind, v, at, actor, body"
"""The columns of an event that a tombstone's hash is of: a JSON array of them per event and line, in order."""


class PurgeFailed(LogError):
    """Nothing was purged; the log is as it was."""


class Leavings(msgspec.Struct, frozen=True):
    """What a purge takes out of the log."""

    session: str
    number: int
    title: str
    events: int
    sha256: str
    blobs: tuple[str, ...]
    """Those that no other session names."""
    dependants: tuple[str, ...]
    """Sessions that began in it."""


def find_leavings(log: Path, session: str) -> Leavings:
    """What would go with ``session``. Reads all events once."""
    with LogReader(log) as reader:
        summary = reader.summary(session)
        assert summary is not None
        dependants = tuple(
            other.session
            for other in reader.summaries()
            if other.begins is not None and other.begins.session == session and other.session != session
        )
    with closing(_connect(log, "mode=ro")) as connection:
        digest, count, own = hashlib.sha256(), 0, set[str]()
        for row in connection.execute(f"SELECT {HASHED} FROM events WHERE session = ? ORDER BY seq", (session,)):
            digest.update(msgspec.json.encode(row) + b"\n")
            own.update(HASH.findall(row[-1]))
            count += 1
        for (body,) in connection.execute("SELECT body FROM events WHERE session != ?", (session,)):
            if own:
                own.difference_update(HASH.findall(body))
        stored = [
            name for name in sorted(own) if connection.execute("SELECT 1 FROM blobs WHERE hash = ?", (name,)).fetchone()
        ]
    return Leavings(session, summary.number, summary.title, count, digest.hexdigest(), tuple(stored), dependants)


def purge_session(log: Path, leavings: Leavings, actor: str, why: str) -> None:
    """Put a log without the session in the place of ``log``. Only who holds the host's lock may. Raises PurgeFailed."""
    part = log.with_name(f".{log.name}.purge")
    _remove(part)
    try:
        open_private(part).close()
        prepare_log(part)
        with closing(_connect(part, "mode=rw")) as made:
            # Opened by its name alone: who may not write it could not purge either.
            made.execute("ATTACH ? AS old", (schema.file_uri(log, "mode=ro"),))
            _copy(made, leavings, actor, why)
            _check(made, leavings)
            made.execute("DETACH old")
            made.execute("PRAGMA journal_mode = DELETE")  # one file: what is renamed is all of it
        _free(log)
        _sync(part)
        part.replace(log)
        sync_folder(log.parent)
    except sqlite3.Error as problem:
        raise PurgeFailed(
            f"session {leavings.number} could not be purged: {problem}; the log is as it was"
        ) from problem
    except OSError as problem:
        said = f"session {leavings.number} could not be purged: {problem.strerror}; the log is as it was"
        raise PurgeFailed(said) from problem
    finally:
        _remove(part)


def _copy(made: sqlite3.Connection, leavings: Leavings, actor: str, why: str) -> None:
    session = (leavings.session,)
    made.execute("BEGIN IMMEDIATE")
    made.execute(f"INSERT INTO events ({ROW}) SELECT {ROW} FROM old.events WHERE session != ? ORDER BY id", session)
    made.execute(
        "INSERT INTO requests SELECT * FROM old.requests r WHERE EXISTS "
        "(SELECT 1 FROM main.events e WHERE e.id BETWEEN r.first AND r.last)"
    )
    made.execute("CREATE TEMP TABLE gone (hash TEXT PRIMARY KEY)")
    made.executemany("INSERT INTO gone VALUES (?)", [(name,) for name in leavings.blobs])
    made.execute("INSERT INTO blobs SELECT * FROM old.blobs WHERE hash NOT IN (SELECT hash FROM gone)")
    made.execute("INSERT INTO sessions SELECT * FROM old.sessions WHERE session != ?", session)
    heads = load_heads(made)
    # Ids are never used twice, also not those that went.
    heads.position = int(made.execute("SELECT coalesce(max(id), 0) FROM old.events").fetchone()[0])
    tombstone = SessionPurged(
        session=leavings.session,
        number=leavings.number,
        events=leavings.events,
        blobs=len(leavings.blobs),
        sha256=leavings.sha256,
        why=why,
        dependants=leavings.dependants,
    )
    marks = [
        NewEvent(name, BeginningPurged(session=leavings.session, why=why), actor=actor) for name in leavings.dependants
    ]
    staged = stage([NewEvent(HOST_SESSION, tombstone, actor=actor), *marks], heads, now_ms)
    made.executemany(INSERT_EVENT, staged.rows)
    made.executemany(UPSERT, staged.summary_rows.values())
    made.execute("COMMIT")


def _check(made: sqlite3.Connection, leavings: Leavings) -> None:
    """Raise PurgeFailed unless the new log is sound, has all else of the old one, and nothing of the session."""
    added = 1 + len(leavings.dependants)
    same = " AND ".join(f"n.{name} IS o.{name}" for name in ROW.split(", "))
    counted = {
        "integrity": ("PRAGMA main.integrity_check(1)", "ok"),
        "events of the session": (f"SELECT count(*) FROM main.events WHERE session = '{leavings.session}'", 0),
        "its row": (f"SELECT count(*) FROM main.sessions WHERE session = '{leavings.session}'", 0),
        "events": ("SELECT count(*) - (SELECT count(*) FROM main.events) FROM old.events", leavings.events - added),
        "changed events": (
            f"SELECT count(*) FROM old.events o LEFT JOIN main.events n ON n.id = o.id "
            f"WHERE o.session != '{leavings.session}' AND NOT ({same})",
            0,
        ),
        "blobs": ("SELECT count(*) - (SELECT count(*) FROM main.blobs) FROM old.blobs", len(leavings.blobs)),
        "changed blobs": (
            "SELECT count(*) FROM main.blobs n LEFT JOIN old.blobs o ON o.hash = n.hash WHERE o.data IS NOT n.data",
            0,
        ),
    }
    for what, (query, wanted) in counted.items():
        found = made.execute(query).fetchone()[0]
        if found != wanted:
            said = f"the new log was not right ({what}: {found} instead of {wanted}); the log is as it was"
            raise PurgeFailed(f"session {leavings.number} could not be purged: {said}")


def tombstones(log: Path) -> dict[str, SessionPurged]:
    """The tombstones of a log, by session."""
    with LogReader(log) as reader:
        found = [event.body for event in reader.events(HOST_SESSION, kinds=("session.purged",))]
    return {body.session: body for body in found if isinstance(body, SessionPurged)}


def first_event(log: Path, session: str) -> SessionCreated | None:
    """What the session was made of; None if it is not in the log."""
    with closing(_connect(log, "mode=ro")) as connection:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM events WHERE session = ? ORDER BY seq LIMIT 1", (session,)
        ).fetchall()
    body = event_of(rows[0]).body if rows else None
    return body if isinstance(body, SessionCreated) else None


def _free(log: Path) -> None:
    """Fold the WAL of the old log into it and take it away: SQLite would replay it on the new one."""
    with closing(_connect(log, "mode=rw")) as connection:
        connection.execute("PRAGMA busy_timeout = 1000")
        try:
            mode = str(connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
        except sqlite3.OperationalError:
            mode = "wal"
    if mode != "delete":
        raise PurgeFailed("another program reads the log (an open app, an export): close it, then purge again")


def _connect(path: Path, query: str) -> sqlite3.Connection:
    connection = sqlite3.connect(schema.file_uri(path, query), uri=True, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")
    return connection


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(part: Path) -> None:
    for path in _with_companions(part):
        path.unlink(missing_ok=True)


def _with_companions(path: Path) -> Iterator[Path]:
    yield from (path.with_name(path.name + end) for end in ("", "-wal", "-shm", "-journal"))


def copies_beside(log: Path) -> Sequence[Path]:
    """Older copies of the log beside it, made before a migration: they still hold what is purged."""
    return sorted(log.parent.glob(f"{log.name}.v*.bak"))
