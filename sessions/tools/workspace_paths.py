"""Paths that file tools may touch: those that, with all links resolved, are inside the workspace."""

from __future__ import annotations

import difflib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from sessions.tools.base import ToolFailure


def resolve_inside(workspace: Path, path: str) -> Path:
    """``path`` resolved, whether it exists or not. Raises ToolFailure if it leads out of the workspace."""
    root = workspace.resolve()
    try:
        found = (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ToolFailure(f"{path!r} is no usable path: {error}") from None
    if not found.is_relative_to(root):
        raise ToolFailure(f"{path!r} is outside the workspace ({root}); file tools stay inside it")
    return found


def relative_path(workspace: Path, path: Path) -> str:
    """``path`` as the log and the model write it: relative to the workspace."""
    return path.relative_to(workspace.resolve()).as_posix()


def read_bytes(workspace: Path, path: str, limit: int) -> bytes:
    """The content of a regular file inside the workspace. Raises ToolFailure, also for more than ``limit`` bytes."""
    with open_regular(workspace, path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ToolFailure(f"{path!r} is too large for this tool: {size:,} bytes, at most {limit:,}")
        return file.read(limit)


def open_regular(workspace: Path, path: str) -> BinaryIO:
    """A regular file inside the workspace, for reading. Raises ToolFailure for all else."""
    found = resolve_inside(workspace, path)
    try:
        # Not followed and not blocking: what was resolved may have become a link or a fifo since.
        handle = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise ToolFailure(f"there is no file {path!r} in the workspace{_near(found)}") from None
    except OSError as error:
        raise ToolFailure(f"cannot read {path!r}: {error.strerror}") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ToolFailure(f"{path!r} is {kind}{_listing(found) if stat.S_ISDIR(mode) else ''}")
    return os.fdopen(handle, "rb")


def _near(path: Path) -> str:
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=3)
    return f"; near names: {', '.join(near)}" if near else ""


def _listing(folder: Path) -> str:
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    more = f", and {len(names) - 50} more" if len(names) > 50 else ""
    return f"; it holds: {', '.join(names[:50])}{more}" if names else "; it is empty"
