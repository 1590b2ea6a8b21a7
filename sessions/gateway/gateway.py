"""The gateway of a host: one port for all of its sessions whose agents are harnesses, a token for each."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sessions.agent.runner import SessionRunner
from sessions.agent.session import Session
from sessions.config import GatewaySettings
from sessions.gateway.access import EndpointAccess, read_token
from sessions.gateway.listener import BACKLOG, bind_port, inherited_listener, known_port

if TYPE_CHECKING:
    from sessions.gateway.acp.program import AcpProgram
    from sessions.gateway.children import Family
    from sessions.gateway.endpoint import Endpoint
    from sessions.gateway.http_server import HttpServer
    from sessions.gateway.line import HarnessLine

_log = logging.getLogger(__name__)


class Starts(Protocol):
    """What works at a session."""

    def start(self) -> None:
        """Come to life, and do what the log says."""

    def resume(self) -> None:
        """Go on after a pause by the host."""


class Gateway:
    """Serves the endpoints of a host's sessions; nothing of it is there until the first such session.

    ``hide(value, name)`` keeps a token out of the log: a tool may print its environment. ``adopt(child, parent)`` lets
    the session of a sub-agent use its parent's key. ``settings``: how those who wait are kept waiting.
    """

    def __init__(
        self,
        folder: Path,
        hide: Callable[[str, str], None],
        adopt: Callable[[str, str], None] = lambda *_: None,
        settings: GatewaySettings | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings or GatewaySettings()
        self._hide = hide
        self._adopt = adopt
        self._families: dict[str, Family] = {}
        self._lines: dict[str, HarnessLine] = {}
        self._at_work: set[str] = set()
        """The sub-agents' sessions that were started here."""
        self.runner: Callable[[str], Starts] | None = None
        """The runner of a session, one for each, as the host has them."""
        self._servers: list[HttpServer] = []
        self._endpoint: Endpoint | None = None
        self._port = 0
        self._sessions: dict[str, Session] = {}
        self._programs: dict[str, AcpProgram] = {}
        """Those that are talked to, by session."""

    def factory(self, session_for: Callable[[str], Session]) -> Callable[[str], SessionRunner]:
        """The factory of runners: of our own agent's sessions, and of those whose agent is a harness."""

        def make(session: str) -> SessionRunner:
            made = session_for(session)
            return SessionRunner(made) if made.created.harness is None else self._open(made)

        return make

    def resume(self) -> None:
        """Listen if an earlier host of this log did: a client that waits at the door is to be told who is there."""
        if known_port(self._folder):
            self.serve()

    def serve(self) -> int:
        """Listen, if it does not yet; returns the port of 127.0.0.1. Raises ApolloError."""
        if self._endpoint is None:
            from sessions.gateway.endpoint import Endpoint, Waiting
            from sessions.gateway.http_server import HttpServer

            listener = inherited_listener() or bind_port(self._folder)
            self._port = listener.getsockname()[1]
            own = self._settings
            self._endpoint = Endpoint(Waiting(own.first_seconds, own.headers_seconds, own.pause_seconds))
            self._serve_on(HttpServer(self._endpoint), listener)
            _log.info("the gateway listens on 127.0.0.1:%d", self._port)
        return self._port

    def _open(self, session: Session) -> SessionRunner:
        """A session's line, reached at the endpoint by its token, and what works at it."""
        from sessions.gateway.acp.program import AcpProgram
        from sessions.gateway.children import Children
        from sessions.gateway.harness_loop import HarnessLoop
        from sessions.gateway.line import HarnessLine

        port = self.serve()
        assert self._endpoint is not None
        self._sessions[session.id] = session
        family = self._families[session.id] = self._family(session)
        line = self._lines[session.id] = HarnessLine(
            session, family, Children(family, self._open_child, self._resume_child)
        )
        if family.above is not None:
            self._adopt(session.id, family.above.session.id)
            return SessionRunner(session, lambda own, yields: HarnessLoop(own, line, yields, None, family))
        token = read_token(session.folder)
        self._hide(token, "GATEWAY_TOKEN")
        self._endpoint.open(token, line)

        async def point() -> EndpointAccess:
            await self._listen_inside(session)
            return EndpointAccess(port, token)

        program = None
        if session.created.harness is not None and session.created.harness.acp:
            program = self._programs[session.id] = AcpProgram(session, line.note_prompt)
        return SessionRunner(session, lambda own, yields: HarnessLoop(own, line, yields, point, family, program))

    def _family(self, session: Session) -> Family:
        """A session among its kin; its parent is there before it."""
        from sessions.gateway.child_thread import thread_of_child
        from sessions.gateway.children import Family

        thread, begins = thread_of_child(session.created), session.created.begins
        if not thread or begins is None or not begins.session:
            return Family(session)
        if begins.session not in self._families and self.runner is not None:
            self.runner(begins.session)
        above = self._families[begins.session]
        made = above.children[thread] = Family(session, above, thread=thread)
        return made

    def _open_child(self, session: str) -> HarnessLine:
        """The line of a sub-agent's session, which is at work from now on."""
        assert self.runner is not None, "the host has told who runs sessions"
        runner = self.runner(session)
        if session not in self._at_work:
            self._at_work.add(session)
            runner.start()
        return self._lines[session]

    def _resume_child(self, session: str) -> None:
        """Let a sub-agent's session go on that a host held."""
        assert self.runner is not None, "the host has told who runs sessions"
        self._at_work.add(session)
        self.runner(session).resume()

    async def listen_again(self, session: str) -> None:
        """Serve in the space of a session whose harness an earlier host started: it may be asking already."""
        await self._listen_inside(self._sessions[session])

    async def _listen_inside(self, session: Session) -> None:
        """Serve in the space of a session, too, where that has no network of its own."""
        from sessions.containment.spaces import BubblewrapSpace
        from sessions.gateway.http_server import HttpServer

        space = session.services.jobs_for(session.id).space
        await space.open()
        if isinstance(space, BubblewrapSpace) and space.has_relay:
            assert self._endpoint is not None
            self._serve_on(HttpServer(self._endpoint), space.bind_endpoint())

    async def stop_harnesses(self) -> None:
        """The host stops for good: end the programs that can go on later, and tell the others that wait."""
        ended = await asyncio.gather(*map(self._stop_harness, self._sessions.values()), return_exceptions=True)
        for problem in ended:
            if isinstance(problem, Exception):
                _log.error("a program could not be ended", exc_info=problem)
        for line in self._lines.values():
            line.turn_away("the host was stopped")

    async def _stop_harness(self, session: Session) -> None:
        harness, program = session.created.harness, self._programs.get(session.id)
        if harness is None or not session.summary.open_jobs:
            return
        if program is not None and program.can_go_on:
            await program.cancel("the host was stopped")
        if harness.resume or (program is not None and program.can_go_on):
            await session.services.jobs_for(session.id).kill_all()

    def _serve_on(self, server: HttpServer, listener: socket.socket) -> None:
        listener.listen(BACKLOG)
        server.start(listener)
        self._servers.append(server)

    async def close(self) -> None:
        """Stop serving."""
        for program in self._programs.values():
            await program.close()
        for server in self._servers:
            await server.close()
