"""Small JSON objects in files that a crash leaves whole: read, replaced, or made to appear once. Stdlib only.

``at`` is the handle of a folder in which the path is a name: what else lies there may be a command's (untrusted_files).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sessions.untrusted_files import SpoiltFile, read_regular

LIMIT: Final = 16 * 1024 * 1024
"""Bytes of the largest object that is read."""


def read_json(path: Path | str, *, at: int | None = None, limit: int = LIMIT) -> dict[str, Any] | None:
    """The object in ``path``, or None where there is none: no such file, or one that somebody else has spoilt."""
    try:
        found = json.loads(read_regular(path, limit, at=at))
    except (FileNotFoundError, NotADirectoryError, PermissionError, SpoiltFile, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path | str, value: dict[str, Any], *, at: int | None = None) -> None:
    """Replace ``path`` by ``value``, on disk and whole, or leave it as it is."""
    with _place_of(path, at) as (folder, name):
        temporary = _temporary(folder, name, value)
        try:
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        _sync(folder)


def create_json(path: Path | str, value: dict[str, Any], *, at: int | None = None) -> bool:
    """Make ``path`` appear, whole, unless it exists: False then. Of two processes that try, one succeeds."""
    with _place_of(path, at) as (folder, name):
        temporary = _temporary(folder, name, value)
        try:
            # Not followed: a link in its place, put there meanwhile, would give away what it leads to.
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary, dir_fd=folder)
        _sync(folder)
    return True


@contextlib.contextmanager
def _place_of(path: Path | str, at: int | None) -> Iterator[tuple[int, str]]:
    """A handle of the folder that ``path`` is in, and its name there."""
    if at is not None:
        yield at, str(path)
        return
    folder, name = os.path.split(path)
    handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle, name
    finally:
        os.close(handle)


def _temporary(folder: int, name: str, value: dict[str, Any]) -> str:
    # A name that nobody knows before: nothing can lie in wait there.
    temporary = f".{name}.{os.getpid()}.{os.urandom(4).hex()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(value).encode())
            file.flush()
            os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return temporary


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(folder: int) -> None:
    # Some file systems know no fsync of a folder; the file itself is safe there too.
    with contextlib.suppress(OSError):
        os.fsync(folder)
