"""The one writer: an flock on a file beside the log, held for the life of the host process.

The file also says who holds it and, once it is free, how its last holder ended. A host that is stopped (SIGSTOP)
still holds the lock, so it is never taken for dead. The file is never deleted: a lock on a deleted file locks nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from sessions.errors import ApolloError
from sessions.hints import Remedy

TRY_SECONDS: Final = 1.0
"""How long a new host tries: those who only look take the lock for an instant."""
WAITS_CHARS: Final = 400
RECORD_BYTES: Final = 2047


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, or held it last. ``ended`` is "" while it lives and after a crash."""

    pid: int
    started_at: int
    ended: Literal["", "stopped", "restart"] = ""
    waits: str = ""
    """What it waits for, or why it could not start; one line."""


class LockHeld(ApolloError):
    """Another host writes this log; the text says which, in one line."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        who = f"another host (pid {holder.pid})" if holder else "another host"
        super().__init__(f"{who} already holds {path}", remedies=[Remedy("stop_host", "ends it")])
        self.holder = holder


class HostLock:
    """An flock that this process holds. The descriptor is not inherited: a job never keeps the log locked."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.before = _read(descriptor)
        """Who held the lock before, and how that one ended."""
        self._holder = Holder(pid=os.getpid(), started_at=int(time.time() * 1000))
        self._write(self._holder)

    @classmethod
    def acquire(cls, path: Path, *, seconds: float = TRY_SECONDS) -> HostLock:
        """Take the lock, or raise LockHeld after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same_file(descriptor, path):
                    return cls(path, descriptor)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                    os.close(descriptor)
                    raise
                if time.monotonic() >= deadline:
                    holder = _read(descriptor)
                    os.close(descriptor)
                    raise LockHeld(path, holder) from None
            os.close(descriptor)
            time.sleep(0.02)

    def note_end(self, how: Literal["stopped", "restart"]) -> None:
        """Say how this host ends, just before it does; a crash says nothing, and that is how it is known."""
        self._write(msgspec.structs.replace(self._holder, ended=how))

    def note_waits(self, waits: str) -> None:
        """Say what the holder waits for, "" for nothing. It costs no room, so a full disk can be told of."""
        self._holder = msgspec.structs.replace(self._holder, waits=waits[:WAITS_CHARS])
        with contextlib.suppress(OSError):
            self._write(self._holder)

    @property
    def is_removed(self) -> bool:
        """Whether the file is gone from its path: then nobody else knows of this lock, nor of the log beside it."""
        return not _same_file(self._descriptor, self.path)

    def release(self) -> None:
        """Let go of the lock."""
        os.close(self._descriptor)

    def _write(self, holder: Holder) -> None:
        # Always as long: it is written over in place, whole for who reads meanwhile, and also where there is no room.
        data = msgspec.json.encode(holder).ljust(RECORD_BYTES) + b"\n"
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))


def holder(path: Path) -> Holder | None:
    """Who holds the lock now, None if nobody does. Never waits and never starts anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
            raise
        return _read(descriptor) or Holder(pid=0, started_at=0)
    else:
        return None
    finally:
        os.close(descriptor)


def last_holder(path: Path) -> Holder | None:
    """Who holds the lock, or held it last; None if nobody ever did."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def wait_until_free(path: Path) -> Holder | None:
    """Sleep in the kernel until nobody holds the lock; who held it last and how it ended, None if never held."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """The lock's file. A link in its place is refused: what it leads to would be written over."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ApolloError(f"{path} is a link, and a lock must be a file: remove it") from error
        raise


def _read(descriptor: int) -> Holder | None:
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    return None


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
