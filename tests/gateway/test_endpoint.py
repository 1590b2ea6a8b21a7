"""The endpoint on a real port: who is let in, how a client is kept waiting, what a hostile one comes to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sessions.gateway import endpoint as endpoint_module
from sessions.gateway.endpoint import Endpoint, Waiting
from sessions.gateway.exchange import Answer, Exchange
from sessions.gateway.http_server import HttpServer
from sessions.gateway.listener import bind_port

TOKEN = "0123456789abcdef0123456789abcdef"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}


@dataclass
class Held:
    """A line that answers when the test says so."""

    exchanges: list[Exchange] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def submit(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        self.came.set()

    async def forward(self, method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        self.passed.append(f"{method} {path}")
        return Answer(200, b'{"data": []}')

    def refuse(self, what: str) -> None:
        self.refused.append(what)

    async def next(self) -> Exchange:
        await self.came.wait()
        self.came.clear()
        return self.exchanges[-1]


@dataclass
class Served:
    line: Held
    port: int
    client: httpx2.AsyncClient

    def url(self, path: str, token: str = TOKEN) -> str:
        return f"http://127.0.0.1:{self.port}/s/{token}/{path}"

    async def ask(self, body: Any = None, path: str = "v1/chat/completions", **more: Any) -> httpx2.Response:
        return await self.client.post(self.url(path), json=CHAT if body is None else body, **more)


@contextlib.asynccontextmanager
async def serving(folder: Path, waiting: Waiting) -> AsyncIterator[Served]:
    app, line = Endpoint(waiting), Held()
    app.open(TOKEN, line)
    listener = bind_port(folder)
    server = HttpServer(app)
    server.start(listener)
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
        yield Served(line, listener.getsockname()[1], client)
    await server.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, Waiting(first=0.05, headers=0.2, pause=0.05)) as found:
        yield found


async def test_a_reply_goes_over_as_it_came_with_what_the_server_said_of_it(served: Served) -> None:
    asking = asyncio.create_task(served.ask())
    exchange = await served.line.next()
    assert json.loads(exchange.request.body()) == CHAT
    exchange.settle(Answer(429, b'{"error": "slowly"}', headers=(("retry-after", "7"),)))
    response = await asking
    assert (response.status_code, response.content) == (429, b'{"error": "slowly"}')
    assert response.headers["retry-after"] == "7"
    assert await exchange.delivered


@pytest.mark.parametrize(
    ("path", "body", "stream", "waits"),
    [
        ("v1/chat/completions", CHAT, False, b" "),
        ("v1/chat/completions", CHAT | {"stream": True}, True, b": keep-alive\n\n"),
        ("v1/responses", {"model": "m", "input": "Hi.", "stream": True}, True, b'event: keepalive\ndata: {"type"'),
        ("v1/messages", CHAT | {"stream": True}, True, b"event: ping\n"),
    ],
)
async def test_a_client_that_waits_long_is_kept_waiting_in_its_own_dialect(
    served: Served, path: str, body: Any, stream: bool, waits: bytes
) -> None:
    asking = asyncio.create_task(served.ask(body, path))
    exchange = await served.line.next()
    while not exchange.begun:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.12)
    exchange.settle(Answer(200, b'{"choices": []}', "text/event-stream" if stream else "application/json"))
    response = await asking
    assert response.status_code == 200
    assert response.content.startswith(waits)
    assert response.content.endswith(b'{"choices": []}')
    assert response.headers["content-type"] == ("text/event-stream" if stream else "application/json")


async def test_an_error_after_the_headers_is_one_of_the_dialect(served: Served) -> None:
    asking = asyncio.create_task(served.ask({"model": "m", "input": "Hi.", "stream": True}, "v1/responses"))
    exchange = await served.line.next()
    while not exchange.begun:
        await asyncio.sleep(0.02)
    exchange.settle(Answer(529, b"overloaded"))
    told = (await asking).text
    assert "event: response.failed" in told
    assert "the server answered 529: overloaded" in told


async def test_interim_answers_come_before_the_status_line(tmp_path: Path) -> None:
    async with serving(tmp_path, Waiting(first=0.05, headers=60, pause=0.05)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        body = json.dumps(CHAT).encode()
        head = f"POST /s/{TOKEN}/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        exchange = await served.line.next()
        assert await reader.readline() == b"HTTP/1.1 102 \r\n"
        exchange.settle(Answer(503, b"{}"))
        while (line := await reader.readline()).startswith((b"\r\n", b"HTTP/1.1 102")):
            continue
        assert line.startswith(b"HTTP/1.1 503"), "the status is still the server's own"
        writer.close()


async def test_a_client_that_hangs_up_is_known_as_gone(served: Served) -> None:
    asking = asyncio.create_task(served.ask())
    exchange = await served.line.next()
    assert not exchange.is_gone
    asking.cancel()
    async with asyncio.timeout(5):
        assert await exchange.delivered is False


@pytest.mark.parametrize("path", ["v1/chat/completions", "chat/completions", "openrouter.ai/v1/chat/completions"])
async def test_a_base_url_is_taken_with_or_without_its_version_and_with_what_a_harness_wants_to_see(
    served: Served, path: str
) -> None:
    asking = asyncio.create_task(served.ask(path=path))
    (await served.line.next()).settle(Answer(200, b"{}"))
    assert (await asking).status_code == 200


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
async def test_the_token_may_be_the_key(served: Served, name: str) -> None:
    key = {name: f"Bearer {TOKEN}" if name == "authorization" else TOKEN}
    url = f"http://127.0.0.1:{served.port}/v1/chat/completions"
    asking = asyncio.create_task(served.client.post(url, json=CHAT, headers=key))
    exchange = await served.line.next()
    assert TOKEN not in str(exchange.onward_headers())
    exchange.settle(Answer(200, b"{}"))
    assert (await asking).status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 32, TOKEN + "0", TOKEN[:-1], "..", "%00"])
async def test_a_wrong_token_is_let_nowhere(served: Served, token: str, caplog: pytest.LogCaptureFixture) -> None:
    response = await served.client.post(served.url("v1/messages", token), json=CHAT)
    assert response.status_code == 401
    assert response.json() == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "this token belongs to no session that runs here"},
    }
    (said,) = [record.getMessage() for record in caplog.records if "token of no session" in record.getMessage()]
    assert said.startswith("POST /v1/messages came with")
    assert TOKEN[:-1] not in said
    assert served.line.exchanges == []


async def test_a_token_opens_its_own_session_alone_and_none_once_it_is_dead(tmp_path: Path) -> None:
    app, lines = Endpoint(), {token: Held() for token in ("a" * 32, "b" * 32)}
    for token, line in lines.items():
        app.open(token, line)
    listener = bind_port(tmp_path)
    server = HttpServer(app)
    server.start(listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    mine, other = lines.values()
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as client:
        asking = asyncio.create_task(
            client.post(f"{url}/s/{'a' * 32}/v1/messages", json=CHAT, headers={"x-api-key": "b" * 32})
        )
        exchange = await mine.next()
        assert "b" * 32 not in str(exchange.onward_headers()), "another session's token goes to nobody"
        exchange.settle(Answer(200, b"{}"))
        assert (await asking).status_code == 200
        app.close("a" * 32)
        dead = await client.post(f"{url}/s/{'a' * 32}/v1/messages", json=CHAT, headers={"x-api-key": "b" * 32})
    assert (dead.status_code, len(mine.exchanges), other.exchanges) == (401, 1, [])
    await server.close()


async def test_what_is_not_passed_on_is_refused_and_said(served: Served) -> None:
    assert (await served.client.get(served.url("v1/files"))).status_code == 404
    assert (await served.client.delete(served.url("v1/models"))).status_code == 404
    not_passed = "is nothing that this gateway passes on"
    assert served.line.refused == [f"GET /v1/files {not_passed}", f"DELETE /v1/models {not_passed}"], "and no token"
    assert (await served.client.get(served.url("v1/models"))).json() == {"data": []}
    assert (await served.client.post(served.url("v1/messages/count_tokens"), json=CHAT)).status_code == 200
    assert served.line.passed == ["GET models", "POST messages/count_tokens"]
    assert (await served.client.head(served.url(""))).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"model": "m"}', b"\xff\xfe", b'{"messages": ' + b"[" * 100_000])
async def test_what_is_no_request_is_answered_in_one_line(served: Served, body: bytes) -> None:
    response = await served.client.post(served.url("v1/chat/completions"), content=body)
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert message.startswith("the request is no chat request: ")
    assert served.line.refused == [f"POST /v1/chat/completions: {message}"]


async def test_a_huge_body_is_refused_and_not_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MOST_BYTES", 1 << 20)
    response = await served.client.post(served.url("v1/chat/completions"), content=b"x" * (2 << 20))
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "a request of more than 1 MB is too large"
    assert served.line.refused == ["POST /v1/chat/completions: a request of more than 1 MB is too large"]
    assert served.line.exchanges == []


@pytest.mark.parametrize(
    "head",
    [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: -1",
        "x: a\r\n b: c\r\ncontent-length: nine",
    ],
)
async def test_a_smuggled_request_is_none(served: Served, head: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    inner = f"POST /s/{TOKEN}/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}"
    writer.write(f"POST /s/{TOKEN}/v1/models HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{inner}".encode())
    async with asyncio.timeout(10):
        answered = await reader.read()
    assert answered.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert b"200" not in answered.split(b"\r\n", 1)[0]
    assert served.line.exchanges == []
    writer.close()


async def test_half_requests_and_many_connections_keep_nobody_else_out(served: Served) -> None:
    half = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(1_000)]
    for _, writer in half:
        writer.write(f"POST /s/{TOKEN}/v1/chat/completions HTTP/1.1\r\ncontent-le".encode())
    asking = asyncio.create_task(served.ask())
    (await served.line.next()).settle(Answer(200, b"{}"))
    assert (await asking).status_code == 200
    for _, writer in half:
        writer.close()


STREAMED = CHAT | {"stream": True}
HEAD = Answer(200, b"", "text/event-stream", (("x-request-id", "r1"),))


async def ask_for_stream(served: Served) -> tuple[asyncio.Task[list[bytes]], asyncio.Event, Exchange, list[bytes]]:
    """A client that reads as it comes: its task, what says that something came, its exchange, and what it has."""
    came, pieces = asyncio.Event(), []

    async def read() -> list[bytes]:
        async with served.client.stream("POST", served.url("v1/chat/completions"), json=STREAMED) as response:
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                came.set()
        return pieces

    return asyncio.create_task(read()), came, await served.line.next(), pieces


async def test_a_part_of_a_reply_goes_over_before_the_rest_is_there(served: Served) -> None:
    reading, came, exchange, pieces = await ask_for_stream(served)
    exchange.passage.add(HEAD, b"data: 1\n\n")
    await came.wait()
    assert pieces[-1] == b"data: 1\n\n"
    await asyncio.sleep(0.3)  # several pauses: between the pieces of a reply nothing of ours goes over
    exchange.settle(Answer(200, b"data: 1\n\ndata: [DONE]\n\n", "text/event-stream"))
    assert b"".join(await reading).replace(b": keep-alive\n\n", b"") == b"data: 1\n\ndata: [DONE]\n\n"
    assert b"1\n\n: keep-alive" not in b"".join(pieces)
    assert await exchange.delivered


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_reply_of_which_no_more_will_come_is_broken_off(served: Served, version: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    body = json.dumps(STREAMED).encode()
    head = f"POST /s/{TOKEN}/v1/chat/completions HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    exchange = await served.line.next()
    exchange.passage.add(HEAD, b"data: 1\n\n")
    assert b"1" in await reader.readuntil(b"data: 1\n\n")
    exchange.settle(Answer(502, b"it broke off"))
    try:
        left = await reader.read()
    except ConnectionResetError:
        left = b"reset"
    assert left == (b"\r\n" if version == "1.1" else b"reset"), (
        "neither the end of a body nor an error that looks whole"
    )
    assert await exchange.delivered is False
    writer.close()


async def test_what_waits_for_a_client_that_is_gone_goes_to_the_one_that_asks_again(served: Served) -> None:
    first, _, gone, _ = await ask_for_stream(served)
    first.cancel()
    assert not await gone.delivered
    gone.passage.add(HEAD, b"data: 1\n\n")
    assert not gone.has_part, "nobody had it"
    reading, came, exchange, _ = await ask_for_stream(served)
    exchange.passage.take_over(gone.passage)
    await came.wait()
    assert exchange.has_part
    exchange.settle(Answer(200, b"data: 1\n\n", "text/event-stream"))
    assert b"data: 1\n\n" in b"".join(await reading)


async def test_embeddings_are_a_request_that_can_be_held(served: Served) -> None:
    asking = asyncio.create_task(served.ask({"model": "e", "input": [1, 2, 3]}, "v1/embeddings"))
    exchange = await served.line.next()
    assert [unit.value for unit in exchange.request.units] == [[1, 2, 3]]
    while not exchange.begun:
        await asyncio.sleep(0.02)
    exchange.settle(Answer(200, b'{"data": []}'))
    assert (await asking).json() == {"data": []}
    assert served.line.passed == []
