"""Inside a space without a network: carries connections to a port of 127.0.0.1 over one unix socket that is bound in.

So a harness with the network off reaches its model endpoint, and nothing else. Stdlib only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Final

from sessions.processes import Identity

CHUNK: Final = 64 * 1024
READY: Final = b"ready\n"


async def carry(port: int, path: str) -> None:
    """Listen on ``port``, say so on standard output, and carry every connection to the unix socket ``path``."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(path)
        except OSError:
            writer.close()  # nobody serves there: the client hears that the line is closed
            return
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", port)
    os.write(1, READY)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    async with server:
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on until the end, and then the end."""
    with contextlib.suppress(ConnectionError, OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            return
    writer.close()


def main(port: str, path: str, who: Identity | None = None) -> None:
    """Carry until the space ends."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(carry(int(port), path))
