"""``python -m benchmarks.supervision``: play, train and test all units, then write tables and pictures.

It may be stopped at any time: said again, it goes on with the arm that it was at.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.supervision.knobs import Base, load_knobs
from benchmarks.supervision.pool import results, run_all
from benchmarks.supervision.report import write
from benchmarks.supervision.results import Spec


def specs(work: Path, which: Literal["quick", "full"]) -> tuple[list[Spec], list[Spec]]:
    """The units of the table, and those of the sweep of systematic errors."""
    knobs = load_knobs()
    size = knobs.size(which)

    def spec(name: str, seed: int, base: Base, *, sweep: bool = False, share: float | None = None) -> Spec:
        folder = str(work / name / "work")
        return Spec(folder, seed, size, knobs.shape, base, knobs.annotator, knobs.train, sweep, share)

    units = [spec(f"seed-{seed}", seed, knobs.base, sweep=seed in size.sweep_seeds) for seed in size.seeds]
    shares = []
    for share in size.sweeps.systematic_share:
        base = msgspec.structs.replace(knobs.base, systematic_share=share)
        shares += [spec(f"seed-{seed}-share-{share}", seed, base, share=share) for seed in size.sweep_seeds]
    return units, shares


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supervision", description=__doc__)
    parser.add_argument("--full", action="store_true", help="fresh seeds, more of them, more tests and more points")
    parser.add_argument(
        "--work", type=Path, default=Path("build/supervision"), help="logs and models; what is done is not done again"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/supervision"), help="tables and pictures")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="units at a time (the cores)")
    given = parser.parse_args()
    which: Literal["quick", "full"] = "full" if given.full else "quick"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    work = given.work.resolve() / which
    units, shares = specs(work, which)
    run_all([*units, *shares], given.workers, work)
    print(write(given.out / which, which, load_knobs(), results(units), results(shares)))
    print(f"{given.out / which}: written after {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
