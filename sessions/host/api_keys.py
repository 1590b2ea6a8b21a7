"""API keys: from a private file that is read at each request, else from the client that made the session.

What a client sent stays in memory and is gone with the process; the session then needs you, naming the variable.
The host's own environment is never asked: it is whoever's happened to start it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from functools import lru_cache
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.events import SessionCreated
from sessions.log.reader import LogReader
from sessions.paths import config_path
from sessions.redaction import Redactor

KEYS_VARIABLE: Final = "APOLLO_KEYS"


class KeysFileError(ApolloError):
    """The keys file is not private, or a line of it is wrong; the text says what to do."""


def keys_path() -> Path:
    """The keys file: ``APOLLO_KEYS``, else ``keys`` beside the config. It need not exist."""
    named = os.environ.get(KEYS_VARIABLE)
    return Path(named).expanduser() if named else config_path().with_name("keys")


def read_keys(path: Path) -> dict[str, str]:
    """Variable to key, from lines ``NAME=key`` (``#`` begins a comment line). A missing file holds no keys.

    Raises KeysFileError if anybody else could read the file.
    """
    try:
        # Not blocking: a fifo in its place would hold up every commit.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KeysFileError(f"the keys file {path} cannot be read: {error.strerror}") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise KeysFileError(f"the keys file {path} cannot be read: it is no file")
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise KeysFileError(f"others can read the keys file {path}: 'chmod 600 {path}', then resume the session")
        keys: dict[str, str] = {}
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, equals, value = text.removeprefix("export ").partition("=")
            if not equals or not name.strip().isidentifier():
                raise KeysFileError(f"{path}, line {number}: expected NAME=key")
            keys[name.strip()] = value.strip().strip("\"'")
        return keys


def key_variable(reader: LogReader, session: str) -> str | None:
    """The name of the variable that a session's key is in, None if its model needs none. One short read."""
    first = reader.event(session, 1)
    return first.body.model.key_env if first is not None and isinstance(first.body, SessionCreated) else None


def key_here(reader: LogReader, session: str) -> str | None:
    """The session's key in a client's own environment, to go with a request to resume."""
    return os.environ.get(key_variable(reader, session) or "") or None


class KeyRing:
    """The keys of a host's sessions."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or keys_path()
        self._given: dict[str, str] = {}
        self._parents: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    def remember(self, session: str, key: str | None, variable: str | None) -> None:
        """Keep the key that a client sent for ``session``, the value of its ``variable``, in memory."""
        if key:
            self._given[session] = key
            self._seen.setdefault(key, variable or "API_KEY")

    def adopt(self, session: str, parent: str) -> None:
        """Let ``session`` use what a client sent for its parent."""
        self._parents[session] = parent

    def hide(self, value: str, name: str) -> None:
        """Keep ``value`` out of all that enters the log, as a key is."""
        self._seen.setdefault(value, name)

    def key(self, session: str, variable: str | None) -> str | None:
        """The key for a request of ``session`` right now, None if there is none. Raises KeysFileError."""
        if variable is None:
            return None
        while session in self._parents and session not in self._given:
            session = self._parents[session]
        return read_keys(self._path).get(variable) or self._given.get(session)

    def redactor(self) -> Redactor:
        """What takes the secrets out of all that enters the log, as they are now."""
        return _redactor(tuple(sorted(self.secrets().items())))

    def secrets(self) -> dict[str, str]:
        """Every value that must never enter the log, by a name; also values that the file had earlier."""
        with contextlib.suppress(KeysFileError):  # said when a request needs the key
            self._seen |= {value: name for name, value in read_keys(self._path).items()}
        names: dict[str, str] = {}
        for number, (value, name) in enumerate(self._seen.items(), 1):
            names[f"{name} {number}" if name in names else name] = value
        return names


@lru_cache(maxsize=64)
def _redactor(secrets: tuple[tuple[str, str], ...]) -> Redactor:
    return Redactor(dict(secrets))
