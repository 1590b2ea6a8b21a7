"""API keys: from a private file that is read at each request, else from the client that made the session.

What a client sent stays in memory and is gone with the process; the session then needs you, naming the variable.
The host's own environment is never asked: it is whoever's happened to start it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.paths import config_path

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
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise KeysFileError(f"the keys file {path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
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


class KeyRing:
    """The keys of a host's sessions."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or keys_path()
        self._given: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    def remember(self, session: str, key: str | None) -> None:
        """Keep the key that a client sent for ``session``, in memory."""
        if key:
            self._given[session] = key

    def key(self, session: str, variable: str | None) -> str | None:
        """The key for a request of ``session`` right now, None if there is none. Raises KeysFileError."""
        if variable is None:
            return None
        return read_keys(self._path).get(variable) or self._given.get(session)

    def secrets(self, session: str, variable: str | None) -> dict[str, str]:
        """Every value that must never enter this session's log, by a name; also values that the file had earlier."""
        with contextlib.suppress(KeysFileError):  # said when a request needs the key
            self._seen |= {value: name for name, value in read_keys(self._path).items()}
        found = dict(self._seen)
        given = self._given.get(session)
        if given:
            found.setdefault(given, variable or "API_KEY")
        names: dict[str, str] = {}
        for number, (value, name) in enumerate(found.items(), 1):
            names[f"{name} {number}" if name in names else name] = value
        return names
