"""Refusing network filesystems: their locks and shared memory are not what SQLite's WAL needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from sessions.log.errors import NetworkFilesystem

NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "9p", "davfs"}
    | {"fuse.sshfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.davfs", "fuse.ceph"}
)
MOUNTS: Final = Path("/proc/self/mounts")


def filesystem_of(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the filesystem that ``path`` is or would be on; "" where the system does not say."""
    if not mounts.exists():
        return ""
    place = path.resolve()
    best, kind = "", ""
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # A later mount hides an earlier one on the same folder, hence >=.
        folder = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[1])
        if place.is_relative_to(folder) and len(folder) >= len(best):
            best, kind = folder, fields[2]
    return kind


def refuse_network_fs(path: Path, allow: bool = False, mounts: Path = MOUNTS) -> None:
    """Raise NetworkFilesystem if the log at ``path`` would lie on one and ``allow`` is not set."""
    kind = filesystem_of(path, mounts)
    if kind in NETWORK and not allow:
        raise NetworkFilesystem(
            f"{path} is on a network filesystem ({kind}), where a log can be damaged: "
            "choose a local --log, or --allow-network-fs at your own risk"
        )
