"""Inspect's attachable TUI on a mock evaluation that waits: what its first screen costs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

TASK: Final = """
import asyncio
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.solver import solver


@solver
def waits():
    async def solve(state, generate):
        await asyncio.sleep(600)
        return state
    return solve


@task
def bench_peer():
    return Task(dataset=[Sample(input=str(n), target="x", id=n) for n in range(4)], solver=waits())
"""


@contextlib.contextmanager
def inspect_running(inspect: Path, folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """An evaluation with an ACP server; yields the command and environment of the TUI that attaches to it."""
    home = folder / "inspect"
    home.mkdir()
    (home / "bench_peer.py").write_text(TASK)
    env = {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    command = [str(inspect), "eval", "bench_peer.py", "--model", "mockllm/model", "--acp-server", "--display", "none"]
    process = subprocess.Popen(
        command, cwd=home, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(25)  # it says nowhere when its server listens
        yield [str(inspect), "acp"], env
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
