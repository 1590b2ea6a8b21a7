"""What can go wrong with a log, each said in one line: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

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
