"""A local server that says the same to everybody: one answer for each path, over TLS too, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STREAM = 'data: {"choices": [{"index": 0, "delta": {"content": "ok"}}]}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Said:
    """``body``: JSON unless it is a text already. ``silent``: nothing ever comes."""

    body: Any = STREAM
    status: int = 200
    kind: str = "application/json"
    silent: bool = False


TOKEN = Said(STREAM, kind="text/event-stream")


def models(*names: str) -> Said:
    """A list of models as servers give it."""
    return Said({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})


@dataclass
class EndpointServer:
    """Answers by path (``"/v1/models"``), 404 for the others. ``asked``: method, path, headers and body of each."""

    answers: dict[str, Said]
    tls: ssl.SSLContext | None = None
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> EndpointServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL that is right."""
        return f"http{'s' if self.tls else ''}://{self.place}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if not first.isalpha():  # TLS to a plain server, which says at once that it is no request
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            rows = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in rows}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append((method, path, headers, body))
            said = self.answers.get(path.partition("?")[0], Said({"error": {"message": "no such path"}}, 404))
            if said.silent:
                await reader.read()
                return
            data = (said.body if isinstance(said.body, str) else json.dumps(said.body)).encode()
            lines = f"Content-Type: {said.kind}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
            writer.write(f"HTTP/1.1 {said.status} Said\r\n{lines}".encode() + data)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # the client has seen enough
        finally:
            writer.close()


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one file."""
    made = folder / "self-signed.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"),
         "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return made


def server_context(certificate: Path) -> ssl.SSLContext:
    """What a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
