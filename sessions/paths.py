"""Where a log and everything that belongs to it live. Nothing here touches the log itself."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

import msgspec
import platformdirs

from sessions.errors import ApolloError

APP: Final = "apollo-tui"
LOG_VARIABLE: Final = "APOLLO_LOG"
MAX_SOCKET_BYTES: Final = 100
"""Socket paths must stay below this: the kernel's limit is 104 (macOS) or 108 (Linux) bytes with its NUL."""


class LogPaths(msgspec.Struct, frozen=True):
    """A log and its neighbours: ``lock`` beside it, all else in ``folder`` (0700)."""

    log: Path
    lock: Path
    folder: Path
    socket: Path
    host_log: Path
    drafts: Path
    sessions: Path

    def session_folder(self, session: str) -> Path:
        """The folder of one session: its workspace, jobs and capped files. Not created here."""
        return self.sessions / session

    def prepare(self) -> None:
        """Create the folders, readable by nobody else."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.drafts, self.sessions, self.socket.parent):
            private_folder(folder)


def log_paths(log: Path | None = None) -> LogPaths:
    """The paths of ``log``, else of ``APOLLO_LOG``, else of the user's own log. Creates nothing.

    Raises ApolloError for a path that is no UTF-8: sessions, events and answers name it.
    """
    if log is None:
        named = os.environ.get(LOG_VARIABLE)
        log = Path(named) if named else platformdirs.user_data_path(APP, appauthor=False) / "apollo.sqlite"
    # Resolved, so that two names of one log share one lock and one socket.
    log = log.expanduser().resolve()
    if not _is_text(str(log)):
        raise ApolloError(f"{str(log).encode('utf-8', 'replace').decode()} is no name in UTF-8: choose another --log")
    folder = log.with_name(log.name + ".d")
    return LogPaths(
        log=log,
        lock=log.with_name(log.name + ".lock"),
        folder=folder,
        socket=_socket(folder),
        host_log=folder / "host.log",
        drafts=folder / "drafts",
        sessions=folder / "sessions",
    )


def _is_text(name: str) -> bool:
    """Whether the log and the protocol, which are UTF-8, can hold a file's name."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def config_path() -> Path:
    """The user's TOML config file; it need not exist."""
    named = os.environ.get("APOLLO_CONFIG")
    return Path(named).expanduser() if named else platformdirs.user_config_path(APP, appauthor=False) / "config.toml"


def private_folder(folder: Path) -> None:
    """Create ``folder`` with mode 0700, or tighten it. Raises PermissionError if it belongs to somebody else."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user: remove it or choose another --log")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _socket(folder: Path) -> Path:
    if len(os.fsencode(folder / "socket")) < MAX_SOCKET_BYTES:
        return folder / "socket"
    import hashlib  # seldom needed, and every start comes through here

    key = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    places = (
        platformdirs.user_state_path(APP, appauthor=False) / key,
        Path(tempfile.gettempdir()) / f"apollo-{os.getuid()}-{key}",
    )
    for place in places:
        if len(os.fsencode(place / "socket")) < MAX_SOCKET_BYTES:
            return place / "socket"
    return Path("/tmp") / f"apollo-{os.getuid()}-{key}" / "socket"
