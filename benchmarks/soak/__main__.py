"""``python -m benchmarks.soak [--hours H] [--sessions N]``: two days, as fast as they go, measured at each tenth.

An hour is as many steps as it brings in the field: one every 69 s in each session, 36 of 100 of them polls of a job, 7
malformed. Commands run, their output is of the sizes of real ones, summaries and failed requests are among them; an app
is attached all the time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.budgets.machine import described, resident_mb
from benchmarks.chaos.product import FAULTS, Product
from benchmarks.chaos.victims import find_victims

STEP_SECONDS: Final = 69
"""Between two steps of a session, in 660 archived runs."""
TENTHS: Final = 10
TURNS: Final = 400
"""Different ones of a model."""
TEXT: Final = "the loss is above two so I look at the schedule first and run a shorter trial with warmup"
SIZES: Final = (200, 400, 800, 1_500, 3_000, 6_000, 40_000)
"""Characters of an output; most are short, a few are logs."""
WEIGHTS: Final = (30, 25, 18, 12, 8, 6, 1)
POLLS: Final = 0.36
MALFORMED: Final = 0.066
"""Shares of the actions of 660 archived runs."""
TRAINING: Final = "echo epoch 1; exec sleep 1000000"
"""What each session starts first, and polls."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured once: megabytes, and numbers of descriptors."""

    hours: float
    steps: int
    seconds: float
    host_mb: float
    host_files: int
    app_mb: float
    app_files: int
    wal_mb: float
    log_mb: float

    def row(self) -> str:
        """As a row of the table."""
        return (
            f"| {self.hours:.1f} | {self.steps:,} | {self.seconds:.0f} | {self.host_mb:.0f} | {self.host_files} "
            f"| {self.app_mb:.0f} | {self.app_files} | {self.wal_mb:.1f} | {self.log_mb:.0f} |"
        )


HEAD: Final = """| hours | steps | took s | host MB | host files | app MB | app files | WAL MB | log MB |
|---|---|---|---|---|---|---|---|---|"""
FLAT: Final = {"host_mb": (1.25, 15.0), "host_files": (1.1, 8), "app_mb": (1.25, 25.0), "app_files": (1.1, 8),
               "wal_mb": (1.25, 8.0)}  # fmt: skip
"""The last third may be so many times the second one, and so much more."""


BEGIN: Final[dict[str, Any]] = {
    "text": "I start the training.",
    "calls": [{"name": "run", "arguments": {"command": TRAINING, "background": True}}],
}


def turn(draw: random.Random) -> dict[str, Any]:
    """A step of field size."""
    made: dict[str, Any] = {
        "reasoning": _words(draw, draw.randint(40, 200)),
        "text": _words(draw, draw.randint(5, 60)),
        "calls": [_call(draw)],
        "chunk": 400,
    }
    if draw.random() < 0.02:
        made["faults"] = [draw.choice(FAULTS)]
    return made


def _call(draw: random.Random) -> dict[str, Any]:
    what = draw.random()
    if what < POLLS:
        return {"name": "job_output", "arguments": {"job": 1}}
    if what < POLLS + MALFORMED:
        return {"name": "run", "arguments": {"comand": "ls"}}
    size = draw.choices(SIZES, WEIGHTS)[0]
    return {"name": "run", "arguments": {"command": f"head -c {size} /dev/zero | tr '\\0' x | fold -w 80"}}


def _words(draw: random.Random, count: int) -> str:
    return " ".join(draw.choice(TEXT.split()) for _ in range(count)) + "."


def measure(product: Product, began: float, sessions: int) -> Sample | None:
    """How it stands now; None while host or app is not there."""
    hosts = find_victims(product, "host")
    if not hosts or product.app is None or not product.app.alive:
        return None
    steps = sum(summary.step for summary in product.summaries().values())
    wal = product.paths.log.with_name(product.paths.log.name + "-wal")
    with contextlib.suppress(OSError):
        return Sample(
            steps * STEP_SECONDS / 3600 / sessions, steps, time.monotonic() - began,
            resident_mb(hosts[0]), _files(hosts[0]), resident_mb(product.app.pid), _files(product.app.pid),
            wal.stat().st_size / 1e6 if wal.exists() else 0.0, product.paths.log.stat().st_size / 1e6,
        )  # fmt: skip
    return None


def _files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone


def find_growth(samples: Sequence[Sample]) -> list[str]:
    """What grew from the second third of the run to the last one."""
    third = max(1, len(samples) // 3)
    grown = []
    for name, (times, more) in FLAT.items():
        before = statistics.median(getattr(sample, name) for sample in samples[third : 2 * third] or samples[:third])
        after = statistics.median(getattr(sample, name) for sample in samples[-third:])
        if after > before * times + more:
            grown.append(f"{name} grew from {before:.1f} to {after:.1f}")
    return grown


def soak(folder: Path, hours: float, sessions: int, seed: int) -> tuple[list[Sample], list[str]]:
    """Run it, printing a row at each tenth. Returns what was measured, and what did not hold."""
    draw = random.Random(seed)
    count = max(TENTHS, round(hours * 3600 / STEP_SECONDS))
    # A turn answers a history of so many replies, so that after a summary earlier ones come again: a limit ends it.
    summary = {"text": "So far: the trials ran, the loss fell, the schedule is the next thing to look at."}
    script = {
        f"m{n}": {"turns": [BEGIN, *(turn(draw) for _ in range(min(count, TURNS) - 1))], "summary": summary}
        for n in range(1, sessions + 1)
    }
    product = Product(folder, script)
    samples: list[Sample] = []
    wrong: list[str] = []
    with product.running():
        product.wake()
        product.open_app()
        began = time.monotonic()
        for model in script:
            product.begin(model, "auto", count)
        last, moved = 0, time.monotonic()
        while True:
            sample = measure(product, began, sessions)
            stand = product.summaries().values()
            if sample is not None:
                if sample.steps > last:
                    last, moved = sample.steps, time.monotonic()
                if sample.steps >= (len(samples) + 1) * count * sessions / TENTHS:
                    samples.append(sample)
                    print(sample.row(), flush=True)
            if all(session.step >= count for session in stand):
                break
            if time.monotonic() - moved > 120:
                wrong.append(
                    f"no step for two minutes; sessions are {', '.join(sorted({session.state for session in stand}))}"
                )
                break
            time.sleep(0.25)
        if product.app is not None and not product.app.alive:
            wrong.append("the app did not live to the end")
    return samples, wrong + (find_growth(samples) if len(samples) >= 3 else ["too little was measured"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 if something grew or stood still."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=48, help="as the field counts them")
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    print(
        f"{described()}; {time.strftime('%Y-%m-%d')}; {given.sessions} sessions, {given.hours:g} hours\n\n{HEAD}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="apollo-soak-") as folder:
        _, wrong = soak(Path(folder), given.hours, given.sessions, given.seed)
    print(f"\n{'flat' if not wrong else '; '.join(wrong)}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
