"""Limits of the processes of a space, by ``setrlimit``: of each process, or of all of a user. Stdlib only."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from typing import Final

from sessions.containment.control_groups import find_delegated

LIMITS: Final = {
    "processes": resource.RLIMIT_NPROC,
    "memory": resource.RLIMIT_AS,
    "file_size": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
}


def missing_limits() -> list[str]:
    """What cannot be limited here, one line each."""
    found = []
    if find_delegated() is None:
        found.append("no cgroup v2 is delegated: memory and processes are limited per process and per user only")
        if os.geteuid() == 0:
            found.append("root has no limit of processes without a cgroup")
    found.append("the disk that a session fills is not limited without a quota of the file system")
    return found


def set_limits(limits: Mapping[str, int]) -> None:
    """Limit this process and all that it starts; 0 is no limit, and what is limited already is never raised."""
    for name, value in limits.items():
        if value:
            hard = resource.getrlimit(LIMITS[name])[1]
            wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(LIMITS[name], (wanted, wanted))
