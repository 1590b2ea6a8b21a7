"""What can go wrong with a log, each said in one line: what happened, and what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.events import Event


class LogError(ApolloError):
    """Base of all errors about a log; its text is one line for a person."""


class LogMissing(LogError):
    """There is no log at the path."""


class NotALog(LogError):
    """The file is something else, or damaged beyond opening."""


class LogTooNew(LogError):
    """A newer version of Apollo wrote the log."""


class LogTooOld(LogError):
    """The log needs a migration, which only a host does."""


class SqliteTooOld(LogError):
    """The SQLite that Python was built with lacks STRICT tables."""


class NetworkFilesystem(LogError):
    """The log would lie on a network filesystem, where SQLite's locks cannot be trusted."""


class LogReadFailed(LogError):
    """SQLite could not read (locked for too long, disk error)."""


class LogWriteFailed(LogError):
    """Nothing of the write set was stored: disk full, locked, or an event that cannot be stored. The log is sound."""


class LogUnavailable(LogError):
    """What it is about passes, or can be put right: a full disk, a lock of another program. Trying again is right.

    ``waits`` says what for, without what became of the call.
    """

    def __init__(self, message: str, *, waits: str = "") -> None:
        super().__init__(message)
        self.waits = waits or message


class LogUnwritable(LogUnavailable, LogWriteFailed):
    """Nothing of the write set was stored, for now."""


class LogUnreadable(LogUnavailable, LogReadFailed):
    """Nothing could be read, for now."""


class LogClosed(LogWriteFailed):
    """The writer is closed; nothing was stored."""


class BadEvent(LogWriteFailed):
    """An event that would not come back from the log as it went in; its whole write set was refused."""


class RepeatedRequest(LogError):
    """The request is in the log already; ``events`` is what its first answer was made from."""

    def __init__(self, request: str, events: Sequence[Event]) -> None:
        super().__init__(f"request {request} was applied already; nothing was stored again")
        self.request = request
        self.events = list(events)


class NoSuchSession(LogError):
    """No session has this id, prefix or number."""


class AmbiguousId(LogError):
    """Several sessions' ids begin with this prefix."""


class PromptMismatch(LogError):
    """A rebuilt prompt is not what the log says was sent."""


NO_ROOM: Final = 64 * 1024
FULL: Final = "the disk that holds {path} is full"
PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
     sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
)  # fmt: skip
"""What SQLite says of trouble that is not the file's own."""


def write_error(path: Path, error: BaseException, done: str = "written") -> LogWriteFailed:
    """What a failed write of the log at ``path`` means to a person. ``done``: what it could not be."""
    what, advice = _explain(path, error, done)
    if _passes(error):
        return LogUnwritable(f"{what}: nothing was stored; {advice}", waits=f"{what}; {advice}")
    return LogWriteFailed(what)


def read_error(path: Path, error: sqlite3.Error, done: str = "read") -> LogReadFailed:
    """What a failed read of the log at ``path`` means to a person. ``done``: what it could not be."""
    if _passes(error):
        what, advice = _explain(path, error, done)
        return LogUnreadable(f"{what}; {advice}")
    return LogReadFailed(f"the log {path} could not be {done}: {error}")


def _passes(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in PASSING


def _explain(path: Path, error: BaseException, done: str) -> tuple[str, str]:
    text = str(error)
    if "full" in text or (isinstance(error, sqlite3.OperationalError) and is_full(path)):
        return FULL.format(path=path), "free some space"
    if "locked" in text or "busy" in text:
        return f"another program holds {path} locked", "close it"
    return f"the log {path} could not be {done}: {text or type(error).__name__}", "look at its disk and its folder"


def is_full(path: Path) -> bool:
    """Whether there is no room beside ``path``: SQLite calls it an I/O error where its shared memory cannot grow."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < NO_ROOM
