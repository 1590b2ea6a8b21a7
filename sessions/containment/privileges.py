"""Capabilities given up for good, by this process and all that it starts. Stdlib only."""

from __future__ import annotations

import ctypes
import os
from typing import Final

PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
CAPABILITY_VERSION: Final = 0x20080522
LAST_CAPABILITY: Final = 63


class CannotDrop(Exception):
    """The kernel keeps us privileged; one line."""


def drop_privileges() -> None:
    """Keep no capability, and never have one again, not through programs that would give some. Raises CannotDrop.

    Root, and who enters a user namespace, holds all of them: with those, a space could be taken apart from inside.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)  # refused where we hold none: then there is none to keep either
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise CannotDrop(f"capabilities cannot be dropped: {os.strerror(ctypes.get_errno())}")
