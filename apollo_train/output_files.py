"""Files that are there whole or not at all, that never replace another one unasked, and that can be gone on with.

A file grows as ``.NAME.part`` in the same folder, locked, until it gets its name. A journal beside it says after each
session how far the files were then, so that an export which was killed can go on from there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import msgspec
from blake3 import blake3

from apollo_train.runtime import FileInTheWay, TrainError
from sessions.private_files import open_private

CHUNK: Final = 1 << 18
"""Bytes that are written and hashed at once: few calls, and the hash finds them in the processor's cache."""

Data = bytes | tuple[bytes, ...]
"""The bytes of a line, or its pieces: a long one need not be put together before it is written."""


def journal_of(path: Path) -> Path:
    """Where the journal of an export to ``path`` is, while the export runs and after it was stopped."""
    return path.with_name(f".{path.name}.journal")


class WriteFailed(TrainError):
    """The disk said no; no file was changed."""


class NewFile:
    """A file that grows under another name in the same folder, hashed on the way, until ``put`` gives it its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = 0
        self._hash = blake3()
        self._waiting: list[bytes] = []
        self._room = CHUNK
        self._temporary = path.with_name(f".{path.name}.part")
        self._file = open_private(self._temporary, "ab+", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            self._file.close()
            raise FileInTheWay(f"another export is writing {path}: wait for it, or choose another name") from problem

    @property
    def checksum(self) -> str:
        """The BLAKE3 of what was written so far, as ``b3sum`` prints it."""
        self.flush()
        return str(self._hash.hexdigest())

    def line(self, data: Data) -> None:
        """Write one line (or several, with their ends between them) and its end."""
        if isinstance(data, bytes):
            self._waiting += (data, b"\n")
            size = len(data) + 1
        else:
            self._waiting += data
            self._waiting.append(b"\n")
            size = sum(map(len, data)) + 1
        self.bytes += size
        self._room -= size
        if self._room <= 0:
            self.flush()

    def copy(self, source: IO[bytes], size: int) -> None:
        """Write the next ``size`` bytes of an open file."""
        self.flush()
        while size:
            chunk = source.read(min(size, CHUNK))
            if not chunk:
                raise OSError(errno.EIO, "a piece of the export is cut off", str(self.path))
            self._put(chunk)
            self.bytes += len(chunk)
            size -= len(chunk)

    def begin(self, size: int = 0) -> None:
        """Keep the first ``size`` bytes of an earlier attempt and go on after them."""
        self._file.truncate(size)
        self._file.seek(0)
        self._hash, self.bytes = blake3(), size
        self._waiting, self._room = [], CHUNK
        while chunk := self._file.read(CHUNK):
            self._hash.update(chunk)

    def size(self) -> int:
        """How long the unfinished file is on disk."""
        return os.fstat(self._file.fileno()).st_size

    def flush(self) -> None:
        """Hand all of it to the system."""
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting, self._room = [], CHUNK
            self._put(data)

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def put(self, *, overwrite: bool) -> None:
        """Make it durable and give it its name."""
        self.flush()
        os.fsync(self._file.fileno())
        if overwrite:
            self._temporary.replace(self.path)
            return
        try:
            # A link fails where the name is taken, also if somebody took it this very moment; a rename would not.
            self.path.hardlink_to(self._temporary)
        except FileExistsError as problem:
            raise file_in_the_way(self.path) from problem
        except OSError:
            if self.path.exists():
                raise file_in_the_way(self.path) from None
            self._temporary.replace(self.path)
        self._temporary.unlink(missing_ok=True)

    def drop(self, *, keep: bool = False) -> None:
        """Leave nothing behind, unless it has its name already or is to be kept for later."""
        if not self._file.closed:
            if not keep:
                self._temporary.unlink(missing_ok=True)
            self._file.close()


class NewFiles:
    """Several files that appear together: the last one named only when all others are in place."""

    def __init__(self, paths: Sequence[Path], *, overwrite: bool, resume: bool = False) -> None:
        """Raises FileInTheWay, or WriteFailed where the folder takes no file. ``resume`` leaves it to a journal
        where to begin. The last of ``paths`` is the one that was asked for: errors name it."""
        self._asked = paths[-1]
        self._overwrite = overwrite
        self._keep = False
        self.files: list[NewFile] = []
        if self._asked.exists() and not self._asked.is_file():
            what = "a folder" if self._asked.is_dir() else "no ordinary file"
            raise FileInTheWay(f"{self._asked} is {what}: name the file to write")
        if not overwrite:
            for path in reversed(paths):
                if path.exists():
                    raise file_in_the_way(path)
        with self.explain_errors(), contextlib.ExitStack() as undo:
            for path in paths:
                self.files.append(NewFile(path))
                undo.callback(self.files[-1].drop)
                if not resume:
                    self.files[-1].begin()
            undo.pop_all()

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Somebody pressed ctrl+c: what is done can be gone on with. A fault would come again.
        keep = self._keep and kind is not None and not issubclass(kind, Exception)
        for file in self.files:
            file.drop(keep=keep)

    def keep_if_stopped(self) -> None:
        """From now on an interrupted export leaves its unfinished files, to go on later."""
        self._keep = True

    def put(self) -> None:
        """Give all of them their names, in order; if one cannot have its own, none that is new stays."""
        placed: list[NewFile] = []
        try:
            with self.explain_errors():
                for file in self.files:
                    file.put(overwrite=self._overwrite)
                    placed.append(file)
        except BaseException:
            for file in placed if not self._overwrite else ():
                file.path.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def explain_errors(self) -> Iterator[None]:
        """What the disk says no to becomes one line for a person."""
        try:
            yield
        except OSError as problem:
            folder = self._asked.parent
            if isinstance(problem, FileNotFoundError) and not folder.exists():
                raise WriteFailed(f"cannot write {self._asked}: there is no folder {folder}") from problem
            raise WriteFailed(f"cannot write {self._asked}: {problem.strerror}") from problem


class Mark(msgspec.Struct, frozen=True):
    """How far an export was after ``session``: the lengths and hashes of its files, and what it had counted."""

    session: str
    sizes: tuple[int, ...]
    hashes: tuple[str, ...]
    state: dict[str, Any] = {}


class Journal:
    """After each session, how far the files are. Gone when the export is done."""

    def __init__(self, path: Path, key: str, files: Sequence[NewFile]) -> None:
        self._files = files
        self._key = key
        self._path = path
        self._file: IO[bytes] | None = None

    def begin(self, *, resume: bool) -> list[Mark]:
        """What an earlier attempt of the very same export finished, if that is wanted; the files go on after it."""
        marks: list[Mark] = []
        with contextlib.suppress(OSError, ValueError):
            head, *lines = self._path.read_bytes().splitlines()
            if resume and head.decode(errors="replace") == self._key:
                for line in lines:  # the last one may be cut off
                    marks.append(msgspec.json.decode(line, type=Mark))
        while marks and any(f.size() < size for f, size in zip(self._files, marks[-1].sizes, strict=True)):
            marks.pop()
        for file, size in zip(self._files, marks[-1].sizes if marks else [0] * len(self._files), strict=True):
            file.begin(size)
        if marks and tuple(file.checksum for file in self._files) != marks[-1].hashes:
            marks = []
            for file in self._files:
                file.begin()
        self._begin(marks)
        return marks

    def _begin(self, marks: Sequence[Mark]) -> None:
        self._file = open_private(self._path)
        self._file.write(self._key.encode() + b"\n")
        for mark in marks:
            self._file.write(msgspec.json.encode(mark) + b"\n")
        self._file.flush()

    def mark(self, session: str, state: dict[str, Any]) -> None:
        """The session is done."""
        assert self._file is not None
        for file in self._files:
            file.flush()
        mark = Mark(session, tuple(f.bytes for f in self._files), tuple(f.checksum for f in self._files), state)
        self._file.write(msgspec.json.encode(mark) + b"\n")
        self._file.flush()

    def close(self, *, keep: bool = False) -> None:
        """Take the journal away, unless somebody may go on later."""
        if self._file is not None:
            self._file.close()
        if not keep:
            self._path.unlink(missing_ok=True)


def file_in_the_way(path: Path) -> FileInTheWay:
    """The error that says which file, and what to do."""
    return FileInTheWay(f"{path} is there already: choose another name, or say --overwrite")
