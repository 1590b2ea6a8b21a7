"""A process that does units: each from its spec to ``result.json`` beside it, with a host and a server of its own.

It is told the files line by line on stdin, and ends when there are no more. A unit that was cut off goes on where it
was, if its knobs are still the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.supervision import rollouts
from benchmarks.supervision.chain import World, plain
from benchmarks.supervision.results import Result, Spec
from benchmarks.supervision.unit import Unit
from sessions.host import protocol
from sessions.host.client import call_once, wait_for_stop
from sessions.log.reader import LogReader
from sessions.paths import LogPaths, log_paths


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The models of the unit, served by a process of their own; gives the address."""
    command = [sys.executable, "-m", "benchmarks.supervision.serve", str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the model server did not start")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def stopped_after(paths: LogPaths) -> Iterator[None]:
    """Stop the host of the unit at the end, whatever happens."""
    try:
        yield
    finally:
        if paths.lock.exists():
            call_once(paths, protocol.StopHost(by="benchmark", at_boundary=False), actor=rollouts.ACTOR, start=False)
            wait_for_stop(paths)


def run(spec: Spec) -> Result:
    """Do the unit in its folder, or what is left of it to do."""
    from benchmarks.supervision.tiny_model import make_base

    folder = Path(spec.folder)
    begun = folder / "begun.json"
    asked = msgspec.json.encode(spec)
    if not begun.exists() or begun.read_bytes() != asked:
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("tasks", "models"):
            (folder / name).mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"shape": plain(spec.shape), "world": spec.seed}))
        make_base(World(spec.shape, spec.seed), spec.base, folder / "models" / "base")
        begun.write_bytes(asked)
    paths = log_paths(folder / "apollo.db")
    paths.prepare()

    async def inside(url: str) -> Result:
        async with rollouts.desk(paths) as at:
            return await Unit(spec, at, url).run()

    with server(folder) as url, stopped_after(paths):
        result = asyncio.run(inside(url))
    with LogReader(paths.log) as reader:
        print(f"seed {spec.seed}: {len(reader.summaries())} sessions, {reader.position():,} events", file=sys.stderr)
    return result


class Orders:
    """The files that stdin names, one after the other. Whoever gives them lives as long as there is a unit to do."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._busy = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[Path]:
        while line := self._lines.get():
            self._busy.set()
            yield Path(line.strip())

    def done(self) -> None:
        """The unit is done; what comes next may be the end."""
        self._busy.clear()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put("")
        if self._busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)  # nobody waits for the result, and another run may begin


def main() -> None:
    """Do the units that stdin names."""
    # Ended from outside, it still stops its own host and server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    orders = Orders()
    for file in orders:
        result = run(msgspec.json.decode(file.read_bytes(), type=Spec))
        part = file.with_name("result.part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
        orders.done()
        part.replace(file.with_name("result.json"))


if __name__ == "__main__":
    main()
