"""What of the machine a contained command may read: its system and the Python that Apollo runs with, no home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/sys/devices")
SECRETS: Final = (
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/security/opasswd",
)
"""Files of the system that an agent run by root could read else."""
SECRET_FOLDERS: Final = ("/etc/sudoers.d", "/etc/ssl/private", "/etc/ssh")
RESOLVERS: Final = ("/run/systemd/resolve", "/run/resolvconf", "/run/nscd")
"""Where names of hosts are looked up, for who may use the network."""
ACCELERATORS: Final = ("nvidia*", "dri", "kfd", "accel*")
"""Devices below /dev, besides the usual ones, that training needs."""


def system_paths() -> tuple[str, ...]:
    """What is there of ``SYSTEM``, and the prefix of our Python where that is somewhere else."""
    found = [path for path in SYSTEM if Path(path).exists()]
    for prefix in (sys.base_prefix, sys.prefix):
        if not any(Path(prefix).is_relative_to(path) for path in found):
            found.append(prefix)
    return tuple(found)


def accelerators() -> tuple[str, ...]:
    """Devices of accelerators that this machine has."""
    return tuple(sorted(str(path) for pattern in ACCELERATORS for path in Path("/dev").glob(pattern)))
