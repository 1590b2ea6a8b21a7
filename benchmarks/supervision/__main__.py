"""``python -m benchmarks.supervision``: play, train and test all units, then write tables and pictures."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.supervision.knobs import Base, load_knobs
from benchmarks.supervision.report import write
from benchmarks.supervision.unit import Result, Spec

QUIET = {
    "OMP_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


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


def run_all(wanted: Sequence[Spec], workers: int) -> None:
    """Run the units that have no result yet, by some processes. Raises SystemExit with the words of one that failed."""
    waiting = [spec for spec in wanted if not _done(spec)]
    # Dealt out in turn: starting Python and torch anew for each unit would take a tenth of the time.
    hands = [waiting[number::workers] for number in range(workers)]
    running = {_start(hand): hand for hand in hands if hand}
    told: set[str] = set()
    try:
        while running:
            for process, hand in list(running.items()):
                code = process.poll()
                for name in (Path(spec.folder).parent.name for spec in hand if _result_file(spec).exists()):
                    if name not in told:
                        told.add(name)
                        print(f"{time.strftime('%H:%M:%S')}  {name} done", flush=True)
                if code is not None:
                    del running[process]
                    if code:
                        raise SystemExit(f"a unit failed:\n{_last_words(hand)}")
            time.sleep(0.2)
    finally:
        for process in running:
            process.terminate()  # it stops its own host and server on its way out
        for process in running:
            process.wait()


def _start(hand: Sequence[Spec]) -> subprocess.Popen[bytes]:
    files = []
    for spec in hand:
        folder = Path(spec.folder).parent
        folder.mkdir(parents=True, exist_ok=True)
        _result_file(spec).unlink(missing_ok=True)
        files.append(folder / "spec.json")
        files[-1].write_bytes(msgspec.json.encode(spec))
    command = [sys.executable, "-m", "benchmarks.supervision.unit", *map(str, files)]
    with _output(hand).open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **QUIET})


def _output(hand: Sequence[Spec]) -> Path:
    """Where the process that does these units writes what it says."""
    return Path(hand[0].folder).parent / "output"


def _last_words(hand: Sequence[Spec]) -> str:
    return "\n".join(_output(hand).read_text("utf-8", "replace").splitlines()[-5:])


def _result_file(spec: Spec) -> Path:
    return Path(spec.folder).parent / "result.json"


def _done(spec: Spec) -> bool:
    """Whether there is a result of this very spec: with other knobs, a unit is done again."""
    made = Path(spec.folder).parent / "spec.json"
    return _result_file(spec).exists() and made.read_bytes() == msgspec.json.encode(spec)


def _results(wanted: Sequence[Spec]) -> list[Result]:
    return [msgspec.json.decode(_result_file(spec).read_bytes(), type=Result) for spec in wanted]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.supervision", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more seeds, episodes and points; about an hour")
    parser.add_argument(
        "--work", type=Path, default=Path("build/supervision"), help="logs and models; results are reused"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/supervision"), help="tables and pictures")
    parser.add_argument("--workers", type=int, default=2, help="units at a time")
    given = parser.parse_args()
    which: Literal["quick", "full"] = "full" if given.full else "quick"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    units, shares = specs(given.work.resolve() / which, which)
    run_all([*units, *shares], given.workers)
    knobs = load_knobs()
    print(write(given.out / which, which, knobs, knobs.size(which), _results(units), _results(shares)))
    print(f"{given.out / which}: written after {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
