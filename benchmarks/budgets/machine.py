"""What the kernel says: CPU seconds and memory of a process, and how busy everything else was meanwhile."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TICK: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and the children it has waited for; 10 ms fine. 0.0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICK


def own_cpu_seconds(pid: int) -> float:
    """User and system time of a process without its children, from the scheduler: nanoseconds fine.

    Threads that have ended are not counted: for stretches in which none ends.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Contention:
    """How much of one core everything but ``pids`` (and this process) took since ``begin``."""

    def __init__(self, pids: Iterable[int]) -> None:
        self._pids = [*pids, os.getpid()]
        self.begin()

    def begin(self) -> None:
        """Start to count anew."""
        self._at = time.monotonic()
        self._busy = _busy_seconds()
        self._ours = self._own()

    def percent(self) -> float:
        """Percent of one core; 100 on a machine with two cores means that one was taken."""
        passed = time.monotonic() - self._at
        others = (_busy_seconds() - self._busy) - (self._own() - self._ours)
        return max(0.0, 100 * others / passed) if passed else 0.0

    def _own(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._pids)


def _busy_seconds() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICK


def described() -> str:
    """The machine in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    system = f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores ({model}), {system}"
