"""The socket: removed, crowded, fed with nonsense, and without a file descriptor left."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from host_in_process import HostInProcess, open_host

from sessions.errors import ApolloError
from sessions.host import lifecycle, protocol, server, wire
from sessions.host.client import HostClient
from sessions.host.host_log import Flood
from sessions.host.lock import HostLock
from sessions.paths import log_paths


async def status(host: HostInProcess) -> protocol.HostStatus:
    """What a fresh client is told."""
    client = await host.client()
    return await client.call(protocol.Status())


@pytest.mark.parametrize("what", ["socket", "folder", "other file"])
async def test_a_socket_that_somebody_removed_is_bound_again_and_who_is_connected_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.02)
    long = tmp_path / ("d" * 120)  # so the socket has a folder of its own
    long.mkdir()
    async with open_host(long) as host:
        attached = await host.client()
        host.paths.socket.unlink()
        if what == "folder":
            host.paths.socket.parent.rmdir()
        if what == "other file":
            other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            other.bind(str(host.paths.socket))
            other.close()
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await status(host)).pid == os.getpid()
                    break
                except ApolloError:
                    await asyncio.sleep(0.01)
        assert (await attached.call(protocol.Status())).pid == os.getpid()
        assert host.paths.socket.stat().st_mode & 0o777 == 0o600


async def test_a_hundred_clients_in_one_instant_are_all_served(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        async with asyncio.timeout(60):
            clients = await asyncio.gather(
                *(HostClient.connect(host.paths, actor="human:ada", client="script") for _ in range(100))
            )
            found = await asyncio.gather(*(client.call(protocol.Status()) for client in clients))
        assert len(found) == 100
        await asyncio.gather(*(client.close() for client in clients))


async def raw(host: HostInProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection without our client."""
    return await asyncio.open_unix_connection(str(host.paths.socket), limit=1 << 24)


@pytest.mark.parametrize("place", ["frame", "params"])
async def test_deep_nesting_is_an_answer_and_the_connection_goes_on(tmp_path: Path, place: str) -> None:
    deep = b"[" * 100_000
    line = (
        b'{"id":1,"error":{"data":{"x":' + deep
        if place == "frame"
        else b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"x":' + deep
    )
    if place == "params":
        line += b"]" * 100_000 + b"}}"
    async with open_host(tmp_path) as host:
        reader, writer = await raw(host)
        for _ in range(2):
            writer.write(line + b"\n")
            answer = json.loads(await asyncio.wait_for(reader.readline(), 10))
            assert answer["error"]["message"]
        writer.close()
        assert (await status(host)).pid == os.getpid()


async def test_forty_half_frames_take_no_more_than_their_common_room(tmp_path: Path) -> None:
    size = wire.MAX_REQUEST * 99 // 100
    async with open_host(tmp_path) as host:
        opened = [await raw(host) for _ in range(40)]
        half = b"x" * size

        async def send(writer: asyncio.StreamWriter) -> None:
            writer.write(half)
            await writer.drain()

        async with asyncio.timeout(60):
            await asyncio.gather(*(send(writer) for _, writer in opened))
            for _, writer in opened:
                writer.write(b"\n")
            answers = [json.loads(await reader.readline()) for reader, _ in opened]
        said = [answer["error"]["message"] for answer in answers]
        dropped = [text for text in said if "took all room" in text]
        assert 40 - len(dropped) <= server.HALF_MESSAGES // size
        assert (await status(host)).pid == os.getpid()  # and all room is free again
        for _, writer in opened:
            writer.close()


def test_room_is_given_back() -> None:
    room = wire.Room(10)
    assert room.take(10)
    assert not room.take(1)
    assert room.take(-10)
    assert room.take(3)


async def test_without_a_descriptor_clients_wait_the_log_says_so_once_and_then_they_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "ACCEPT_PAUSE", 0.02)
    async with open_host(tmp_path) as host:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)  # the lowest free descriptor, at which the limit is set
        os.close(lowest)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
            with caplog.at_level(logging.ERROR):
                client.connect(str(host.paths.socket))
                tries = 0

                def count(*_: object) -> None:
                    nonlocal tries
                    tries += 1

                pause = asyncio.get_running_loop().call_later
                monkeypatch.setattr(
                    asyncio.get_running_loop(), "call_later", lambda *more: (count(), pause(*more))[1], raising=False
                )
                async with asyncio.timeout(10):
                    while tries < 10:
                        await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len([record for record in caplog.records if "clients wait" in record.getMessage()]) == 1
        reader, writer = await asyncio.open_unix_connection(sock=client)
        writer.write(b"no json\n")
        assert b"not JSON" in await asyncio.wait_for(reader.readline(), 10)
        writer.close()


def test_a_place_that_floods_the_log_file_is_cut_short_and_counted() -> None:
    now = [0.0]
    flood = Flood(most=3, seconds=60, clock=lambda: now[0])
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "the same %d", (1,), None)
    other = logging.LogRecord("x", logging.ERROR, __file__, 2, "another", (), None)
    assert [flood.left_out(record) for _ in range(5)] == [0, 0, 0, None, None]
    assert flood.left_out(other) == 0
    now[0] = 61
    assert flood.left_out(record) == 2
    assert flood.left_out(record) == 0


def test_a_lock_that_is_a_link_is_refused_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine")
    (tmp_path / "apollo.db.lock").symlink_to(target)
    with pytest.raises(ApolloError, match="is a link, and a lock must be a file"):
        HostLock.acquire(tmp_path / "apollo.db.lock")
    assert target.read_text() == "mine"


def test_a_log_whose_name_is_no_utf_8_is_refused_in_one_line_and_starts_nothing(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    with pytest.raises(ApolloError, match="no name in UTF-8"):
        log_paths(Path(os.fsdecode(folder)) / "apollo.db")
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-P", b"-m", b"apollo_tui", b"--log", folder + b"/apollo.db", b"host", b"start"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is no name in UTF-8: choose another --log" in done.stderr
    assert os.listdir(folder) == []
