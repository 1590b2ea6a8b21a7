"""The endpoint itself: who may ask what, and how an answer that takes hours reaches a client that waits for minutes.

A client that waits is kept waiting by interim answers (102) while its status line is still open, so that what the
server says in the end can be passed on as it is; after that by the keep-alives of its dialect. No byte of a reply goes
out before all of it is there: so it can be thrown away, asked for again and edited without a trace. Unless its session
hands replies over as they come: then a part of it goes out as soon as it is there, and a reply of which no more will
come is broken off, so that no client takes the part for the whole.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sessions.gateway.dialects import DIALECTS, EMBEDDINGS, Dialect, UnreadableRequest
from sessions.gateway.exchange import Answer, Exchange

MOST_BYTES: Final = 64 << 20
"""A larger request is none: the largest seen was 2 MB."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_POSTS: Final[dict[str, Dialect]] = {
    "chat/completions": DIALECTS["chat"],
    "responses": DIALECTS["responses"],
    "messages": DIALECTS["messages"],
    "embeddings": EMBEDDINGS,
}
_PASSED: Final = re.compile(
    r"GET models(/[\w.:@-]+)*|GET responses/[\w-]+|POST (messages/count_tokens|responses/[\w-]+/cancel)"
)
"""What goes upstream as it is, beside replies."""
_CALLS: Final = r"models(?:/.+)?|embeddings|chat/completions|responses(?:/.+)?|messages(?:/count_tokens)?"
_PATH: Final = re.compile(rf"(?:/s/(?P<token>[^/]*))?(?:/[^/]+)*?/(?P<call>{_CALLS})")
"""A token, whatever a harness wants to see in its base URL, and the call; ``v1`` may be there or not."""
_TOKEN: Final = re.compile("^/s/[^/]*")
_log = logging.getLogger(__name__)


class Line(Protocol):
    """A session as the endpoint knows it."""

    def submit(self, exchange: Exchange) -> None:
        """Take a request in; its answer comes in its own time."""

    async def forward(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """What the server says to a request that asks for no reply."""

    def refuse(self, what: str) -> None:
        """Say in the log what was asked for and refused."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How clients are kept waiting, in seconds."""

    first: float = 20.0
    """Until the first interim answer."""
    headers: float = 100.0
    """From here on the headers are out: a client may have a limit for them that interim answers do not move."""
    pause: float = 15.0
    """Between two keep-alives."""


class Endpoint:
    """An ASGI application for all sessions of a host. Each is reached by its own token alone."""

    def __init__(self, waiting: Waiting = Waiting()) -> None:
        self._lines: dict[str, Line] = {}
        self._waiting = waiting

    def open(self, token: str, line: Line) -> None:
        """Let the holder of ``token`` talk to the model of a session."""
        self._lines[token] = line

    def close(self, token: str) -> None:
        """The token is dead from now on."""
        self._lines.pop(token, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        await _Visit(self, scope, receive, send).serve()

    def line_of(self, token: str) -> Line | None:
        """The session of a token, compared with all, in constant time."""
        found = None
        for known, line in self._lines.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                found = line
        return found

    @property
    def waiting(self) -> Waiting:
        """How clients are kept waiting."""
        return self._waiting


class _Visit:
    """One request on its way in and its answer on its way out."""

    def __init__(self, endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        self._endpoint = endpoint
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]

    async def serve(self) -> None:
        method, path = self._scope["method"], self._scope["path"]
        found = _PATH.fullmatch(path)
        call = found["call"] if found is not None else ""
        dialect = _POSTS.get(call, DIALECTS["messages" if call.startswith("messages") else "chat"])
        line = self._line(found["token"] if found is not None else None, path)
        if method == "HEAD":  # Claude Code looks first whether anybody is there
            await self._answer(Answer(200, b""))
        elif line is None:
            _log.warning("%s came with a token of no session that runs here", self._asked()[:200])
            await self._answer(_refusal(dialect, 401, "this token belongs to no session that runs here"))
        elif method == "POST" and call in _POSTS:
            await self._reply(dialect, line, call)
        elif _PASSED.fullmatch(f"{method} {call}"):
            body = await self._read_body()
            if body is None:
                await self._refuse_large(dialect, line)
                return
            query = self._scope["query_string"].decode("latin-1")
            await self._answer(await line.forward(method, call, query, self._headers, body))
        else:
            words = f"{self._asked()} is nothing that this gateway passes on"
            line.refuse(words)
            await self._answer(_refusal(dialect, 404, words))

    def _asked(self) -> str:
        """Method and path, and not by which token."""
        return f"{self._scope['method']} {_TOKEN.sub('', self._scope['path'])}"

    async def _refuse_large(self, dialect: Dialect, line: Line) -> None:
        words = f"a request of more than {MOST_BYTES >> 20} MB is too large"
        line.refuse(f"{self._asked()}: {words}")
        await self._answer(_refusal(dialect, 413, words))

    def _line(self, token: str | None, path: str) -> Line | None:
        """The session that the request is for: by the token in its path, else in its key."""
        if token is None and path.startswith("/s/"):
            token = path.split("/")[2]
        if token is None:
            key = next((value for name, value in self._headers if name in ("authorization", "x-api-key")), "")
            token = key.removeprefix("Bearer ").strip()
        return self._endpoint.line_of(token)

    async def _reply(self, dialect: Dialect, line: Line, call: str) -> None:
        body = await self._read_body()
        if body is None:
            await self._refuse_large(dialect, line)
            return
        try:
            request = dialect.read_request(body)
        except UnreadableRequest as problem:
            line.refuse(f"{self._asked()}: {problem}")
            await self._answer(_refusal(dialect, 400, str(problem)))
            return
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        query = self._scope["query_string"].decode("latin-1")
        exchange = Exchange(dialect, request, body, call, query, tuple(self._headers), answer)
        gone: asyncio.Future[None] = asyncio.ensure_future(self._wait_for_hang_up())
        whole = False
        try:
            line.submit(exchange)
            whole = await self._hold(exchange, gone)
        finally:
            gone.cancel()
            exchange.leave(whole=whole)

    async def _hold(self, exchange: Exchange, gone: asyncio.Future[None]) -> bool:
        """Keep the client waiting until there is an answer, and give it; whether all of it went out."""
        waiting, clock = self._endpoint.waiting, asyncio.get_running_loop().time
        began, number, begun = clock(), 0, False
        pause, passage = waiting.first, exchange.passage
        while not exchange.answer.done():
            waits: list[asyncio.Future[Any]] = [exchange.answer, gone, passage.came]
            # Between the pieces of a reply there is no place for a keep-alive: it might fall into an event.
            await asyncio.wait(waits, timeout=None if passage.sent else pause, return_when=asyncio.FIRST_COMPLETED)
            if exchange.answer.done():
                break
            if gone.done():
                return False
            if passage.waits:
                begun = await self._pass_on(exchange)
                continue
            pause = waiting.pause
            if not begun and clock() - began < waiting.headers:
                self._inform()
                continue
            if not begun:
                begun = exchange.begun = True
                media = "text/event-stream" if exchange.stream else "application/json"
                await self._begin(200, [("content-type", media)])
            number += 1
            await self._more(exchange.dialect.keep_alive(number, stream=exchange.stream))
        answer = exchange.answer.result()
        if gone.done():
            return False
        if exchange.has_part and answer.status >= 400:
            await self._break_off(exchange, gone)
            return False
        if not begun:
            await self._answer(answer)
            return not gone.done()
        if answer.status >= 400:
            message = f"the server answered {answer.status}: {answer.body[:2000].decode(errors='replace')}"
            await self._more(exchange.dialect.late_error(message, stream=exchange.stream), last=True)
        else:
            await self._more(answer.body[passage.sent :], last=True)
        return not gone.done()

    async def _pass_on(self, exchange: Exchange) -> bool:
        """Give the client what has come of its reply. Returns True: the status line is out."""
        if not exchange.begun:
            exchange.begun = True
            head = exchange.passage.head
            await self._begin(head.status, [("content-type", head.media), *head.headers])
        await self._more(exchange.passage.take())
        return True

    async def _break_off(self, exchange: Exchange, gone: asyncio.Future[None]) -> None:
        """End a reply of which no more will come so that its client cannot take it for a whole one."""
        if exchange.passage.waits:
            await self._pass_on(exchange)
        self._scope["extensions"]["apollo.abort"]()
        await gone

    def _inform(self) -> None:
        """Say that it takes longer (102), where the server can."""
        inform = (self._scope.get("extensions") or {}).get("apollo.inform")
        if inform is not None:
            inform()

    async def _read_body(self) -> bytes | None:
        """The whole body; None if it is too large."""
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return b""
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > MOST_BYTES:
                return None
            if not message.get("more_body"):
                return b"".join(pieces)

    async def _wait_for_hang_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue

    async def _answer(self, answer: Answer) -> None:
        length = [("content-length", str(len(answer.body)))]
        await self._begin(answer.status, [("content-type", answer.media), *answer.headers, *length])
        await self._more(answer.body, last=True)

    async def _begin(self, status: int, headers: list[tuple[str, str]]) -> None:
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _more(self, data: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})


def _refusal(dialect: Dialect, status: int, message: str) -> Answer:
    return Answer(status, dialect.error(status, message))
