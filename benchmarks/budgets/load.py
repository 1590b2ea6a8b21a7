"""Sixteen sessions of a real host whose models stream at a steady rate from a scripted server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.budgets.pty_program import ROOT
from sessions.events import ModelSpec
from sessions.host import protocol
from sessions.host.client import HostClient, ensure_host, host_status
from sessions.paths import LogPaths, log_paths

SESSIONS: Final = 16
RATE: Final = 50
"""Tokens a second and session."""
TOKEN: Final = 5
"""Characters of a token, as the scripted server cuts its text."""
PACE: Final = 0.0168
"""Seconds before each token: a sleep of asyncio lasts a little longer than it is told to."""
TURNS: Final = 12
TEXT: Final = (
    "the loss is still above two so I will look at the schedule first and then run a shorter trial with warmup "
    "before changing anything else in train.py because evaluate() reads metrics from results/run_3.json and a batch "
    "size of 64 fits; otherwise gradient accumulation over eight micro batches keeps memory below the limit"
)


@dataclass(frozen=True, slots=True)
class Load:
    """A log whose host streams."""

    log: Path
    paths: LogPaths
    sessions: tuple[str, ...]
    host: int
    server: int

    @property
    def pids(self) -> tuple[int, int]:
        """The processes that make the load."""
        return self.host, self.server

    def received(self, seconds: float = 4.0) -> float:
        """Tokens a second and session that reach a client now, counted at a socket of its own."""
        return asyncio.run(_count(self.paths, seconds)) / TOKEN / seconds / len(self.sessions)


@contextlib.contextmanager
def streaming(folder: Path, sessions: int = SESSIONS) -> Iterator[Load]:
    """A host with ``sessions`` that stream; all of it is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["APOLLO_CONFIG"] = str(folder / "no-config.toml")
    script = folder / "script.json"
    script.write_text(json.dumps({f"m{n}": {"turns": _turns(n)} for n in range(1, sessions + 1)}))
    paths = log_paths(folder / "stream.sqlite")
    with _server(script) as (url, server):
        try:
            made = asyncio.run(_create(paths, url, sessions))
            status = host_status(paths)
            assert status is not None
            load = Load(paths.log, paths, made, status.pid, server)
            _wait_for_flow(load)
            yield load
        finally:
            stop_host(paths.log)


def stop_host(log: Path) -> None:
    """Stop the host of ``log``; its sessions are held."""
    subprocess.run(
        [sys.executable, "-P", "-m", "apollo_tui", "--log", str(log), "host", "stop", "--now", "--quiet"],
        cwd=ROOT,
        check=False,
        timeout=60,
    )


def start_host(log: Path) -> None:
    """Start a host: what was held stays held."""
    asyncio.run(ensure_host(log_paths(log)))


@contextlib.contextmanager
def _server(script: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, str(ROOT / "tests/support/sse_server.py"), "--script", str(script)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
    finally:
        process.terminate()
        process.wait(10)


async def _create(paths: LogPaths, url: str, sessions: int) -> tuple[str, ...]:
    await ensure_host(paths)
    client = await HostClient.connect(paths, actor="human:bench")
    made = []
    for number in range(1, sessions + 1):
        params = protocol.CreateSession(
            request=uuid.uuid4().hex,
            title=f"stream-{number:02}",
            task="Stream.",
            model=ModelSpec(provider="openai", name=f"m{number}", base_url=f"{url}/v1", context_tokens=1_000_000),
            key="bench",
        )
        made.append((await client.call(params)).session)
        await asyncio.sleep(0.15)  # so that their replies do not all end at once
    await client.close()
    return tuple(made)


async def _count(paths: LogPaths, seconds: float) -> int:
    client = await HostClient.connect(paths, actor="human:bench")
    await client.call(protocol.Subscribe(deltas=("*",)))
    chars = 0
    try:
        async with asyncio.timeout(seconds):
            async for note in client.notifications():
                if isinstance(note, protocol.DeltaFrame):
                    chars += len(note.text)
    except TimeoutError:
        pass
    finally:
        await client.close()
    return chars


def _wait_for_flow(load: Load, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while load.received(2.0) < RATE * 0.6:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the host streams less than {RATE * 0.6:.0f} tokens/s a session: is the machine busy?")


def _turns(seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [_turn(chance, turn) for turn in range(TURNS)]


def _turn(chance: random.Random, turn: int) -> dict[str, Any]:
    items = [{"text": _words(chance, 5), "status": "done"}, {"text": _words(chance, 5), "status": "doing"}]
    return {
        "reasoning": _words(chance, chance.randint(60, 140)),
        "text": "\n\n".join(_words(chance, chance.randint(60, 120)) for _ in range(chance.randint(1, 3))),
        "calls": [{"name": "plan", "arguments": {"items": items}}],
        "pause": PACE,
        "chunk": TOKEN,
    }


def _words(chance: random.Random, count: int) -> str:
    words = TEXT.split()
    return " ".join(chance.choice(words) for _ in range(count)) + "."
