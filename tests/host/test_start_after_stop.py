from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from apollo_process import Apollo
from host_in_process import paths_in

from sessions.host import client, lock, spawn
from sessions.host.client import ensure_host, host_status
from sessions.host.watcher import watch_lock
from sessions.paths import log_paths


async def test_a_host_comes_up_although_the_watcher_of_the_one_before_is_slow_to_go(tmp_path: Path) -> None:
    apollo = Apollo(tmp_path)
    paths = log_paths(apollo.log)
    paths.prepare()
    before = lock.HostLock.acquire(watch_lock(paths), seconds=1)
    starting = asyncio.create_task(ensure_host(paths, seconds=20))
    try:
        async with asyncio.timeout(20):
            while not (spawn._started and spawn._started[-1].poll() is not None):
                await asyncio.sleep(0.01)
        assert not starting.done()
        before.release()
        await starting
        assert await asyncio.to_thread(host_status, paths) is not None
    finally:
        starting.cancel()
        await asyncio.to_thread(apollo.close)


async def test_a_host_that_takes_long_to_open_its_log_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = paths_in(tmp_path)

    class Started:
        def poll(self) -> None:
            """It runs."""

    monkeypatch.setattr(client, "spawn_host", lambda *_: Started())
    opening = lock.HostLock.acquire(paths.lock)
    waiting = asyncio.create_task(client.ensure_host(paths, seconds=0.05))
    ended, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not ended
    listening = await asyncio.start_unix_server(lambda reader, writer: writer.close(), str(paths.socket))
    await asyncio.wait_for(waiting, 10)
    listening.close()
    paths.socket.unlink()
    monkeypatch.setattr(client, "OPEN_SECONDS", 0.05)
    with pytest.raises(client.HostDown, match=rf"the host \(pid {os.getpid()}\) .* not ready"):
        await client.ensure_host(paths, seconds=0.05)
    opening.release()
    with pytest.raises(client.HostDown, match="no host came up"):
        await client.ensure_host(paths, seconds=0.05)
