"""The row of contained commands: what a prefix adds to each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.budgets.figures import Figure
from benchmarks.containment import cost


def commands(folder: Path, quick: bool) -> Iterator[Figure]:
    """A row for each prefix that works here."""
    yield from cost.figures(folder, quick)
