"""While sixteen sessions stream: the app's CPU, a key's way to the screen, and bytes to the terminal."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.budgets.controls import EMPTY
from benchmarks.budgets.figures import Figure, listed, median, percentile
from benchmarks.budgets.load import Load, start_host, stop_host, streaming
from benchmarks.budgets.machine import Contention
from benchmarks.budgets.pty_program import Gone, Program

APP: Final = [sys.executable, "-P", "-m", "apollo_tui"]
UNPAINTED: Final = [sys.executable, "-m", "benchmarks.budgets.controls.no_paint_app"]
LETTERS: Final = [chr(code) for code in range(0x100, 0x17F)]
"""What is typed: letters that no model says, so that an echo is known when it is seen."""
LINE: Final = 60
KEY_WAIT: Final = 3.0


def cpu(folder: Path, quick: bool) -> Iterator[Figure]:
    """16 panes without keys."""
    seconds, runs = (12, 2) if quick else (30, 5)
    with streaming(folder) as load:
        shares, bytes_, others, rates = [], [], [], []
        for _ in range(runs):
            rates.append(load.received())
            with app(load, 16) as program:
                share, rate, other = _watch(program, load, seconds)
            shares.append(share)
            bytes_.append(rate)
            others.append(other)
        raw = f"{listed(shares)} %; {listed(rates)} tokens/s a session; {listed(bytes_)} KB/s; {_yardstick()}"
        yield Figure("16 panes × 50 tokens/s: CPU of a core, no keys", median(shares), " %", 8, 6, raw, median(others))


def keys(folder: Path, quick: bool) -> Iterator[Figure]:
    """Key to paint, against the app that does not paint its panes. Runs of both alternate."""
    count, runs = (150, 3) if quick else (500, 5)
    painted: list[list[float]] = []
    control: list[list[float]] = []
    others = []
    with streaming(folder) as load:
        rate = load.received()
        for _ in range(runs):
            for found, unpainted in ((control, True), (painted, False)):
                with app(load, 16, unpainted=unpainted) as program:
                    busy = Contention([program.pid, *load.pids])
                    found.append(latencies(program, count))
                    others.append(busy.percent())
    tops = [[percentile(run, 0.99) for run in side] for side in (painted, control)]
    middles = [median(percentile(run, 0.5) for run in side) for side in (painted, control)]
    worst = [max(max(run) for run in side) for side in (painted, control)]
    raw = (
        f"p99 {listed(tops[0])} against {listed(tops[1])} ms; p50 {middles[0]:.1f} against {middles[1]:.1f}; "
        f"max {worst[0]:.0f} against {worst[1]:.0f}; {runs} runs of {count} keys; {rate:.0f} tokens/s a session"
    )
    ratio = median(tops[0]) / median(tops[1])
    yield Figure("key to paint under that load, p99, against no painting", ratio, "×", 1.6, 1.3, raw, median(others))


def bytes_to_terminal(folder: Path, quick: bool) -> Iterator[Figure]:
    """4 panes, 16 panes, slow-link mode, and an idle screen."""
    seconds, runs = (10, 2) if quick else (20, 5)
    with streaming(folder) as load:
        for what, panes, slow, must, aim in (
            ("bytes to the terminal, 4 panes", 4, False, 30, 15),
            ("bytes to the terminal, 16 panes", 16, False, 50, 25),
            ("bytes to the terminal, slow-link mode", 16, True, 5, 2.5),
        ):
            rates, others = [], []
            for _ in range(runs):
                with app(load, panes, slow=slow) as program:
                    _, rate, other = _watch(program, load, seconds)
                rates.append(rate)
                others.append(other)
            yield Figure(what, median(rates), " KB/s", must, aim, listed(rates), median(others))
        stop_host(load.log)
        start_host(load.log)
        idle = 30 if quick else 60
        with app(load, 16) as program:
            program.settle(2, 20)
            busy = Contention([program.pid, *load.pids])
            before = program.bytes
            program.pump(idle)
            rate = (program.bytes - before) / idle
            yield Figure(
                f"idle for {idle} s, 16 sessions", rate, " B/s", 10, 5, f"{program.bytes - before} B", busy.percent()
            )


def _yardstick() -> str:
    """What says how fast this machine is now: a share of a core means little without it."""
    starts = []
    for _ in range(3):
        with Program(EMPTY) as program:
            program.until("painted")
            starts.append(program.cpu())
    return f"an empty Textual app starts in {median(starts):.3f} CPU-s here"


@contextmanager
def app(load: Load, panes: int, *, unpainted: bool = False, slow: bool = False) -> Iterator[Program]:
    """The app on the load's log, with so many panes, at rest after its start."""
    command = [*UNPAINTED, str(load.log)] if unpainted else [*APP, "--log", str(load.log)]
    with Program(command) as program:
        program.until("stream-16")
        program.pump(2.0)
        program.type(":", f"panes {panes}", "\r", pause=0.4)
        if slow:
            program.type(":", "slow on", "\r", pause=0.4)
        program.pump(2.0)
        yield program


def _watch(program: Program, load: Load, seconds: float) -> tuple[float, float, float]:
    """CPU percent, KB/s and other load over ``seconds``."""
    busy = Contention([program.pid, *load.pids])
    before, written, began = program.cpu(), program.bytes, time.monotonic()
    program.pump(seconds)
    passed = time.monotonic() - began
    return 100 * (program.cpu() - before) / passed, (program.bytes - written) / 1000 / passed, busy.percent()


def latencies(program: Program, count: int, field: str = "i") -> list[float]:
    """Milliseconds from a letter, typed into the field that the key ``field`` opens, to its bytes at the terminal;
    letters come at uneven times."""
    chance = random.Random(count)
    program.type(field, pause=1.0)
    found: list[float] = []
    for at in range(count):
        if at % LINE == 0 and at:
            program.type("\x15", pause=0.6)  # empties the line
        letter = LETTERS[at % len(LETTERS)].encode()
        began = time.monotonic()
        program.send(letter)
        if not program.pump(KEY_WAIT, partial(_holds, letter)):
            raise Gone(f"key {at} was not painted in {KEY_WAIT:.0f} s: {program.tail[-300:]!r}")
        found.append(1000 * (time.monotonic() - began))
        program.pump(chance.uniform(0.02, 0.12))
    return found


def _holds(letter: bytes, seen: bytes) -> bool:
    return letter in seen
