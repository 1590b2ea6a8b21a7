"""``python -m benchmarks.containment.cost``: what a prefix adds to a command, against one that nothing contains.

The two take turns, and what is held against the budget is the middle of their differences: a busy machine is unkind to
both. Exit code 1 where a prefix costs more than it may.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.budgets.figures import HEAD, Figure, median, number, percentile
from benchmarks.budgets.machine import Contention, described
from benchmarks.containment.scene import LIMITS
from sessions.containment.choice import LOCAL, works_here
from sessions.containment.session_spaces import session_space
from sessions.events import Containment
from sessions.jobs.manager import JobManager
from sessions.tools.command_env import command_env

ROUNDS: Final = 40
QUICK_ROUNDS: Final = 15
MUST_MS: Final = {"bwrap": 25.0}
"""What a prefix may add to a command; of the others it is for reading."""


async def measure(kinds: list[str], rounds: int) -> dict[str, list[float]]:
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
        for _ in range(rounds):
            for kind, (jobs, workspace) in spaces.items():
                began = time.perf_counter()
                job = await jobs.start(jobs.next_number(), "true", workspace, command_env(os.environ, workspace))
                await jobs.wait(job)
                seen[kind].append((time.perf_counter() - began) * 1000)
        for jobs, _ in spaces.values():
            await jobs.space.close()
    return seen


def figures_of(seen: dict[str, list[float]], others: float) -> Iterator[Figure]:
    """A row for each prefix, out of what ``measure`` saw beside a load of ``others`` percent."""
    bare = seen["none"]
    for kind in LOCAL:
        if kind in seen:
            times = seen[kind]
            added = [one - control for one, control in zip(times, bare, strict=True)]
            raw = (
                f"{number(median(times))} against {number(median(bare))} ms ({median(times) / median(bare):.2f}×), "
                f"p90 of the differences {number(percentile(added, 0.9))} ms, {len(added)} rounds"
            )
            what = f"a command inside `{kind}`, against a bare one"
            yield Figure(what, median(added), " ms", MUST_MS.get(kind), None, raw, others)


def figures(folder: Path, quick: bool) -> Iterator[Figure]:
    """Measure: a row for each prefix that works here."""
    kinds = ["none", *(kind for kind in LOCAL if not works_here()[kind])]
    load = Contention([])
    seen = asyncio.run(measure(kinds, QUICK_ROUNDS if quick else ROUNDS))
    yield from figures_of(seen, load.percent())


def main() -> int:
    """Print the rows; 1 if one of them misses its budget."""
    print(f"{described()}; {time.strftime('%Y-%m-%d')}\n\n{HEAD}")
    found = list(figures(Path(), quick=False))
    for figure in found:
        print(figure.row())
    return int(any("missed" in figure.verdict for figure in found))


if __name__ == "__main__":
    sys.exit(main())
