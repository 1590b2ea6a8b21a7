"""The tables of the log, its connections, and what is refused before one is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sessions.log.errors import LogTooNew, NotALog, SqliteTooOld

APPLICATION_ID: Final = 0x41504C4F
"""``APLO`` in the header of the file, so that ``file`` and we know a log from any other database."""
SCHEMA_VERSION: Final = 1
"""``user_version`` of a log that this code writes; migrations lead up to it."""
OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables."""
BUSY_MS: Final = 5_000

VERSION_1: Final = """
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    step    INTEGER,
    call    INTEGER,
    kind    TEXT    NOT NULL,
    v       INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    request TEXT,
    body    TEXT    NOT NULL,
    UNIQUE (session, seq)
) STRICT;
CREATE UNIQUE INDEX events_by_request ON events (request) WHERE request IS NOT NULL;
CREATE INDEX events_by_step ON events (session, step, seq) WHERE step IS NOT NULL;
CREATE INDEX events_by_kind ON events (session, kind, seq);
-- Covers the index of a transcript: which entries there are is found without reading a body.
CREATE INDEX events_in_order ON events (session, seq, kind, step, call);

-- Which events are the answer to a request: all of its write set, of which only the first names it.
CREATE TABLE requests (
    request TEXT    NOT NULL PRIMARY KEY,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    hash  TEXT    NOT NULL PRIMARY KEY,
    size  INTEGER NOT NULL,
    codec TEXT    NOT NULL CHECK (codec IN ('raw', 'zlib')),
    data  BLOB    NOT NULL
) STRICT;

-- A cache: it may be deleted, is made anew from the events, and is the only table that may change.
CREATE TABLE sessions (
    session TEXT    NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL UNIQUE,
    fold    INTEGER NOT NULL,
    summary TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_stay BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_last BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
-- These refuse REPLACE also on a connection whose recursive_triggers is off, where it deletes without a trigger.
CREATE TRIGGER events_once BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM events WHERE session = NEW.session AND seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM events WHERE request = NEW.request)
BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;

CREATE TRIGGER requests_stay BEFORE UPDATE ON requests
BEGIN SELECT RAISE(ABORT, 'requests are never changed'); END;
CREATE TRIGGER requests_last BEFORE DELETE ON requests
BEGIN SELECT RAISE(ABORT, 'requests are never deleted'); END;
CREATE TRIGGER requests_once BEFORE INSERT ON requests
WHEN EXISTS (SELECT 1 FROM requests WHERE request = NEW.request)
BEGIN SELECT RAISE(ABORT, 'requests are never replaced'); END;

CREATE TRIGGER blobs_stay BEFORE UPDATE ON blobs
BEGIN SELECT RAISE(ABORT, 'blobs are never changed'); END;
CREATE TRIGGER blobs_last BEFORE DELETE ON blobs
BEGIN SELECT RAISE(ABORT, 'blobs are never deleted'); END;
-- The same hash is the same bytes: storing it again does nothing.
CREATE TRIGGER blobs_once BEFORE INSERT ON blobs
WHEN EXISTS (SELECT 1 FROM blobs WHERE hash = NEW.hash)
BEGIN SELECT RAISE(IGNORE); END;
"""

WRITER_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {BUSY_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA recursive_triggers = ON",
    # Each insert that a trigger may refuse has a journal of its own: as a file that is most of its cost.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise SqliteTooOld if Python's SQLite cannot hold a log."""
    if version < OLDEST_SQLITE:
        have, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise SqliteTooOld(f"this Python has SQLite {have}, a log needs {need} or newer: use a newer Python")


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of an open log (0: an empty file). Raises NotALog or LogTooNew."""
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise NotALog(f"{path} is no Apollo log ({error}): choose another --log") from error
    if empty and version == 0:
        return 0
    if application != APPLICATION_ID:
        raise NotALog(f"{path} is a database, but no Apollo log: choose another --log")
    if version > SCHEMA_VERSION:
        raise LogTooNew(
            f"{path} was written by a newer Apollo (schema {version}, this one knows {SCHEMA_VERSION}): update Apollo"
        )
    return version


def file_uri(path: Path, query: str) -> str:
    """``path`` as an SQLite URI; question marks, hashes and percent signs in it stay part of the name."""
    return f"file:{quote(os.fsencode(path))}?{query}"
