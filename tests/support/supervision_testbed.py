"""The supervision benchmark for tests: a real host in this process, and models that need no torch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from host_in_process import paths_in

from benchmarks.supervision.chain import Shape, World, plain
from benchmarks.supervision.rollouts import Desk, desk
from benchmarks.supervision.serve import Models, serve
from sessions.host import protocol
from sessions.host.api_keys import KeyRing
from sessions.host.lifecycle import Host
from sessions.host.main import runner_factory

SHAPE = Shape(stages=2, budget=8, keys=2, clues=3, choices=4, errors=2, job_share=0.3)
WORLD = World(SHAPE, 5)


def models(folder: Path) -> Models:
    """The expert, and ``base``, to whom all actions are alike."""
    (folder / "run.json").write_text(json.dumps({"shape": plain(SHAPE), "world": WORLD.seed}))
    made = Models(folder)

    def alike(ids: Sequence[int]) -> Sequence[float]:
        return [0.0] * len(made.words.all)

    made._known["base"] = alike
    return made


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[tuple[Desk, str]]:
    """A desk at a host, and the address of the models."""
    host = Host(paths_in(folder), runner_factory, keys=KeyRing(folder / "no-keys"), login="")
    running = asyncio.create_task(host.run())
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(models(folder), port.set_result))
    (folder / "tasks").mkdir()
    try:
        await asyncio.wait_for(host.ready.wait(), 20)
        async with desk(host.paths, start=False) as at:
            yield at, f"http://127.0.0.1:{await port}/v1"
    finally:
        serving.cancel()
        host.stop(protocol.StopHost(timeout=2), "test")
        await asyncio.wait_for(running, 20)
