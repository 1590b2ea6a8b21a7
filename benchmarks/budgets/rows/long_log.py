"""Long logs: opening one, the tail of a long session, leaving it and coming back, and memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.budgets.controls import EMPTY
from benchmarks.budgets.figures import Figure, listed, median
from benchmarks.budgets.long_logs import make_log
from benchmarks.budgets.machine import Contention
from benchmarks.budgets.pty_program import Program
from benchmarks.budgets.rows.stream import APP

ESCAPE: Final = "\x1b"
TOOLONG: Final = "APOLLO_BENCH_TOOLONG"


MANY: Final = "a log of 1,000,000 events, 1,000 sessions: CPU until all is at rest, against an empty one"


def opening(folder: Path, quick: bool) -> Iterator[Figure]:
    """1,000,000 events against a log without any: to the board, of 100 sessions; until it rests, of 1,000."""
    few, many, empty = (folder / f"{name}.sqlite" for name in ("hundred", "thousand", "empty"))
    make_log(few, 100, 10_000)
    make_log(many, 1_000, 1_000)
    make_log(empty, 1, 10)
    busy = Contention([])
    found: dict[Path, list[tuple[float, float]]] = {few: [], many: [], empty: []}
    for _ in range(1 + (3 if quick else 9)):
        for log, runs in found.items():
            runs.append(_open(log))
    first, rest = ({log: [run[at] for run in runs[1:]] for log, runs in found.items()} for at in (0, 1))
    ratio = median(first[few]) / median(first[empty])
    raw = f"{listed(first[few])} against {listed(first[empty])} CPU-s to the board"
    yield Figure(
        "opening a log of 1,000,000 events, CPU, against an empty one", ratio, "×", 1.3, None, raw, busy.percent()
    )
    ratio = median(rest[many]) / median(rest[empty])
    raw = f"{listed(rest[many])} against {listed(rest[empty])} CPU-s; with 100 sessions: {listed(rest[few])}"
    yield Figure(MANY, ratio, "×", 2.5, 1.5, raw, busy.percent())


def tail(folder: Path, quick: bool) -> Iterator[Figure]:
    """A session of 100,000 events: opened at its tail, left, and opened again."""
    log = folder / "long.sqlite"
    make_log(log, 1, 100_000)
    opened, returned = [], []
    busy = Contention([])
    for _ in range(3 if quick else 9):
        with Program([*APP, "--log", str(log), "--read-only"]) as program:
            program.until("long-001")
            program.settle(1.0)
            before = program.cpu()
            program.send("\r")
            program.settle(1.0)
            opened.append(program.cpu() - before)
            before = program.cpu()
            program.send(ESCAPE)
            program.settle(0.5)
            program.send("\r")
            program.settle(0.5)
            returned.append(program.cpu() - before)
    other = busy.percent()
    yield Figure("a session of 100,000 events at its tail, CPU", median(opened), " s", 0.3, None, listed(opened), other)
    yield Figure("leaving and returning to it, CPU", median(returned), " s", 0.1, None, listed(returned), other)
    yield from _against_toolong(log, folder, 3 if quick else 5)


def _against_toolong(log: Path, folder: Path, runs: int) -> Iterator[Figure]:
    """From the command to the end of the same events: in the app, and as JSON lines in a log viewer."""
    toolong = os.environ.get(TOOLONG)
    if not toolong:
        print(f"| the same session against toolong: set {TOOLONG} to its command | | | | | | |", flush=True)
        return
    lines = folder / "long.jsonl"
    with closing(sqlite3.connect(log)) as connection, lines.open("w") as file:
        file.writelines(f"{body}\n" for (body,) in connection.execute("SELECT body FROM events ORDER BY id"))
    app, peer = [], []
    busy = Contention([])
    for _ in range(runs + 1):
        with Program([*APP, "--log", str(log), "--read-only"]) as program:
            program.until("long-001")
            program.send("\r")
            program.settle(1.0)
            app.append(program.cpu())
        with Program([toolong, str(lines)]) as program:
            program.settle(2.0)
            peer.append(program.cpu())
    ratio = median(app[1:]) / median(peer[1:])
    raw = f"{listed(app[1:])} against {listed(peer[1:])} CPU-s, start included"
    yield Figure("that session against toolong on the same events, CPU", ratio, "×", None, None, raw, busy.percent())


def memory(folder: Path, quick: bool) -> Iterator[Figure]:
    """16 sessions × 10,000 events: all on the board, then four of them opened one after another."""
    log = folder / "sixteen.sqlite"
    make_log(log, 16, 10_000)
    busy = Contention([])
    with Program([*APP, "--log", str(log), "--read-only"]) as program:
        program.until("long-016")
        program.settle(2.0)
        program.type(":", "panes 16", "\r", pause=0.4)
        program.settle(1.0)
        board = program.rss()
        for number in "1234":
            program.type(number, "\r", pause=0.5)
            program.settle(1.0)
            program.type("g", pause=0.5)
            program.settle(1.0)
            program.type(ESCAPE, pause=0.5)
        visited = program.rss()
    with Program(EMPTY) as program:
        program.until("painted")
        program.settle(1.0)
        empty = program.rss()
    raw = (
        f"{board:.0f} MB with 16 panes; {visited:.0f} MB after four sessions were read from end to start; "
        f"{empty:.0f} MB an empty app"
    )
    above = max(board, visited) - empty
    yield Figure(
        "memory, 16 sessions × 10,000 events, above an empty Textual app", above, " MB", 45, 30, raw, busy.percent()
    )


def _open(log: Path) -> tuple[float, float]:
    with Program([*APP, "--log", str(log), "--read-only"]) as program:
        program.until("long-001")
        first = program.cpu()
        program.settle(1.0)
        return first, program.cpu()
