"""With the network off a program inside reaches its endpoint, here a plain HTTP echo, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from tool_testbed import Bench

from sessions.containment import bubblewrap
from sessions.containment.choice import works_here
from sessions.containment.errors import SpaceError
from sessions.containment.session_spaces import session_space
from sessions.containment.spaces import BubblewrapSpace, Touchable
from sessions.events import Containment
from sessions.jobs.manager import JobManager

ASK = """python3 -c "
import urllib.request
print(urllib.request.urlopen(urllib.request.Request('http://127.0.0.1:{port}/v1', data=b'x' * {size})).read().decode())
" 2>&1"""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    body = await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    writer.close()


async def test_a_relay_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "START_SECONDS", 0.3)
    monkeypatch.setattr(BubblewrapSpace, "helper", lambda *_, **__: ["sleep", "1048"])
    space = BubblewrapSpace(tmp_path, Touchable(write=(), network="off", endpoint=1))
    async with asyncio.timeout(20):
        with pytest.raises(SpaceError, match="the endpoint's port 1 cannot be had"):
            await asyncio.to_thread(space._start_relay, 1)


@pytest.mark.parametrize("kind", ["bwrap", "landlock"])
async def test_a_program_reaches_its_endpoint_with_the_network_off(kind: str, tmp_path: Path) -> None:
    if works_here()[kind]:
        pytest.skip(f"{kind} does not work here: {works_here()[kind]}")
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as free:
        port, closed = free.getsockname()[1], other.getsockname()[1]
        free.close()
        bench = Bench.at(tmp_path)
        space = session_space(Containment(inside=kind), bench.folder, bench.workspace, endpoint=port)
        bench.jobs = JobManager(bench.folder, space=space)
        await space.open()
        if isinstance(space, BubblewrapSpace):
            server = await asyncio.start_unix_server(echo, sock=space.bind_endpoint())
        else:
            server = await asyncio.start_server(echo, "127.0.0.1", port)
        try:
            for size in (3, 200_000):
                got = await bench.do("run", command=ASK.format(port=port, size=size))
                assert got.data["exit_code"] == 0 and got.data["output_bytes"] == size + 1, got.output[-300:]
            refused = await bench.do("run", command=ASK.format(port=closed, size=3))
            assert refused.data["exit_code"] != 0
        finally:
            server.close()
            await bench.jobs.kill_all(grace=0.5)
            await space.close()
