"""A whole copy of the log beside a running host: one file, verified, its owner's alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from sessions.clock import now_ms
from sessions.json_files import read_json, write_json
from sessions.log import schema
from sessions.log.errors import LogError, LogMissing
from sessions.private_files import open_private

RECORD: Final = "backup.json"
"""In the log's folder: the newest backup that was made of it."""
COUNTS: Final = {
    "events": "SELECT count(*) FROM events",
    "position": "SELECT coalesce(max(id), 0) FROM events",
    "requests": "SELECT count(*) FROM requests",
    "blobs": "SELECT count(*) FROM blobs",
    "blob bytes": "SELECT coalesce(sum(length(data)), 0) FROM blobs",
    "sessions": "SELECT count(DISTINCT session) FROM events",
}
"""What is counted in the log and in its copy."""


class BackupFailed(LogError):
    """No backup was made; what was at its place is as it was."""


class Backup(msgspec.Struct, frozen=True):
    """A backup: where, when (Unix ms), up to which event, how much."""

    path: str
    at: int
    position: int
    sessions: int
    events: int
    bytes: int


def back_up_log(log: Path, target: Path, *, overwrite: bool = False) -> Backup:
    """Copy ``log`` to ``target``, verify the copy, and only then give it its name. Raises LogError.

    The copy is of one moment: a host that writes meanwhile is neither held up nor seen.
    """
    if not log.exists():
        raise LogMissing(f"there is no log at {log}")
    if target.exists() and target.samefile(log):
        raise BackupFailed(f"{target} is the log itself: choose another file")
    if target.exists() and not (overwrite and target.is_file()):
        what = "choose another name, or say --overwrite" if target.is_file() else "name the file to write"
        raise BackupFailed(f"{target} is there already: {what}")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        open_private(part).close()
        counts = _copy(log, part)
        check_copy(part, counts)
        _put(part, target, overwrite=overwrite)
    except OSError as problem:
        raise BackupFailed(f"cannot write the backup {target}: {problem.strerror}") from problem
    except sqlite3.Error as problem:
        raise BackupFailed(f"the backup {target} failed: {problem}") from problem
    finally:
        for rest in (part, *(part.with_name(part.name + end) for end in ("-journal", "-wal", "-shm"))):
            rest.unlink(missing_ok=True)
    size = target.stat().st_size
    return Backup(str(target), now_ms(), counts["position"], counts["sessions"], counts["events"], size)


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """What is in a log, by COUNTS."""
    return {name: int(connection.execute(query).fetchone()[0]) for name, query in COUNTS.items()}


def check_copy(copy: Path, counts: dict[str, int]) -> None:
    """Raise BackupFailed unless ``copy`` is a sound log that holds as much."""
    with closing(sqlite3.connect(schema.file_uri(copy, "mode=ro"), uri=True)) as connection:
        schema.check_version(connection, copy)
        said = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if said != "ok":
            raise BackupFailed(f"the copy is damaged ({said}): is the log sound? 'apollo doctor' checks it")
        found = count_rows(connection)
    wrong = [f"{found[name]:,} {name} instead of {counts[name]:,}" for name in counts if found[name] != counts[name]]
    if wrong:
        raise BackupFailed(f"the copy has {', '.join(wrong)}")


def note_backup(folder: Path, backup: Backup) -> None:
    """Remember the newest backup in the log's folder, for ``doctor``."""
    write_json(folder / RECORD, msgspec.to_builtins(backup))


def newest_backup(folder: Path) -> Backup | None:
    """The newest backup that is remembered; None if there is none."""
    try:
        found = read_json(folder / RECORD)
        return msgspec.convert(found, Backup) if found else None
    except (OSError, ValueError):  # unreadable is as good as none
        return None


def _copy(log: Path, part: Path) -> dict[str, int]:
    with (
        closing(sqlite3.connect(schema.file_uri(log, "mode=ro"), uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(part, isolation_level=None)) as made,
    ):
        source.execute(f"PRAGMA busy_timeout = {schema.BUSY_MS}")
        schema.check_version(source, log)
        # Counted and copied in one transaction: both are of the same moment.
        source.execute("BEGIN")
        counts = count_rows(source)
        source.backup(made)
        source.execute("COMMIT")
        made.execute("PRAGMA journal_mode = DELETE")  # one file, without a -wal beside it
    return counts


def _put(part: Path, target: Path, *, overwrite: bool) -> None:
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    if overwrite:
        part.replace(target)
    else:
        target.hardlink_to(part)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
