"""The folder that an agent works in: a copy of the task's workspace, the folder itself, or an empty one."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.events import EvaluateSpec

MAX_BYTES: Final = 5 * 1024**3
MAX_FILES: Final = 200_000
SPARE_BYTES: Final = 512 * 1024**2
"""What a copy must leave free on the disk."""
WORKSPACE: Final = "workspace"
SCORER: Final = "scorer"


class WorkspaceError(ApolloError):
    """A workspace cannot be made; one line with what to do."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a folder holds; ``largest`` is the biggest thing directly in it."""

    files: int
    size: int
    largest: str


def prepare_workspace(
    source: Path | None, session_folder: Path, *, in_place: bool = False, allow_large: bool = False
) -> Path:
    """The workspace of a session, made if it is not there yet; safe to call again after a crash.

    ``source`` None: an empty folder. Links are copied as links; sockets, fifos and devices are left out.
    """
    if source is None:
        if in_place:
            raise WorkspaceError("working in place needs a workspace folder")
        return _make_folder(session_folder / WORKSPACE)
    source = source.expanduser().resolve()
    if not source.is_dir():
        raise WorkspaceError(f"the workspace {source} is no folder")
    if in_place:
        return source
    target = session_folder / WORKSPACE
    if target.exists():
        return target
    if session_folder.resolve().is_relative_to(source):
        raise WorkspaceError(
            f"the workspace {source} holds the log's own folder {session_folder}: "
            "choose a smaller folder or work in place"
        )
    size = measure_folder(source)
    if not allow_large and (size.size > MAX_BYTES or size.files > MAX_FILES):
        raise WorkspaceError(
            f"the workspace {source} is too large to copy ({_gb(size.size)} in {size.files:,} files, most of it in "
            f"{size.largest}): choose a smaller folder or work in place"
        )
    _check_room(size, session_folder)
    partial = session_folder / f"{WORKSPACE}.partial"
    remove_tree(partial)
    copy_tree(source, partial)
    return partial.rename(target)


def keep_scorer(spec: EvaluateSpec, base: Path, session_folder: Path) -> None:
    """Copy the scorer's files (relative to ``base``, the task file's folder) to where the agent does not look.

    All of them end up side by side in one folder, which is where the scorer's command will run.
    """
    home = session_folder / SCORER
    remove_tree(home)
    home.mkdir(parents=True)
    for name in spec.files:
        path = (base / name).resolve()
        target = home / path.name
        if target.exists():
            raise WorkspaceError(f"two files of the scorer have the name {path.name}: rename one")
        if path.is_dir():
            copy_tree(path, target)
        elif path.is_file():
            shutil.copy2(path, target)
        else:
            raise WorkspaceError(f"the scorer's file {path} does not exist")


def copy_for_scoring(workspace: Path, session_folder: Path, place: Path) -> tuple[Path, Path]:
    """Copies of the workspace and of the scorer's folder in ``place``, as (workspace, scorer folder)."""
    remove_tree(place)
    place.mkdir(parents=True)
    # A session that works in place may have its own folder below the workspace: never copied into itself.
    skip = session_folder.parent if session_folder.resolve().is_relative_to(workspace.resolve()) else None
    _check_room(measure_folder(workspace, skip), place)
    copy, home = place / WORKSPACE, place / SCORER
    copy_tree(workspace, copy, skip)
    if (session_folder / SCORER).is_dir():
        copy_tree(session_folder / SCORER, home)
    else:
        home.mkdir()
    return copy, home


def copy_tree(source: Path, target: Path, skip: Path | None = None) -> None:
    """Copy a folder. Files that vanish meanwhile are left out; one that cannot be read is a WorkspaceError."""
    skipped = None if skip is None else skip.resolve()
    try:
        _copy_folder(source, target, skipped)
    except OSError as error:
        raise WorkspaceError(f"cannot copy {error.filename or source}: {error.strerror}") from None


def remove_tree(folder: Path) -> None:
    """Remove a copy, its read-only folders too."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def measure_folder(folder: Path, skip: Path | None = None) -> Size:
    """How much a folder holds, links not followed; stops counting far above what may be copied."""
    sizes: dict[str, int] = {}
    files = 0
    skipped = None if skip is None else str(skip.resolve())
    for place, folders, names in os.walk(folder):
        if skipped and place == skipped:
            folders.clear()
            continue
        top = (*Path(place).relative_to(folder).parts, ".")[0]
        for name in names:
            try:
                found = os.lstat(f"{place}/{name}")
            except FileNotFoundError:
                continue
            key = name if top == "." else top + "/"
            sizes[key] = sizes.get(key, 0) + found.st_size
        files += len(names)
        if files > 10 * MAX_FILES:
            break
    return Size(files, sum(sizes.values()), max(sizes, key=lambda key: sizes[key], default=""))


def _copy_folder(source: Path, target: Path, skipped: Path | None) -> None:
    target.mkdir(parents=True)
    with os.scandir(source) as entries:
        for entry in entries:
            inner = target / entry.name
            try:
                if entry.is_symlink():
                    inner.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - the text as it is
                elif entry.is_dir():
                    if Path(entry.path) != skipped:
                        _copy_folder(Path(entry.path), inner, skipped)
                elif stat.S_ISREG(entry.stat().st_mode):
                    _copy_file(entry.path, inner)
            except FileNotFoundError:
                continue
    shutil.copystat(source, target)


def _copy_file(source: str, target: Path) -> None:
    """Copy content and mode; the kernel shares the blocks where the file system can."""
    with open(source, "rb") as read, target.open("wb") as write:  # noqa: PTH123 - a string from scandir
        if not _copy_by_kernel(read.fileno(), write.fileno()):
            read.seek(0)
            write.truncate(0)
            shutil.copyfileobj(read, write, 1024 * 1024)
    shutil.copystat(source, target)


def _copy_by_kernel(read: int, write: int) -> bool:
    if not hasattr(os, "copy_file_range"):
        return False
    size = os.fstat(read).st_size
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(read, write, size - done)
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM):
                return False
            raise
        if count == 0:
            break
        done += count
    # Some virtual file systems copy nothing and say that all is well.
    return done == size


def _check_room(size: Size, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if size.size + SPARE_BYTES > free:
        raise WorkspaceError(f"no room for a copy of the workspace ({_gb(size.size)}; {_gb(free)} are free in {place})")


def _make_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
