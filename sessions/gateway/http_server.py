"""Serves the endpoint on a socket that somebody else has bound, inside the host's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS: Final = 512
"""Of more, those that ask for nothing are closed, the oldest first; where all ask for something, the next one is
answered 503. Harnesses of a host hold a few each."""
MOST_HEADER_BYTES: Final = 64 << 10
_NUMBERS: Final = count()
"""The order of connections."""


class InterimProtocol(H11Protocol):
    """HTTP/1.1 that can say 102 before its answer and break off in the middle of it, which ASGI has no words for."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        app = self.app

        async def informed(scope: Any, receive: Any, send: Any) -> None:
            scope["extensions"] = {**(scope.get("extensions") or {}), "apollo.inform": self._inform,
                                   "apollo.abort": self._abort}  # fmt: skip
            await app(scope, receive, send)

        self.app = informed
        self.number = next(_NUMBERS)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one
        """Let nobody keep others out by connections that ask for nothing."""
        super().connection_made(transport)
        if len(self.connections) < MOST_CONNECTIONS:
            return
        others = self.connections - {self}
        idle = [one for one in others if isinstance(one, InterimProtocol) and one.is_idle]
        if idle:
            min(idle, key=lambda one: one.number).transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no request has come whole that waits for its answer."""
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def _inform(self) -> None:
        if self.conn.our_state is h11.SEND_RESPONSE and not self.transport.is_closing():
            self.transport.write(self.conn.send(h11.InformationalResponse(status_code=102, headers=[])) or b"")

    def _abort(self) -> None:
        """Break the line off in the middle of an answer."""
        if self.conn.their_http_version == b"1.0":  # the end of its line is the end of an answer: only a reset is none
            own = self.transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves the signals to the host."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """The endpoint's server. ``app`` is an ASGI application."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(
            app,
            http=InterimProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

        # What it has to say of each start and request is nothing for the host's log.
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)

    def start(self, *sockets: socket.socket) -> None:
        """Accept what waits at the sockets, and what comes."""
        self._task = asyncio.create_task(self._server.serve(sockets=list(sockets)), name="gateway")

    async def close(self) -> None:
        """Stop serving; the sockets' other holders keep them open."""
        if self._task is not None:
            self._server.should_exit = True
            await asyncio.wait([self._task], timeout=5)
            self._task.cancel()
