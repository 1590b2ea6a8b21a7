"""Landlock: a process that gives up what it may touch, for itself and all that it starts. Stdlib only.

No other user and no namespace is needed (https://docs.kernel.org/userspace-api/landlock.html), so it works where
``bwrap`` is forbidden. It does not hide processes, file names, attributes or unix sockets: docs/containment.md.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from typing import Final

CREATE_RULESET: Final = 444
ADD_RULE: Final = 445
RESTRICT_SELF: Final = 446
PATH_BENEATH: Final = 1
NET_PORT: Final = 2
PR_SET_NO_NEW_PRIVS: Final = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ALL_FS: Final = {3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files that a version of the interface knows."""
OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
"""Rights that a file, and not only a folder, can have."""
CONNECT_TCP: Final = 1 << 1
TCP: Final = 1 << 0 | CONNECT_TCP
SCOPES: Final = 1 << 0 | 1 << 1
"""No abstract unix sockets and no signals to processes outside."""
READING: Final = EXECUTE | READ_FILE | READ_DIR
FIRST_USABLE: Final = 3
"""Before this version any file, the log too, could be cut off: truncate(2) is no writing to the versions 1 and 2."""
FIRST_WITH_TCP: Final = 4
FIRST_WITH_SCOPES: Final = 6
OPEN_BEFORE: Final = {FIRST_WITH_SCOPES: ("signals", "abstract sockets")}
"""By version: what is open before it, besides TCP."""
LINUX: Final = {1: "5.13", FIRST_USABLE: "6.2", FIRST_WITH_TCP: "6.7", FIRST_WITH_SCOPES: "6.12"}
"""The first kernel with a version."""


class NoLandlock(Exception):
    """The kernel does not do it; one line."""


def version() -> int:
    """Version of the kernel's interface; 0 where there is none."""
    found: int = _libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(0, found)


def problem() -> str:
    """Why it does not work here; "" where it does."""
    known = version()
    if not known:
        return f"this kernel has no Landlock (Linux {LINUX[1]} and newer have it, where it is switched on)"
    if known < FIRST_USABLE:
        return (
            f"this kernel has version {known} of Landlock, which lets any file be cut off (version {FIRST_USABLE}, "
            f"Linux {LINUX[FIRST_USABLE]}, does not)"
        )
    return ""


def network_problem() -> str:
    """Why it cannot turn the network off here; "" where it can."""
    known = version()
    if known >= FIRST_WITH_TCP:
        return ""
    wanted = f"version {FIRST_WITH_TCP}, Linux {LINUX[FIRST_WITH_TCP]}, can"
    return f"version {known} of Landlock, which this kernel has, cannot turn the network off ({wanted})"


def left_open() -> tuple[str, ...]:
    """What it does not stop here though newer kernels have it do so; TCP is ``network_problem``'s."""
    known = version()
    return tuple(one for first, names in OPEN_BEFORE.items() if known < first for one in names)


def restrict(read: Iterable[str], write: Iterable[str], network: str, ports: Iterable[int] = ()) -> None:
    """Let this process, and all that it starts, read and run what is below ``read``, do all below ``write``, and use
    TCP only where ``network`` is "all", else to ``ports`` of any machine. Paths that do not exist are left out.

    Raises NoLandlock, also where this kernel does not do all of that: a log may have been made on another one.
    """
    known = version()
    if trouble := problem() or (network_problem() if network != "all" else ""):
        raise NoLandlock(trouble)
    libc = _libc()
    every = ALL_FS[min(known, 5)]
    tcp = TCP if network != "all" else 0
    scopes = SCOPES if known >= FIRST_WITH_SCOPES else 0
    size = 8 if known < FIRST_WITH_TCP else 16 if known < FIRST_WITH_SCOPES else 24
    ruleset = struct.pack("QQQ", every, tcp, scopes)[:size]
    rules: int = libc.syscall(CREATE_RULESET, ruleset, ctypes.c_size_t(len(ruleset)), 0)
    if rules < 0:
        raise NoLandlock(f"Landlock refuses: {os.strerror(ctypes.get_errno())}")
    for paths, rights in ((read, READING), (write, every)):
        for path in paths:
            _allow(libc, rules, path, rights & every)
    for port in ports if tcp else ():
        if libc.syscall(ADD_RULE, rules, NET_PORT, struct.pack("=QQ", CONNECT_TCP, port), 0):
            raise NoLandlock(f"Landlock refuses port {port}: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(RESTRICT_SELF, rules, 0):
        raise NoLandlock(f"Landlock refuses: {os.strerror(ctypes.get_errno())}")
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - loaded in a process that starts for each command
            rights &= OF_FILES
        if libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, handle), 0):
            raise NoLandlock(f"Landlock refuses {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
