"""Files that are there whole or not at all, and that never replace another one unasked."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from apollo_train.errors import FileInTheWay, TrainError


class WriteFailed(TrainError):
    """The disk said no; no file was changed."""


class NewFile:
    """A file that grows under another name in the same folder, hashed on the way, until ``put`` gives it its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self.bytes = 0
        self._hash = hashlib.sha256()
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._file: BinaryIO = self._temporary.open("xb")

    @property
    def sha256(self) -> str:
        """The hash of what was written so far."""
        return self._hash.hexdigest()

    def line(self, data: bytes) -> None:
        """Write one line and its end."""
        whole = data + b"\n"
        self._file.write(whole)
        self._hash.update(whole)
        self.lines += 1
        self.bytes += len(whole)

    def put(self, *, overwrite: bool) -> None:
        """Make it durable and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if overwrite:
            self._temporary.replace(self.path)
            return
        try:
            # A link fails where the name is taken, also if somebody took it this very moment; a rename would not.
            self.path.hardlink_to(self._temporary)
        except FileExistsError as problem:
            raise in_the_way(self.path) from problem
        except OSError:
            if self.path.exists():
                raise in_the_way(self.path) from None
            self._temporary.replace(self.path)
        self._temporary.unlink(missing_ok=True)

    def drop(self) -> None:
        """Leave nothing behind, unless it has its name already."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class NewFiles:
    """Several files that appear together: the last one named only when all others are in place."""

    def __init__(self, paths: Sequence[Path], *, overwrite: bool) -> None:
        """Raises FileInTheWay, or WriteFailed where the folder takes no file."""
        self._overwrite = overwrite
        self.files: list[NewFile] = []
        if not overwrite:
            for path in paths:
                if path.exists():
                    raise in_the_way(path)
        with self.told(), contextlib.ExitStack() as undo:
            for path in paths:
                self.files.append(NewFile(path))
                undo.callback(self.files[-1].drop)
            undo.pop_all()

    def __enter__(self) -> NewFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self.files:
            file.drop()

    def put(self) -> None:
        """Give all of them their names, in order; if one cannot have its own, none that is new stays."""
        placed: list[NewFile] = []
        try:
            with self.told():
                for file in self.files:
                    file.put(overwrite=self._overwrite)
                    placed.append(file)
        except BaseException:
            for file in placed if not self._overwrite else ():
                file.path.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """What the disk says no to becomes one line for a person."""
        try:
            yield
        except OSError as problem:
            raise WriteFailed(f"cannot write {problem.filename or 'the export'}: {problem.strerror}") from problem


def in_the_way(path: Path) -> FileInTheWay:
    """The error that says which file, and what to do."""
    return FileInTheWay(f"{path} is there already: choose another name, or say --overwrite")
