"""Files as they lie on the disk, packed (gzip, zstd) or not: their bytes, and whether their end is missing."""

from __future__ import annotations

import contextlib
import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from sessions.importers.base import CannotImport

MAX_BYTES: Final = 1 << 30
"""A file, or an entry of an archive, that is larger (unpacked) is refused: it would be held in memory."""
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
ENDINGS: Final = frozenset({".gz", ".zst", ".zstd"})
TRUNCATED: Final = "Input data was truncated"
"""What msgspec says of JSON that ends early."""
_CHUNK: Final = 1 << 20


def cut_off(path: Path) -> CannotImport:
    """The refusal of a file that is one JSON value without its end."""
    return CannotImport(f"{path.name} is cut off: its JSON ends in the middle, so nothing of it is whole")


@dataclass(frozen=True, slots=True)
class FileBytes:
    """What a file holds, unpacked. ``cut``: it is packed, and its end is missing."""

    data: bytes
    cut: bool = False


def plain_path(path: Path) -> Path:
    """The path without the ending that says how it is packed: a recording has one name, packed or not."""
    return path.with_suffix("") if path.suffix in ENDINGS else path


@contextlib.contextmanager
def open_unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The file for reading, unpacked. Raises CannotImport, also while it is read."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic and path.suffix in ENDINGS and any(m != magic and m.startswith(magic) for m in (GZIP, ZSTD)):
                raise EOFError
            if magic.startswith(GZIP):
                with gzip.open(file) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            elif magic == ZSTD:
                with zstd_module().open(file) as unpacked:
                    yield unpacked
            else:
                yield file
    except EOFError as problem:
        raise CannotImport(f"{path.name} is cut off: its packed data ends in the middle") from problem
    except (gzip.BadGzipFile, zlib.error) as problem:
        raise CannotImport(f"{path.name} cannot be unpacked: {problem}") from problem
    except OSError as problem:
        raise CannotImport(f"cannot read {path}: {problem.strerror or problem}") from problem
    except Exception as problem:
        if type(problem).__name__ != "ZstdError":  # its module is loaded for files of zstd alone
            raise
        raise CannotImport(f"{path.name} cannot be unpacked: {problem}") from problem


def read_head(path: Path, size: int) -> bytes:
    """The first bytes, unpacked; fewer where the file is cut off before. Raises CannotImport."""
    with open_unpacked(path) as file:
        return _read(file, size)[0]


def read_unpacked(path: Path) -> FileBytes:
    """All of it; of a packed file that is cut off what could be unpacked. Raises CannotImport."""
    with open_unpacked(path) as file:
        data, cut = _read(file, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CannotImport(f"{path.name} is larger than {MAX_BYTES >> 20:,} MB")
    return FileBytes(data, cut)


def _read(file: IO[bytes], most: int) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    left = most
    # By pieces: of a packed file without its end, all pieces but the last are there.
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    try:
        while left > 0 and (part := read(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
    except EOFError:
        return b"".join(parts), True
    return b"".join(parts), False


def zstd_module() -> Any:
    """The module for Zstandard: newer Pythons have one of their own, and few files need any."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        return zstd
    from backports import zstd

    return zstd
