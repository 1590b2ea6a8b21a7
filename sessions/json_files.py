"""Small JSON objects in files that a crash leaves whole: read, replaced, or made to appear once. Stdlib only."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in ``path``, or None where there is none: no such file, or one that somebody else has spoilt."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace ``path`` by ``value``, on disk and whole, or leave it as it is."""
    temporary = _temporary(path, value)
    try:
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def create_json(path: Path, value: dict[str, Any]) -> bool:
    """Make ``path`` appear, whole, unless it exists: False then. Of two processes that try, one succeeds."""
    temporary = _temporary(path, value)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return True


def _temporary(path: Path, value: dict[str, Any]) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(value).encode())
            file.flush()
            os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some file systems know no fsync of a folder; the file itself is safe there too.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
