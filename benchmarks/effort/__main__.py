"""``python -m benchmarks.effort``: play an annotator's jobs over a real pty, and count keys and seconds to the receipt.

Exits with 1 where a job takes more keys than it may, or its receipt does not come.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.budgets.machine import described
from benchmarks.budgets.pty_program import Gone
from benchmarks.effort.jobs import JOBS, measure
from benchmarks.effort.scene import Scene

SIZES: Final = ((80, 24), (200, 50))
HEAD: Final = "| job | keys | must | text | seconds | met |\n|---|---|---|---|---|---|"


def main() -> int:
    """Play them at both sizes, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.effort", description=__doc__)
    parser.add_argument("--only", default="", help="jobs whose name holds this")
    wanted = parser.parse_args().only
    missed = 0
    print(f"{described()}; {time.strftime('%Y-%m-%d')}", flush=True)
    for size in SIZES:
        print(f"\nAt {size[0]}×{size[1]}:\n\n{HEAD}", flush=True)
        # Each size begins with sessions that nobody has judged.
        with tempfile.TemporaryDirectory(prefix="apollo-effort-") as folder, Scene.running(Path(folder)) as scene:
            for job in (one for one in JOBS if wanted in one.what):
                try:
                    with scene.app(size) as player:
                        cost = measure(job, scene, player)
                except Gone as problem:
                    missed += 1
                    print(f"| {job.what} | – | {job.must} | | | **missed** |\n{problem}", flush=True)
                    continue
                met = cost.keys <= job.must
                missed += not met
                text = f"{cost.typed} characters" if cost.typed else ""
                row = (job.what, str(cost.keys), str(job.must), text, f"{cost.seconds:.1f}", "yes" if met else "**no**")
                print(f"| {' | '.join(row)} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
