"""A session's control group (cgroup v2), where the system has delegated a part of its tree to us: it limits the
processes and the memory of all commands together, of root too, and counts how often they met a limit. Stdlib only.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst, "Delegation" and "No Internal Process Constraint".
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc/self")
CONTROLLERS: Final = {"processes": "pids", "memory": "memory"}
"""What can be limited here, and by which controller."""
REMOVE_SECONDS: Final = 5.0


def find_delegated(proc: Path = PROC) -> Path | None:
    """The folder in which groups can be made beside our own; None where the system has delegated none.

    A group with processes can have no groups below it that are limited, so that it is our own's parent; only the root
    of the tree may have both. Nothing is changed: which controllers its groups have is whose it is to say.
    """
    try:
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
        tree = next(Path(one[4]) for one in mounts if one[one.index("-") + 1] == "cgroup2")
        own = next(line[3:] for line in (proc / "cgroup").read_text().splitlines() if line.startswith("0::"))
        place = (tree / own.lstrip("/")).parent if own != "/" else tree
        if own == "/" and (tree / "cgroup.type").exists():
            return None  # the root of a container: its own processes are in it
        if not all(os.access(path, os.W_OK) for path in (place, place / "cgroup.procs")):
            return None
        return place if _controllers(place) else None
    except (OSError, StopIteration, ValueError):
        return None


def _controllers(place: Path) -> set[str]:
    """Which of our controllers the groups in ``place`` have."""
    return {*(place / "cgroup.subtree_control").read_text().split()} & {*CONTROLLERS.values()}


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The group ``path``, made by ``open``."""

    path: Path
    limits: Mapping[str, int]
    """``processes`` and ``memory`` (bytes): those that it limits."""

    @classmethod
    def plan(cls, name: str, limits: Mapping[str, int]) -> ControlGroup | None:
        """The group for a session's ``limits``; None where there is nothing to limit, or no group to be had."""
        if not any(limits.get(one) for one in CONTROLLERS):
            return None
        place = find_delegated()
        if place is None:
            return None
        there = _controllers(place)
        own = {one: limits[one] for one, by in CONTROLLERS.items() if by in there and limits.get(one)}
        return cls(place / name, own) if own else None

    def open(self) -> None:
        """Make it unless it is there. Raises OSError."""
        self.path.mkdir(exist_ok=True)
        if "processes" in self.limits:
            (self.path / "pids.max").write_text(str(self.limits["processes"]))
        if "memory" in self.limits:
            (self.path / "memory.max").write_text(str(self.limits["memory"]))
            with contextlib.suppress(OSError):  # a kernel without swap has no such file
                (self.path / "memory.swap.max").write_text("0")

    def hits(self) -> dict[str, int]:
        """How often each limit was met since the group was made."""
        counted = {"processes": _count(self.path / "pids.events", "max")}
        counted["memory"] = _count(self.path / "memory.events", "oom_kill")
        return {name: number for name, number in counted.items() if number}

    def remove(self) -> None:
        """End what is still in it, and remove it."""
        deadline = time.monotonic() + REMOVE_SECONDS
        with contextlib.suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        while self.path.exists() and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.02)


def join_group(path: str) -> None:
    """Put this process, and all that it will start, into the group at ``path``. Raises OSError."""
    (Path(path) / "cgroup.procs").write_text(str(os.getpid()))


def _count(file: Path, name: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[0] == name), 0)
