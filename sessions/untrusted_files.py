"""Files in folders that commands of an agent can write: never followed elsewhere, never waited for. Stdlib only.

Where a file of ours is expected a command may have put a link to somebody's secret, a fifo that nobody writes to, or a
file without end. So a folder is opened first and its files by their names in it, links are not followed, and nothing
is read but a regular file, up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

CHUNK: Final = 1024 * 1024
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: Final = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISSOCK, "a socket"),
)


class SpoiltFile(OSError):
    """Something else lies where a file or folder of ours belongs; ``strerror`` says what."""


def open_folder(path: str | Path, *, at: int | None = None) -> int:
    """A handle of the folder ``path`` (a name in the folder ``at``), which is no link. Raises OSError."""
    try:
        return os.open(path, _FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise SpoiltFile(error.errno, f"is {_kind_of(path, at)} and no folder", str(path)) from None
        raise


@contextmanager
def opened_folder(path: str | Path, *, at: int | None = None) -> Iterator[int]:
    """``open_folder``, closed at the end of the block."""
    handle = open_folder(path, at=at)
    try:
        yield handle
    finally:
        os.close(handle)


def open_regular(path: str | Path, *, at: int | None = None, flags: int = _READ) -> int:
    """A handle for reading the regular file ``path`` (a name in the folder ``at``).

    Raises FileNotFoundError, SpoiltFile for anything but a regular file, or another OSError.
    """
    try:
        handle = os.open(path, flags, dir_fd=at)
    except OSError as error:
        # A socket, and a file that somebody has a lease on, cannot be opened at once either.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EWOULDBLOCK):
            raise SpoiltFile(error.errno, f"is {_kind_of(path, at)} and no file of ours", str(path)) from None
        raise
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    raise SpoiltFile(errno.EINVAL, f"is {_kind(mode)} and no file of ours", str(path))


def open_log(path: str | Path, *, at: int | None = None) -> int:
    """As ``open_regular``, made if it is not there, for words to be added at its end."""
    handle = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=at
    )
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise SpoiltFile(errno.EINVAL, "is no file of ours", str(path))


def write_below(folder: Path, name: str, content: bytes) -> None:
    """Put a file ``name`` below ``folder``, in folders that are made as needed, in place of what is there.

    Raises SpoiltFile where one of the folders is a link, or another OSError.
    """
    *above, last = Path(name).parts
    at = open_folder(folder)
    try:
        for part in above:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=at)
            inner = open_folder(part, at=at)
            os.close(at)
            at = inner
        temporary = f".{last[:40]}.{os.urandom(4).hex()}"
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at
        )
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, last, src_dir_fd=at, dst_dir_fd=at)
    finally:
        os.close(at)


def read_regular(path: str | Path, limit: int, *, at: int | None = None) -> bytes:
    """What the regular file ``path`` holds. Raises as ``open_regular``; SpoiltFile also above ``limit`` bytes."""
    handle = open_regular(path, at=at)
    try:
        data = read_up_to(handle, limit + 1)
    finally:
        os.close(handle)
    if len(data) > limit:
        raise SpoiltFile(errno.EFBIG, f"is larger than {limit:,} bytes", str(path))
    return data


def read_up_to(handle: int, count: int) -> bytes:
    """At most ``count`` bytes from where ``handle`` stands."""
    parts: list[bytes] = []
    while count > 0 and (part := os.read(handle, min(count, CHUNK))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def is_there(name: str, *, at: int) -> bool:
    """Whether the folder ``at`` has an entry of this name, whatever it is."""
    try:
        os.stat(name, dir_fd=at, follow_symlinks=False)
    except OSError:
        return False
    return True


def _kind_of(path: str | Path, at: int | None) -> str:
    try:
        return _kind(os.stat(path, dir_fd=at, follow_symlinks=False).st_mode)
    except OSError:
        return "gone"


def _kind(mode: int) -> str:
    return next((words for matches, words in _KINDS if matches(mode)), "something else")
