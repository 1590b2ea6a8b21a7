"""Files of a workspace: what runs wherever the agent's own commands run. Stdlib only.

In a session without a prefix the host calls these functions itself; inside a space ``main`` answers one request, a line
of JSON and after it the content of a file, in the same form.
"""

from __future__ import annotations

import difflib
import json
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO


class FileTrouble(Exception):
    """A file cannot be read or written; the text is for the model."""


def resolve_inside(workspace: Path, path: str) -> Path:
    """``path`` resolved, whether it exists or not. Raises FileTrouble if it leads out of the workspace."""
    try:
        root = workspace.resolve()
        found = (root / path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FileTrouble(f"{path!r} is no usable path: {error}") from None
    if not found.is_relative_to(root):
        raise FileTrouble(f"{path!r} is outside the workspace ({root}); file tools stay inside it")
    return found


def name_of(workspace: Path, path: str) -> str:
    """``path`` as the log and the model write it: resolved, and relative to the workspace."""
    return resolve_inside(workspace, path).relative_to(workspace.resolve()).as_posix()


def read(workspace: Path, path: str, limit: int) -> bytes:
    """The content of a regular file inside the workspace. Raises FileTrouble, also for more than ``limit`` bytes."""
    with _open_regular(workspace, path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise FileTrouble(f"{path!r} is too large for this tool: {size:,} bytes, at most {limit:,}")
        return file.read(limit)


def read_before(workspace: Path, path: str, limit: int) -> bytes | None:
    """As ``read``; None where there is no such file."""
    try:
        exists = resolve_inside(workspace, path).exists()
    except OSError as error:
        raise FileTrouble(f"{_short(path)} is no usable path: {error.strerror}") from None
    return read(workspace, path, limit) if exists else None


def write(workspace: Path, path: str, content: bytes) -> None:
    """Put ``content`` in place of ``path`` at once, so that a crash leaves the old file or the new one."""
    found = resolve_inside(workspace, path)
    temporary = found.with_name(f".{found.name[:40]}.{secrets.token_hex(4)}")
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
            if found.exists():
                temporary.chmod(found.stat().st_mode & 0o7777)
            temporary.replace(found)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileTrouble(f"cannot write {_short(path)}: {error.strerror}") from None


def _open_regular(workspace: Path, path: str) -> BinaryIO:
    found = resolve_inside(workspace, path)
    try:
        # Not followed and not blocking: what was resolved may have become a link or a fifo since.
        handle = os.open(found, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise FileTrouble(f"there is no file {path!r} in the workspace{_near(found)}") from None
    except OSError as error:
        raise FileTrouble(f"cannot read {_short(path)}: {error.strerror}") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise FileTrouble(f"{path!r} is {kind}{_listing(found) if stat.S_ISDIR(mode) else ''}")
    return os.fdopen(handle, "rb")


def _short(path: str) -> str:
    return repr(path if len(path) <= 200 else f"{path[:200]}…")


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


def main() -> None:
    """Answer the one request on standard input: ``do`` is read, read_before or write."""
    wish: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    root, path = Path(wish["root"]), wish["path"]
    answer: dict[str, Any] = {}
    content: bytes | None = b""
    try:
        answer["name"] = name_of(root, path)
        match wish["do"]:
            case "read":
                content = read(root, path, wish["limit"])
            case "read_before":
                content = read_before(root, path, wish["limit"])
                answer["missing"] = content is None
            case "write":
                write(root, path, sys.stdin.buffer.read())
    except FileTrouble as trouble:
        answer["trouble"] = str(trouble)
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + (content or b""))
    sys.stdout.buffer.flush()
