"""What the tests of the world's weather share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apollo_process import Apollo
from small_disks import Mount


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """``mount("3m")``: a folder with that much room. Skips where this user may mount nothing."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


@pytest.fixture
def on_disk(mount: Mount) -> Iterator[Callable[[Path], Apollo]]:
    """``on_disk(folder)``: the product with its log there; it leaves no process, also where a test fails."""
    made: list[Apollo] = []

    def make(folder: Path) -> Apollo:
        made.append(Apollo(folder))
        return made[-1]

    yield make
    for apollo in made:
        (apollo.folder / "filler").unlink(missing_ok=True)
        apollo.close()
