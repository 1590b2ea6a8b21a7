"""Limits of the processes of a space, by ``setrlimit``. Stdlib only."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from typing import Final

LIMITS: Final = {
    "processes": resource.RLIMIT_NPROC,
    "memory": resource.RLIMIT_AS,
    "file_size": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
}


def set_limits(limits: Mapping[str, int]) -> None:
    """Limit this process and all that it starts; 0 is no limit, and what is limited already is never raised."""
    for name, value in limits.items():
        if value:
            hard = resource.getrlimit(LIMITS[name])[1]
            wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(LIMITS[name], (wanted, wanted))
