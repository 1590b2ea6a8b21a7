"""The output of a job in bounded space: its first bytes, and a ring of its newest. Stdlib only: the holder imports it.

Every byte has an offset, counted from the first that the command wrote, also where the middle was dropped.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions.jobs import files
from sessions.untrusted_files import CHUNK, open_regular, opened_folder, read_up_to

HEAD: Final = 32 * 1024 * 1024
"""Bytes kept from the start, unless the job's spec says otherwise."""
RING: Final = 32 * 1024 * 1024
"""Bytes kept from the end."""
_COUNTS: Final = struct.Struct(">QQ")
"""The ring's header: bytes that may be overwritten by now, bytes that are whole; both counted from the ring's first."""
MOST_BYTES: Final = 2**53
"""Of a count that can be true: a command can write its own into our files."""
SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EIO})
"""Errors that say nothing of a file, and may be over in a moment."""
READ_TRIES: Final = 1000
"""To read a stretch of the ring before it is written over."""


class RingWriter:
    """Takes all that a command writes. A full disk loses output, never the job: ``lost`` counts such bytes."""

    def __init__(self, folder: Path, head: int = HEAD, ring: int = RING) -> None:
        self.total = 0
        self.lost = 0
        self._folder = folder
        self._head = head
        self._ring = ring
        self._output = os.open(folder / files.OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._tail: int | None = None

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        view = memoryview(data)
        room = max(0, self._head - self.total)
        if room:
            self._put(self._output, view[:room], self.total)
        self.total += len(data)
        rest = view[room:]
        if len(rest):
            self._write_ring(rest)

    def _write_ring(self, rest: memoryview) -> None:
        if self._tail is None:
            try:
                self._tail = os.open(self._folder / files.TAIL, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            except OSError:
                self.lost += len(rest)
                return
        end = self.total - self._head
        before = end - len(rest)
        rest = rest[-self._ring :]
        place = (end - len(rest)) % self._ring
        first = min(len(rest), self._ring - place)
        # Said before and after, so that a reader knows which bytes it may trust.
        self._put(self._tail, memoryview(_COUNTS.pack(end, before)), 0)
        self._put(self._tail, rest[:first], _COUNTS.size + place)
        self._put(self._tail, rest[first:], _COUNTS.size)
        self._put(self._tail, memoryview(_COUNTS.pack(end, end)), 0)

    def _put(self, handle: int, data: memoryview, offset: int) -> None:
        while len(data):
            try:
                done = os.pwrite(handle, data, offset)
            except OSError:
                self.lost += len(data)
                return
            data = data[done:]
            offset += done


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes from ``start`` up to ``end``. ``missing`` of those that were asked for are gone, before ``data``."""

    data: bytes
    start: int
    end: int
    total: int
    missing: int = 0


@dataclass(frozen=True, slots=True)
class RingReader:
    """Reads what a RingWriter of another process has written so far in ``folder``, with the same caps.

    Commands can write there, too: what is no file of ours is not read, and ``trouble`` says what it is.
    """

    folder: Path
    head: int = HEAD
    ring: int = RING
    within: str = ""
    """The folder in ``folder`` where it writes; "" for that one itself."""

    def total(self) -> int:
        """How many bytes the command has written."""
        with self._open(files.OUTPUT) as output:
            if output is None:
                return 0
            size = os.fstat(output).st_size
        return self.head + self._counts()[1] if size >= self.head else size

    def written_at(self) -> int:
        """When the command last wrote (Unix ms), 0 if it never did. Commands can set the times of these files."""
        times = [0]
        for name in (files.OUTPUT, files.TAIL):
            with self._open(name) as handle:
                if handle is not None and (found := os.fstat(handle)).st_size:
                    times.append(found.st_mtime_ns // 1_000_000)
        return max(times)

    def is_cut(self, before: int) -> bool:
        """Whether bytes are gone that were kept: their file was removed, replaced or cut. ``before``: so many there
        were."""
        try:
            with self._opened() as folder:
                handle = open_regular(files.OUTPUT, at=folder)
                try:
                    size = os.fstat(handle).st_size
                finally:
                    os.close(handle)
                if before > self.head:
                    os.close(open_regular(files.TAIL, at=folder))
        except OSError as error:
            return error.errno not in SHORTAGES
        return size < min(before, self.head)

    def trouble(self) -> str:
        """Why the output cannot be read, though it should be there; "" if it can, or if there is none."""
        try:
            with self._opened() as folder:
                for name in (files.OUTPUT, files.TAIL):
                    with contextlib.suppress(FileNotFoundError):
                        os.close(open_regular(name, at=folder))
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{Path(error.filename or self.folder).name} {error.strerror}"
        return ""

    def read(self, since: int, limit: int) -> Piece:
        """At most ``limit`` bytes from offset ``since`` on, in one run: a gap is skipped and told as ``missing``."""
        total = self.total()
        since = min(since, total)
        if since < self.head:
            data = self._read_head(since, min(limit, self.head - since))
            return Piece(data, since, since + len(data), max(total, since + len(data)))
        for _ in range(READ_TRIES):
            begun, done = self._counts()
            start = max(since, self.head + begun - self.ring)
            end = max(start, min(start + limit, self.head + done))
            data = self._read_ring(start - self.head, end - start)
            if self._counts()[0] - self.ring <= start - self.head:
                return Piece(data, start, end, self.head + done, start - since)
        return Piece(b"", since, since, total)

    def read_before(self, end: int, limit: int) -> Piece:
        """At most ``limit`` bytes that end at offset ``end``, in one run; where those are gone, the newest before them,
        which end earlier.
        """
        end = min(end, self.total())
        if end > self.head:
            piece = self.read(max(self.head, end - limit), min(limit, end - self.head))
            if piece.start < end:
                kept = piece.data[: end - piece.start]
                return Piece(kept, piece.start, piece.start + len(kept), piece.total)
        end = min(end, self.head)
        return self.read(max(0, end - limit), min(limit, end))

    def tail(self, limit: int) -> Piece:
        """The newest bytes, at most ``limit``."""
        return self.read(max(0, self.total() - limit), limit)

    def ends(self, limit: int) -> tuple[Piece, Piece | None]:
        """The whole as (all, None) if it is kept and not above ``limit`` bytes, else its first and its newest half."""
        total = self.total()
        if total <= min(limit, self.head):
            return self.read(0, limit), None
        head = self.read(0, min(limit // 2, self.head))
        tail = self.read(max(head.end, total - limit // 2), limit)
        if tail.start == head.end and tail.end == total and total <= limit:
            return Piece(head.data + tail.data, 0, total, total), None
        return head, tail

    def sha256(self) -> str:
        """Of the first bytes that are kept; "" where they are gone or no file of ours."""
        import hashlib  # the holder, which starts for each command, does without it

        digest = hashlib.sha256()
        with self._open(files.OUTPUT) as output:
            if output is None or os.fstat(output).st_size > self.head:
                return ""
            left = self.head
            while left > 0 and (part := os.read(output, min(left, CHUNK))):
                digest.update(part)
                left -= len(part)
        return digest.hexdigest()

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        with opened_folder(self.folder) as folder:
            if not self.within:
                yield folder
                return
            with opened_folder(self.within, at=folder) as inner:
                yield inner

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[int | None]:
        """A handle of one of our files; None where there is none, or something else is in its place."""
        try:
            with self._opened() as folder:
                handle = open_regular(name, at=folder)
        except OSError:
            yield None
            return
        try:
            yield handle
        finally:
            os.close(handle)

    def _counts(self) -> tuple[int, int]:
        with self._open(files.TAIL) as tail:
            raw = b"" if tail is None else os.read(tail, _COUNTS.size)
        begun, done = _COUNTS.unpack(raw) if len(raw) == _COUNTS.size else (0, 0)
        return (begun, done) if done <= begun <= MOST_BYTES else (0, 0)

    def _read_head(self, offset: int, length: int) -> bytes:
        with self._open(files.OUTPUT) as output:
            return b"" if output is None else _read_at(output, offset, length)

    def _read_ring(self, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        with self._open(files.TAIL) as tail:
            if tail is None:
                return b""
            place = offset % self.ring
            data = _read_at(tail, _COUNTS.size + place, min(length, self.ring - place))
            if len(data) < length:
                data += _read_at(tail, _COUNTS.size, length - len(data))
        return data


def _read_at(handle: int, offset: int, length: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return read_up_to(handle, length)
