"""``python -m benchmarks.containment.cost``: what a prefix adds to a command, against one that nothing contains."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.containment.scene import LIMITS
from sessions.containment.choice import LOCAL, works_here
from sessions.containment.session_spaces import session_space
from sessions.events import Containment
from sessions.jobs.manager import JobManager
from sessions.tools.command_env import command_env

ROUNDS: Final = 40
MUST_MS: Final = 25.0


async def measure(kinds: list[str]) -> dict[str, list[float]]:
    """Milliseconds from the start of ``true`` to its end being known, round by round, kinds in turn."""
    seen: dict[str, list[float]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        spaces = {}
        for kind in kinds:
            own, workspace = Path(folder) / kind / "own", Path(folder) / kind / "workspace"
            own.mkdir(parents=True)
            workspace.mkdir()
            space = session_space(Containment(inside=kind, limits=LIMITS), own, workspace)
            await space.open()
            spaces[kind] = (JobManager(own, space=space), workspace)
        for _ in range(ROUNDS):
            for kind, (jobs, workspace) in spaces.items():
                began = time.perf_counter()
                job = await jobs.start(jobs.next_number(), "true", workspace, command_env(os.environ, workspace))
                await jobs.wait(job)
                seen[kind].append((time.perf_counter() - began) * 1000)
        for jobs, _ in spaces.values():
            await jobs.space.close()
    return seen


def main() -> None:
    """Print medians, and what is added to that of ``none``."""
    kinds = ["none", *(kind for kind in LOCAL if not works_here()[kind])]
    seen = asyncio.run(measure(kinds))
    base = statistics.median(seen["none"])
    for kind, times in seen.items():
        middle = statistics.median(times)
        print(f"{kind:<9} {middle:6.1f} ms a command, {middle - base:+6.1f} ms ({middle / base:.2f}×)")


if __name__ == "__main__":
    main()
