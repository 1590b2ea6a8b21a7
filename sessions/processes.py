"""Who a process is, which processes belong to it, and how all of them are ended. Stdlib only: the holder imports it.

A pid alone proves nothing, because pids are used again: a process is known by pid, start time and boot id together.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CHAIN_TRIES = 20
TABLE_TRIES = 5
PR_SET_CHILD_SUBREAPER = 36
LONGEST_CHAIN = 1000
ASK_SECONDS = 10.0
"""For a program of the system to answer, where there is no /proc."""
HAS_PROC = sys.platform == "linux" and (PROC / "self" / "stat").exists()


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, for good: ``start_time`` is the kernel's (clock ticks since boot on Linux), as text."""

    pid: int
    start_time: str
    boot_id: str

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie and a process that took over its pid do not count."""
        return self.boot_id == boot_id() and _start_time(self.pid) == self.start_time

    def send(self, number: int) -> bool:
        """Send it a signal; False if it is gone. The pid cannot change hands in between where pidfds exist."""
        if not hasattr(os, "pidfd_open"):
            if not self.alive():
                return False
            return _kill(self.pid, number)
        try:
            handle = os.pidfd_open(self.pid)
        except (ProcessLookupError, OSError):
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(handle, number)
        except (ProcessLookupError, PermissionError):
            return False
        finally:
            os.close(handle)
        return True


def identity(pid: int | None = None) -> Identity:
    """The identity of ``pid`` (None: of this process). Raises ProcessLookupError if there is none."""
    pid = os.getpid() if pid is None else pid
    start_time = _start_time(pid)
    if start_time is None:
        raise ProcessLookupError(f"no process {pid}")
    return Identity(pid, start_time, boot_id())


def identities(pids: Iterable[int]) -> list[Identity]:
    """Those of ``pids`` that run, each known for good: a signal to one never reaches who got its pid later."""
    found = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            found.append(identity(pid))
    return found


_boot_id: str = ""


def boot_id() -> str:
    """What changes with every boot of the machine."""
    global _boot_id
    if not _boot_id:
        if HAS_PROC:
            _boot_id = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        else:
            _boot_id = _ask("sysctl", "-n", "kern.boottime") or "unknown"
    return _boot_id


def descendants(root: int) -> list[int]:
    """All processes below ``root`` that have not ended, whatever group or session they moved to; without ``root``.

    Those are not seen that are born while we look: that there are none is proved by ``has_children`` alone, by ``root``
    itself, where it adopts orphans.
    """
    children: dict[int, list[int]] = {}
    for pid, row in _whole_table().items():
        children.setdefault(row.parent, []).append(pid)
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return [pid for pid in found if _is_running(pid)]


def adopt_orphans() -> None:
    """Have the kernel hand us every process that one below us leaves behind, whatever session it moved to."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def has_children() -> bool:
    """Whether this process has any, ended ones that nobody has reaped yet among them."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def session_members(session: int) -> list[int]:
    """All processes of the kernel's session ``session`` (its process group where there is no /proc) that still run."""
    return [pid for pid, row in _table().items() if row.session == session and _is_running(pid)]


def pid_space() -> str:
    """The pid namespace of this process; "" where there are none."""
    try:
        return os.readlink(PROC / "self/ns/pid")  # noqa: PTH115 - a name, not a path
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A process of a chain of parents."""

    pid: int
    parent: int
    start_time: str


def ancestry(pid: int) -> list[Ancestor] | None:
    """``pid`` and its parents, the eldest last; None if it is gone, or if its chain would not hold still."""
    for _ in range(CHAIN_TRIES):
        chain: list[Ancestor] = []
        at = pid
        while at > 0 and len(chain) < LONGEST_CHAIN and (found := _ancestor(at)):
            chain.append(found)
            at = found.parent
        if not chain:
            return None
        # What has lost its parent meanwhile has another one now: only a chain that is the same twice was ever true.
        if len(chain) < LONGEST_CHAIN and all(_ancestor(one.pid) == one for one in chain):
            return chain
    return None


def first_environment(pid: int) -> dict[str, str]:
    """The environment that ``pid`` was started with; empty where nobody may read it."""
    pairs = (entry.partition("=") for entry in _strings(pid, "environ"))
    return {name: value for name, _, value in pairs}


def command_line(pid: int) -> list[str]:
    """The words that ``pid`` was started with."""
    return _strings(pid, "cmdline")


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    return _is_running(pid)


def program(pid: int) -> str:
    """What the kernel calls the process; "" if it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Inside:
    """A process of a pid namespace: who it is to us, and the numbers that it and its session have in there."""

    pid: int
    number: int
    session: int


def processes_of(space: str) -> list[Inside]:
    """All processes of the pid namespace ``space`` (a name that ``pid_space`` gave) that have not ended."""
    found: list[Inside] = []
    for entry in os.listdir(PROC):  # noqa: PTH208 - names only
        if not entry.isdigit():
            continue
        try:
            if os.readlink(PROC / entry / "ns/pid") != space:  # noqa: PTH115 - a name, not a path
                continue
            lines = (PROC / entry / "status").read_text(errors="replace").splitlines()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in lines if line.startswith("NS"))
        if "NSpid" in fields and "NSsid" in fields and _is_running(int(entry)):
            found.append(Inside(int(entry), int(fields["NSpid"].split()[-1]), int(fields["NSsid"].split()[-1])))
    return found


def send_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to each; those that are gone, or are not ours, are left alone."""
    for pid in pids:
        _kill(pid, number)


@dataclass(frozen=True, slots=True)
class _Row:
    parent: int
    session: int


def _kill(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _ancestor(pid: int) -> Ancestor | None:
    fields = _stat(pid)
    return Ancestor(pid, int(fields[1]), fields[19]) if fields else None


def _strings(pid: int, what: str) -> list[str]:
    try:
        return (PROC / str(pid) / what).read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _start_time(pid: int) -> str | None:
    if HAS_PROC:
        fields = _stat(pid)
        return None if fields is None or fields[0] in "ZX" else fields[19]
    state, _, started = _ask("ps", "-o", "state=,lstart=", "-p", str(pid)).strip().partition(" ")
    return None if not state or state.startswith("Z") else " ".join(started.split())


def _is_running(pid: int) -> bool:
    return _start_time(pid) is not None


def _whole_table() -> dict[int, _Row]:
    """A table in which nobody has lost his parent, as who was read before that one ended, and was adopted."""
    for _ in range(TABLE_TRIES):
        rows = _table()
        if all(row.parent in rows or row.parent == 0 for row in rows.values()):
            break
    return rows


def _table() -> dict[int, _Row]:
    if not HAS_PROC:
        lines = (line.split() for line in _ask("ps", "-axo", "pid=,ppid=,pgid=").splitlines())
        return {int(row[0]): _Row(int(row[1]), int(row[2])) for row in lines if len(row) == 3}
    rows: dict[int, _Row] = {}
    for entry in os.listdir(PROC):  # noqa: PTH208 - names only, on a path that is asked often
        if entry.isdigit() and (fields := _stat(int(entry))):
            rows[int(entry)] = _Row(int(fields[1]), int(fields[3]))
    return rows


def _ask(*command: str) -> str:
    """What a program of the system says; "" where it does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ASK_SECONDS).stdout
    except subprocess.TimeoutExpired:
        return ""
