"""Imports of long recordings; the measurement is in benchmarks/import."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from benchmarks.budgets.figures import Figure


def imports(folder: Path, quick: bool) -> Iterator[Figure]:
    """20 MB against 5 MB, and against ``json``."""
    # "import" is no name that an import statement takes.
    return cast("Iterator[Figure]", importlib.import_module("benchmarks.import.speed").speed(folder, quick))
