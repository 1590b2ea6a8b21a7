"""The environment that a session's tools get: the creating client's, scrubbed, in memory and in a private file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sessions.paths import LogPaths, private_folder
from sessions.redaction import looks_secret

FILE = "env.json"
FALLBACK = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "SHELL", "TMPDIR", "TZ")


class SessionEnvs:
    """Environments by session; kept across restarts in the sessions' folders, never in the log."""

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._known: dict[str, Mapping[str, str]] = {}

    def keep(self, session: str, env: Mapping[str, str]) -> None:
        """Store the environment of a new session; credentials in it are dropped here too."""
        clean = {name: value for name, value in env.items() if not looks_secret(name, value)} or _fallback()
        folder = self._paths.session_folder(session)
        private_folder(folder)
        path = folder / FILE
        fresh = path.with_name(f"{FILE}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(clean))
        fresh.replace(path)
        self._known[session] = clean

    def of(self, session: str) -> Mapping[str, str]:
        """The environment of ``session``; a bare one if its file is gone."""
        if session not in self._known:
            self._known[session] = _read(self._paths.session_folder(session) / FILE)
        return self._known[session]


def _read(path: Path) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return _fallback()


def _fallback() -> dict[str, str]:
    return {name: os.environ[name] for name in FALLBACK if name in os.environ}
