"""From the command to the first screen: CPU seconds against an empty Textual app, and against Inspect's TUI."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.budgets.controls import EMPTY
from benchmarks.budgets.figures import Figure, listed, median
from benchmarks.budgets.load import start_host, stop_host
from benchmarks.budgets.long_logs import make_log
from benchmarks.budgets.machine import Contention, cpu_seconds
from benchmarks.budgets.peers import inspect_running
from benchmarks.budgets.pty_program import Program
from benchmarks.budgets.rows.stream import APP

INSPECT: Final = "APOLLO_BENCH_INSPECT"


def first_paint(folder: Path, quick: bool) -> Iterator[Figure]:
    """The board with four sessions and a host that runs. The three programs take turns."""
    log = folder / "four.sqlite"
    make_log(log, 4, 400)
    start_host(log)
    runs = 5 if quick else 15
    try:
        app, empty = [], []
        busy = Contention([])
        to_first([*APP, "--log", str(log)], "long-004")
        to_first(EMPTY, "painted")
        for _ in range(runs):
            app.append(to_first([*APP, "--log", str(log)], "long-004"))
            empty.append(to_first(EMPTY, "painted"))
        ratio = median(app) / median(empty)
        raw = f"{listed(app)} against {listed(empty)} CPU-s"
        yield Figure("first paint, CPU, against an empty Textual app", ratio, "×", 1.3, 1.15, raw, busy.percent())
        yield from _against_inspect(log, folder, 2 if quick else 5)
    finally:
        stop_host(log)


def _against_inspect(log: Path, folder: Path, runs: int) -> Iterator[Figure]:
    inspect = os.environ.get(INSPECT)
    if not inspect:
        print(f"| first paint against `inspect acp`: set {INSPECT} to its command | | | | | | |", flush=True)
        return
    with inspect_running(Path(inspect), folder) as (command, env):
        app, peer = [], []
        busy = Contention([])
        to_first(command, "bench_peer", env, seconds=120)
        for _ in range(runs):
            app.append(to_first([*APP, "--log", str(log)], "long-004"))
            peer.append(to_first(command, "bench_peer", env, seconds=120))
    ratio = median(app) / median(peer)
    raw = f"{listed(app)} against {listed(peer)} CPU-s"
    yield Figure("first paint, CPU, against `inspect acp`", ratio, "×", 0.25, None, raw, busy.percent())


def to_first(command: Sequence[str], text: str, env: Mapping[str, str] | None = None, seconds: float = 30) -> float:
    """CPU seconds of a program, its threads and children, until it has painted ``text``."""
    with Program(command, env) as program:
        program.until(text, seconds)
        return max(program.cpu(), cpu_seconds(program.pid))
