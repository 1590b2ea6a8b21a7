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
ALL_FS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files that a version of the interface knows."""
OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
"""Rights that a file, and not only a folder, can have."""
CONNECT_TCP: Final = 1 << 1
TCP: Final = 1 << 0 | CONNECT_TCP
SCOPES: Final = 1 << 0 | 1 << 1
"""No abstract unix sockets and no signals to processes outside (version 6)."""
READING: Final = EXECUTE | READ_FILE | READ_DIR


class NoLandlock(Exception):
    """The kernel does not do it; one line."""


def version() -> int:
    """Version of the kernel's interface; 0 where there is none."""
    found: int = _libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    return max(0, found)


def problem() -> str:
    """Why it does not work here; "" where it does."""
    return "" if version() else "this kernel has no Landlock (Linux 5.13 and newer have it, where it is switched on)"


def restrict(read: Iterable[str], write: Iterable[str], network: str, ports: Iterable[int] = ()) -> None:
    """Let this process, and all that it starts, read and run what is below ``read``, do all below ``write``, and use
    TCP only where ``network`` is "all", else to ``ports`` of any machine. Paths that do not exist are left out.

    Raises NoLandlock.
    """
    known = version()
    if not known:
        raise NoLandlock("this kernel has no Landlock")
    libc = _libc()
    every = ALL_FS[min(known, 5)]
    tcp = TCP if known >= 4 and network != "all" else 0
    scopes = SCOPES if known >= 6 else 0
    ruleset = struct.pack("QQQ", every, tcp, scopes)[: 8 if known < 4 else 16 if known < 6 else 24]
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
