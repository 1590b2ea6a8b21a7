"""The space of each session, made once: of two for one session each would keep a space of its own."""

from __future__ import annotations

from pathlib import Path

from sessions.containment.session_spaces import session_space
from sessions.containment.spaces import Space
from sessions.events import SessionCreated
from sessions.gateway.gateway import Gateway
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.workspace import WORKSPACE


class SessionSpaces:
    """Where the commands of sessions run, and who looks after their workspaces."""

    def __init__(self, reader: LogReader, paths: LogPaths, gateway: Gateway) -> None:
        self._reader = reader
        self._paths = paths
        self._gateway = gateway
        self._known: dict[str, Space] = {}

    def created(self, session: str) -> SessionCreated:
        """The first event of a session."""
        first = self._reader.events(session, limit=1)[0].body
        assert isinstance(first, SessionCreated)
        return first

    def of(self, session: str) -> Space:
        """The space of a session."""
        found = self._known.get(session)
        if found is None:
            first = self.created(session)
            folder = self._paths.session_folder(session)
            workspace = Path(first.workspace) if first.workspace else folder / WORKSPACE
            port = self._gateway.serve() if first.harness is not None else None
            found = self._known[session] = session_space(first.contained, folder, workspace, endpoint=port)
        return found
