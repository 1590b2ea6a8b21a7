"""``python -m benchmarks.budgets [ROW …]``: measure, and print the table. ``--quick`` in less than ten minutes."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

from benchmarks.budgets.figures import HEAD, Figure
from benchmarks.budgets.machine import described
from benchmarks.budgets.pty_program import Gone
from sessions.errors import ApolloError

ROWS: Final[dict[str, str]] = {
    "cpu": "stream:cpu",
    "keys": "stream:keys",
    "output": "job_output:keys",
    "bytes": "stream:bytes_to_terminal",
    "start": "start:first_paint",
    "open": "long_log:opening",
    "tail": "long_log:tail",
    "memory": "long_log:memory",
    "tokens": "tokens:tokens",
    "imports": "recordings:imports",
    "contained": "containment:commands",
    "colours": "workspace:colours",
}
Row = Callable[[Path, bool], Iterator[Figure]]


def main() -> int:
    """Measure the rows that were asked for; 1 if a budget is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one or more of {', '.join(ROWS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    given = parser.parse_args()
    unknown = [name for name in given.rows if name not in ROWS]
    if unknown:
        parser.error(f"there is no row {unknown[0]}: {', '.join(ROWS)}")
    print(f"{described()}; {time.strftime('%Y-%m-%d')}; {'quick' if given.quick else 'full'} runs\n", flush=True)
    print(HEAD, flush=True)
    missed = 0
    for name in given.rows or ROWS:
        module, _, function = ROWS[name].partition(":")
        measure = cast("Row", getattr(importlib.import_module(f"benchmarks.budgets.rows.{module}"), function))
        with tempfile.TemporaryDirectory(prefix="apollo-bench-") as folder:
            try:
                for figure in measure(Path(folder), given.quick):
                    print(figure.row(), flush=True)
                    missed += "missed" in figure.verdict
            except (Gone, ApolloError) as problem:
                print(f"| {name} | could not be measured: {problem} | | | | | |", flush=True)
                missed += 1
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
