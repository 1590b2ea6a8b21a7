"""Bringing a log to this version's schema: ordered functions, each in one transaction with its version bump."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sessions.log import schema
from sessions.log.errors import LogWriteFailed, write_error
from sessions.private_files import open_private

Migration = Callable[[sqlite3.Connection], None]


def _to_1(connection: sqlite3.Connection) -> None:
    """Create the tables."""
    run_script(connection, schema.VERSION_1)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")


MIGRATIONS: Final[Sequence[Migration]] = (_to_1,)
"""``MIGRATIONS[n]`` leads from version n to n + 1. Never changed once released; a new one is added at the end."""


def prepare_log(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Create the log, or migrate it after copying it to ``<log>.v<old>.bak``. Only the host calls this.

    Raises SqliteTooOld, NotALog, LogTooNew, or LogWriteFailed; the log is then as it was.
    """
    schema.check_sqlite()
    _create(path)
    _mend_modes(path)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            version = schema.check_version(connection, path)
            for pragma in schema.WRITER_PRAGMAS:
                connection.execute(pragma)
            if 0 < version < len(migrations):
                back_up(connection, path, version)
            for migration in migrations[version:]:
                version = _apply(connection, migration, version)
    except sqlite3.Error as error:
        raise write_error(path, error, "prepared") from error


def back_up(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A whole copy of the log beside it; an earlier copy of the same version is kept instead."""
    copy = path.with_name(f"{path.name}.v{version}.bak")
    if not copy.exists():
        partial = copy.with_name(copy.name + ".partial")
        partial.unlink(missing_ok=True)
        open_private(partial).close()  # an empty file it fills, and leaves its mode
        connection.execute("VACUUM INTO ?", (str(partial),))
        partial.replace(copy)
    return copy


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements inside the open transaction (``executescript`` would commit it)."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    if statement.strip("; \n"):
        connection.execute(statement)


def _create(path: Path) -> None:
    """An empty file that only its owner can read, if there is none: -wal and -shm take their mode from it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # A log that is there is never opened but through SQLite: closing it would drop SQLite's locks.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise LogWriteFailed(f"cannot create the log {path}: {error.strerror}") from error


def _mend_modes(path: Path) -> None:
    """Let its owner write what a reader of a log that was read-only then has left beside it."""
    for name in (path.name + "-wal", path.name + "-shm"):
        beside = path.with_name(name)
        with contextlib.suppress(OSError):
            mode = beside.stat().st_mode & 0o777
            if not mode & 0o200 and path.stat().st_mode & 0o200:
                beside.chmod(mode | 0o200)


def _apply(connection: sqlite3.Connection, migration: Migration, version: int) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster while we waited for the lock.
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found == version:
            migration(connection)
            connection.execute(f"PRAGMA user_version = {version + 1}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return version + 1
