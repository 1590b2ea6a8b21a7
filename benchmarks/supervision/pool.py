"""Units dealt out to a few processes, the longest first; what has a result of the same knobs is not done again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.supervision.results import Result, Spec

QUIET: Final = {
    "OMP_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONWARNINGS": "ignore",
}


class Worker:
    """A process that does one unit after the other: starting Python and torch for each takes a tenth of the time."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.unit: Spec | None = None
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.supervision.worker"],
                stdin=subprocess.PIPE, stdout=file, stderr=file, env={**os.environ, **QUIET}, text=True,
            )  # fmt: skip

    def give(self, spec: Spec | None) -> None:
        """The next unit; None: there are no more, and it ends."""
        self.unit = spec
        assert self.process.stdin is not None
        if spec is None:
            self.process.stdin.close()
            return
        file = spec_file(spec)
        file.parent.mkdir(parents=True, exist_ok=True)
        result_file(spec).unlink(missing_ok=True)
        file.write_bytes(msgspec.json.encode(spec))
        self.process.stdin.write(f"{file}\n")
        self.process.stdin.flush()

    def exit_message(self) -> str:
        """The end of what it said."""
        return "\n".join(self.output.read_text("utf-8", "replace").splitlines()[-5:])


def run_all(wanted: Sequence[Spec], count: int, output: Path) -> None:
    """Do the units that have no result yet. Raises SystemExit with the last words of a process that failed."""
    waiting = [spec for spec in sorted(wanted, key=_length) if not done(spec)]
    finished, began = len(wanted) - len(waiting), time.monotonic()
    workers = [Worker(output / f"worker-{number}.log") for number in range(min(count, len(waiting)))]
    running = list(workers)
    try:
        for worker in workers:
            worker.give(waiting.pop(0))
        while running:
            for worker in list(running):
                ended = worker.process.poll()
                if worker.unit is not None and result_file(worker.unit).exists():
                    finished += 1
                    name = spec_file(worker.unit).parent.name
                    minutes = (time.monotonic() - began) / 60
                    print(f"{name} done: {finished} of {len(wanted)} units, {minutes:.1f} minutes", flush=True)
                    worker.give(waiting.pop(0) if waiting else None)
                elif ended is not None:
                    running.remove(worker)
                    if ended or worker.unit is not None:
                        raise SystemExit(
                            f"a unit failed; all that was said is in {worker.output}\n{worker.exit_message()}"
                        )
            time.sleep(0.2)
    finally:
        for worker in running:
            worker.process.terminate()  # it stops its own host and server on its way out
        for worker in running:
            worker.process.wait()


def spec_file(spec: Spec) -> Path:
    """Where it lies what is asked."""
    return Path(spec.folder).parent / "spec.json"


def result_file(spec: Spec) -> Path:
    """Where it lies what came out."""
    return Path(spec.folder).parent / "result.json"


def done(spec: Spec) -> bool:
    """Whether there is a result of this very spec: with other knobs, a unit is done again."""
    return result_file(spec).exists() and spec_file(spec).read_bytes() == msgspec.json.encode(spec)


def results(wanted: Sequence[Spec]) -> list[Result]:
    """What came out of the units."""
    return [msgspec.json.decode(result_file(spec).read_bytes(), type=Result) for spec in wanted]


def _length(spec: Spec) -> int:
    """The longest first: those with sweeps, then all arms, then the few arms of a share."""
    return 0 if spec.sweep else 1 if spec.share is None else 2
