"""Small file systems of our own, which can be full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

Mount = Callable[[str], Path]


def resize(place: Path, size: str) -> None:
    """Give a mounted folder another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True, timeout=20)


def fill(folder: Path) -> Path:
    """Write until there is no room at all; the file that holds it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for piece in (1 << 16, 4096, 1):
            try:
                while True:
                    file.write(b"x" * piece)
            except OSError:
                continue
    return filler
