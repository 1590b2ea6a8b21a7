"""The row of the workspace: what the colours of source code cost on the first screen of a long file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.budgets.figures import Figure, listed, median
from benchmarks.budgets.machine import Contention
from benchmarks.budgets.pty_program import Program
from benchmarks.budgets.rows.stream import APP
from sessions import events as ev
from sessions.log.writer import LogWriter
from sessions.ulid import new_ulid

LINES: Final = 10_000
MARK: Final = "value_0029"
"""What stands on the first screen of the file."""
FIRST: Final = "a.txt"
"""The file that is shown before."""


def colours(folder: Path, quick: bool) -> Iterator[Figure]:
    """A Python file of 10,000 lines under a name that has colours, against the same under one that has none.

    Each in a fresh process, so that what draws the colours is loaded anew.
    """
    logs = {name: _make_log(folder / name, name) for name in ("code.py", "code.txt")}
    runs = 4 if quick else 12
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in logs}
    busy = Contention([])
    for _ in range(runs + 1):
        for name, log in logs.items():
            found[name].append(_first_screen(log))
    cpu, wall = ([[run[at] for run in found[name][1:]] for name in logs] for at in (0, 1))
    ratio = median(cpu[0]) / median(cpu[1])
    raw = (
        f"{listed(cpu[0])} against {listed(cpu[1])} CPU-s; by the clock "
        f"{median(wall[0]) * 1000:.0f} against {median(wall[1]) * 1000:.0f} ms"
    )
    yield Figure(
        "a 10,000-line file with syntax colours, first screen, CPU, against the same without",
        ratio, "×", 2, None, raw, busy.percent(),
    )  # fmt: skip


def _first_screen(log: Path) -> tuple[float, float]:
    """From the key that goes to the file until its first screen is painted: CPU seconds, and seconds."""
    with Program([*APP, "--log", str(log), "--read-only"]) as program:
        program.until("files-session")
        program.settle(1.0)
        program.send("W")
        program.until("changed since")
        program.settle(0.5)
        program.send("a")
        program.until(FIRST)
        program.settle(1.0)
        before, began = program.cpu(), time.perf_counter()
        program.send("j")
        program.until(MARK)
        painted = time.perf_counter() - began
        program.settle(0.3)
        return program.cpu() - before, painted


def _make_log(folder: Path, name: str) -> Path:
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    (workspace / FIRST).write_text("nothing\n")
    lines = (
        f'value_{at:04} = compute(name="row {at}", scale={at % 7}.5)  # the same again'
        if at % 5
        else f'def compute_{at}(name: str, scale: float) -> float:\n    """Row {at}."""\n    return scale * {at}'
        for at in range(LINES)
    )
    (workspace / name).write_text("\n".join("\n".join(lines).split("\n")[:LINES]) + "\n")
    asyncio.run(_write(folder / "log.sqlite", workspace))
    return folder / "log.sqlite"


async def _write(log: Path, workspace: Path) -> None:
    session, model = new_ulid(), ev.ModelSpec("openai", "m")
    created = ev.SessionCreated(
        number=1, title="files-session", task="t", model=model, workspace=str(workspace), in_place=True
    )
    async with await LogWriter.open(log) as writer:
        await writer.append(ev.NewEvent(session, created), ev.NewEvent(session, ev.StateChanged(state="running")))
