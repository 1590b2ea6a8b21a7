"""The output of a job in bounded space: its first bytes, and a ring of its newest. Stdlib only: the holder imports it.

Every byte has an offset, counted from the first that the command wrote, also where the middle was dropped.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions.jobs import files

HEAD: Final = 32 * 1024 * 1024
"""Bytes kept from the start, unless the job's spec says otherwise."""
RING: Final = 32 * 1024 * 1024
"""Bytes kept from the end."""
_COUNTS: Final = struct.Struct(">QQ")
"""The ring's header: bytes that may be overwritten by now, bytes that are whole; both counted from the ring's first."""


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
    """Reads what a CappedWriter of another process has written so far in ``folder``, with the same caps."""

    folder: Path
    head: int = HEAD
    ring: int = RING

    def total(self) -> int:
        """How many bytes the command has written."""
        try:
            size = (self.folder / files.OUTPUT).stat().st_size
        except FileNotFoundError:
            return 0
        return size + self._counts()[1] if size >= self.head else size

    def read(self, since: int, limit: int) -> Piece:
        """At most ``limit`` bytes from offset ``since`` on, in one run: a gap is skipped and told as ``missing``."""
        total = self.total()
        since = min(since, total)
        if since < self.head:
            data = self._read_head(since, min(limit, self.head - since))
            return Piece(data, since, since + len(data), max(total, since + len(data)))
        while True:
            begun, done = self._counts()
            start = max(since, self.head + begun - self.ring)
            end = max(start, min(start + limit, self.head + done))
            data = self._read_ring(start - self.head, end - start)
            if self._counts()[0] - self.ring <= start - self.head:
                return Piece(data, start, end, self.head + done, start - since)

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

    def _counts(self) -> tuple[int, int]:
        try:
            with (self.folder / files.TAIL).open("rb", buffering=0) as file:
                raw = file.read(_COUNTS.size)
        except FileNotFoundError:
            return 0, 0
        begun, done = _COUNTS.unpack(raw) if len(raw) == _COUNTS.size else (0, 0)
        return begun, done

    def _read_head(self, offset: int, length: int) -> bytes:
        try:
            with (self.folder / files.OUTPUT).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except FileNotFoundError:
            return b""

    def _read_ring(self, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            tail = (self.folder / files.TAIL).open("rb")
        except FileNotFoundError:
            return b""
        with tail as file:
            place = offset % self.ring
            file.seek(_COUNTS.size + place)
            data = file.read(min(length, self.ring - place))
            if len(data) < length:
                file.seek(_COUNTS.size)
                data += file.read(length - len(data))
        return data
