"""The folder that an agent works in: a copy of the task's workspace, the folder itself, or an empty one."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions.errors import ApolloError
from sessions.events import EvaluateSpec
from sessions.untrusted_files import CHUNK, SpoiltFile, open_folder, open_regular, opened_folder

MAX_BYTES: Final = 5 * 1024**3
MAX_FILES: Final = 200_000
SPARE_BYTES: Final = 512 * 1024**2
"""What a copy must leave free on the disk."""
MOST_DEPTH: Final = 200
"""Folders within folders that are copied."""
MOST_ROUNDS: Final = 100_000
"""In which a copy is removed, each that many folders deep."""
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
    size = measure_folder(workspace, skip)
    _check_room(size, place)
    copy, home = place / WORKSPACE, place / SCORER
    copy_tree(workspace, copy, skip, most=size.size + SPARE_BYTES // 2)
    if (session_folder / SCORER).is_dir():
        copy_tree(session_folder / SCORER, home)
    else:
        home.mkdir()
    return copy, home


def copy_tree(source: Path, target: Path, skip: Path | None = None, *, most: int | None = None) -> None:
    """Copy a folder, at most ``most`` bytes of files. Raises WorkspaceError for one that cannot be read or is larger.

    Who can write there may change it meanwhile: files that vanish are left out, and so are those that have become a
    link or anything else that cannot be copied. Nothing outside the folder is read.
    """
    try:
        handle = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _Copy(source, _identity(skip), most).copy_folder(handle, Path(), target)
        finally:
            os.close(handle)
    except OSError as error:
        raise WorkspaceError(f"cannot copy {error.filename or source}: {error.strerror}") from None


def remove_tree(folder: Path) -> None:
    """Remove a copy, its read-only folders too, as far as it lets us. Links are never followed."""
    with contextlib.suppress(OSError):
        handle = _open_own(folder)
        try:
            for _ in range(MOST_ROUNDS):
                if not _empty(handle, handle):
                    break
        finally:
            os.close(handle)
        folder.rmdir()


def measure_folder(folder: Path, skip: Path | None = None) -> Size:
    """How much a folder holds, links not followed; stops counting far above what may be copied."""
    found = _Measure(_identity(skip))
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            found.add_folder(handle, "", 0)
        finally:
            os.close(handle)
    sizes = found.sizes
    return Size(found.files, sum(sizes.values()), max(sizes, key=lambda key: sizes[key], default=""))


Identity = tuple[int, int]
"""A folder by device and number: its path may come to mean another one."""


class _Measure:
    """Counts what folders hold."""

    def __init__(self, skipped: Identity | None) -> None:
        self.files = 0
        self.sizes: dict[str, int] = {}
        self._skipped = skipped

    def add_folder(self, folder: int, top: str, depth: int) -> None:
        """Count what is in ``folder``, under the name of what is directly in the first one."""
        for entry in _entries(folder):
            if self.files > 10 * MAX_FILES:
                return
            with contextlib.suppress(OSError):  # it is gone, or not to be read, which the copy says
                if not entry.is_dir(follow_symlinks=False):
                    self.files += 1
                    key = top or entry.name
                    self.sizes[key] = self.sizes.get(key, 0) + entry.stat(follow_symlinks=False).st_size
                elif depth < MOST_DEPTH:
                    with opened_folder(entry.name, at=folder) as inner:
                        if _identity(inner) != self._skipped:
                            self.add_folder(inner, top or f"{entry.name}/", depth + 1)


class _Copy:
    """Copies what is below ``source``. Its folders are opened one from the other, and files by their names in them."""

    def __init__(self, source: Path, skipped: Identity | None, most: int | None) -> None:
        self._source = source
        self._skipped = skipped
        self._left = most

    def copy_folder(self, folder: int, place: Path, target: Path) -> None:
        """Copy ``folder``, which is at ``place`` below the source. Raises OSError and WorkspaceError."""
        if len(place.parts) > MOST_DEPTH:
            raise WorkspaceError(f"cannot copy {self._source}: its folders are nested more than {MOST_DEPTH} deep")
        target.mkdir(parents=True)
        for entry in _entries(folder):
            try:
                self._copy_entry(entry, folder, place, target / entry.name)
            except (FileNotFoundError, SpoiltFile):  # gone, or not what it was
                continue
            except OSError as error:
                if not Path(error.filename or "").is_absolute():
                    error.filename = str(self._source / place / entry.name)
                raise
        made = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _copy_attributes(folder, made)
        finally:
            os.close(made)

    def _copy_entry(self, entry: os.DirEntry[str], folder: int, place: Path, target: Path) -> None:
        if entry.is_symlink():
            target.symlink_to(_read_link(entry.name, folder))
        elif entry.is_dir(follow_symlinks=False):
            with opened_folder(entry.name, at=folder) as inner:
                if _identity(inner) != self._skipped:
                    self.copy_folder(inner, place / entry.name, target)
        elif entry.is_file(follow_symlinks=False):
            handle = open_regular(entry.name, at=folder)
            try:
                self._copy_file(handle, target)
            finally:
                os.close(handle)

    def _copy_file(self, read: int, target: Path) -> None:
        """Copy content and mode; the kernel shares the blocks where the file system can."""
        size = os.fstat(read).st_size
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise WorkspaceError(f"cannot copy {self._source}: it grew while it was copied")
        with target.open("wb") as write:
            if not _copy_by_kernel(read, write.fileno(), size):
                os.lseek(read, 0, os.SEEK_SET)
                write.truncate(0)
                while size > 0 and (part := os.read(read, min(size, CHUNK))):
                    write.write(part)
                    size -= len(part)
                write.flush()
            _copy_attributes(read, write.fileno())


def _read_link(name: str, folder: int) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise SpoiltFile(error.errno, "is no link any more", name) from None
        raise


def _entries(folder: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _identity(folder: Path | int | None) -> Identity | None:
    if folder is None:
        return None
    try:
        found = os.stat(folder)  # noqa: PTH116 - a path or a handle
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _copy_attributes(source: int, target: int) -> None:
    """Mode, times, and the further attributes that the file system takes."""
    found = os.fstat(source)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for name in os.listxattr(source):
                with contextlib.suppress(OSError):
                    os.setxattr(target, name, os.getxattr(source, name))
    os.fchmod(target, stat.S_IMODE(found.st_mode))


def _copy_by_kernel(read: int, write: int, size: int) -> bool:
    if not hasattr(os, "copy_file_range"):
        return False
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


def _empty(top: int, folder: int, depth: int = 0) -> bool:
    """Remove what is in ``folder``. What lies too deep is moved to ``top``: True if there was any."""
    os.fchmod(folder, stat.S_IRWXU)
    moved = False
    for entry in _entries(folder):
        with contextlib.suppress(OSError):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
                continue
            inner = _open_own(entry.name, folder)
            try:
                if depth < MOST_DEPTH:
                    moved |= _empty(top, inner, depth + 1)
                else:
                    os.fchmod(inner, stat.S_IRWXU)
                    os.rename(entry.name, f".{os.urandom(8).hex()}", src_dir_fd=folder, dst_dir_fd=top)
                    moved = True
                    continue
            finally:
                os.close(inner)
            os.rmdir(entry.name, dir_fd=folder)
    return moved


def _open_own(path: Path | str, at: int | None = None) -> int:
    """``open_folder`` for one of ours, whatever its mode."""
    try:
        return open_folder(path, at=at)
    except PermissionError:
        if sys.platform != "linux":
            os.chmod(path, stat.S_IRWXU, dir_fd=at, follow_symlinks=False)
        else:
            named = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            try:
                Path(f"/proc/self/fd/{named}").chmod(stat.S_IRWXU)
            finally:
                os.close(named)
        return open_folder(path, at=at)


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
