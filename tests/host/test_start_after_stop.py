from __future__ import annotations

import asyncio
from pathlib import Path

from apollo_process import Apollo

from sessions.host import lock, spawn
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
