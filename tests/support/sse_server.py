"""A real local HTTP server that speaks both model streams, from a script. Standard library only.

In a test (same event loop)::

    from sse_script import Fault, Turn, in_order
    from sse_server import ScriptedServer

    async with ScriptedServer(in_order(Turn(text="hi"), Turn(calls=(("run", '{"command": "ls"}'),)))) as server:
        ...                       # base_url=server.openai_url or server.anthropic_url
        server.requests           # every request received: path, headers, body (bytes), json, attempt, answered

Turn N of a script answers a history that holds N replies, so a request that is sent again gets the same reply, and a
host that was killed goes on where it was. Call ids, usage and signatures are functions of the request as well. Faults
of a turn befall the first attempts at the same body; they are counted in this process.

What a strict server refuses is refused: 400 for a history with malformed arguments, with calls that have no result,
with empty turns, with altered signatures (``strict=False`` turns that off); 401 without ``key``, if one is given.

In a process of its own (for tests that kill things)::

    python tests/support/sse_server.py --script SCRIPT.json [--record FILE] [--port N] [--key KEY]

It prints one line, ``{"url": "http://127.0.0.1:PORT", "pid": …}``, and runs until SIGTERM or until its stdin closes.
``--record`` appends one JSON line per request: path, attempt, turn, answered, sha256 and body (text). The script's form
is described at ``sse_script.from_json``. From Python: ``with server_process(script, record) as url:``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import sse_anthropic
import sse_openai
from sse_script import Fault, Received, Script, from_file

APIS: dict[str, ModuleType] = {sse_openai.PATH: sse_openai, sse_anthropic.PATH: sse_anthropic}


class ScriptedServer:
    """See the module."""

    def __init__(
        self,
        script: Script,
        *,
        key: str | None = None,
        strict: bool = True,
        port: int = 0,
        on_request: Callable[[Received], None] | None = None,
        keep: bool = True,
    ) -> None:
        """``keep``: remember every request, in ``requests``; a server that answers for days cannot."""
        self.script = script
        self.key = key
        self.strict = strict
        self.requests: list[Received] = []
        self.open_connections = 0
        self._port = port
        self._on_request = on_request
        self._keep = keep
        self._attempts: Counter[bytes] = Counter()
        """By the hash of the body."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 26)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        return self.url

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        place = hashlib.sha256(body).digest()
        self._attempts[place] += 1
        request = Received(path, headers, body, self._attempts[place])
        api = APIS.get(path)
        refusal = self._refusal(request, api)
        if refusal is not None:
            status, message = refusal
            await self._answer(writer, request, status, (api or sse_openai).error_body(status, message))
            return
        assert api is not None
        turn = self.script(request)
        fault = turn.faults[request.attempt - 1] if request.attempt <= len(turn.faults) else Fault()
        if fault.status:
            error = api.error_body(fault.status, fault.message or f"scripted {fault.status}")
            await self._answer(writer, request, fault.status, error, dict(fault.headers))
        elif fault.body:
            await self._answer(writer, request, 200, fault.body)
        else:
            await self._stream(writer, reader, request, fault, list(api.stream(turn, request)), turn.pause, api)

    def _refusal(self, request: Received, api: ModuleType | None) -> tuple[int, str] | None:
        """Status and message for what no script may answer."""
        if api is None:
            return 404, f"no such path: {request.path}"
        keys = (request.headers.get("x-api-key"), request.headers.get("authorization", "").removeprefix("Bearer "))
        if self.key and self.key not in keys:
            return 401, f"invalid key: {keys[0] or keys[1]}"
        problem = api.problem(request.json) if self.strict else ""
        return (400, problem) if problem else None

    async def _answer(
        self,
        writer: asyncio.StreamWriter,
        request: Received,
        status: int,
        body: dict[str, Any] | str,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._record(request, str(status))
        kind = "application/json" if not isinstance(body, str) or body.startswith("{") else "text/html"
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        lines = {"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close", **(headers or {})}
        writer.write(_head(status, lines) + data)
        await writer.drain()

    async def _stream(
        self,
        writer: asyncio.StreamWriter,
        reader: asyncio.StreamReader,
        request: Received,
        fault: Fault,
        events: list[str],
        pause: float,
        api: ModuleType,
    ) -> None:
        broken = fault.stall or fault.cut or ("middle" if fault.error else "")
        kind = "stall" if fault.stall else "cut" if fault.cut else "error" if fault.error else "reply"
        self._record(request, kind)
        if broken != "head":
            writer.write(
                _head(200, {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"})
            )
            await writer.drain()
        shown = {"": len(events), "head": 0, "open": 0, "middle": max(1, len(events) * 2 // 3)}[broken]
        for event in events[:shown]:
            if pause:
                await asyncio.sleep(pause)
            writer.write(_chunk(event))
            await writer.drain()
        if fault.error:
            writer.write(_chunk(api.error_event(fault.error)))
        if fault.stall:
            await reader.read()  # until the client gives up
        elif fault.cut:
            writer.transport.abort()
        else:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    def _record(self, request: Received, answered: str) -> None:
        request = replace(request, answered=answered)
        if self._keep:
            self.requests.append(request)
        if self._on_request:
            self._on_request(request)


@contextlib.contextmanager
def server_process(script: Path, record: Path | None = None, *extra: str) -> Iterator[str]:
    """The server in a process of its own; yields its URL, and ends it after."""
    command = [sys.executable, __file__, "--script", str(script), *extra]
    if record:
        command += ["--record", str(record)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunk(text: str) -> bytes:
    data = text.encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _recorder(path: Path) -> Callable[[Received], None]:
    def record(request: Received) -> None:
        if not request.body:  # a look at the list of models is no turn
            return
        line = {
            "path": request.path,
            "attempt": request.attempt,
            "turn": request.turn,
            "answered": request.answered,
            "sha256": hashlib.sha256(request.body).hexdigest(),
            "body": request.body.decode(errors="replace"),
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    return record


async def _main(arguments: argparse.Namespace) -> None:
    recorder = _recorder(arguments.record) if arguments.record else None
    script = from_file(arguments.script)
    options = {"key": arguments.key, "port": arguments.port, "on_request": recorder, "keep": False}
    async with ScriptedServer(script, **options) as server:
        print(json.dumps({"url": server.url, "pid": os.getpid()}), flush=True)
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, over.set)
        waiting = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        waiting.add_done_callback(lambda _: over.set())
        await over.wait()
        # The thread that reads stdin cannot be cancelled, and nothing is left to be done.
        os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted model server on loopback.")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key")
    asyncio.run(_main(parser.parse_args()))
