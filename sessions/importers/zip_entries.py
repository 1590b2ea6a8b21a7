"""Entries of zip archives that are packed with Zstandard, as Inspect writes them; before 3.14 Python's own cannot."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Final

from sessions.importers.packed import zstd_module

ZSTANDARD: Final = 93
"""How zip archives number that compression."""
_NAMES: Final = 26
"""Where in the head of an entry the lengths of its name and its extra field stand."""


def read_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry. Raises BadZipFile, and what ``ZipFile.read`` does."""
    if entry.compress_type != ZSTANDARD:
        return archive.read(entry)
    with path.open("rb") as file:
        file.seek(entry.header_offset + _NAMES)
        lengths = file.read(4)
        if len(lengths) < 4:
            raise zipfile.BadZipFile(f"{entry.filename} is cut off")
        file.seek(sum(struct.unpack("<HH", lengths)), 1)
        packed = file.read(entry.compress_size)
    zstd = zstd_module()
    try:
        # A stream, and not one call: an entry can have several frames, and must not grow beyond what it says it is.
        with zstd.open(BytesIO(packed)) as stream:
            data: bytes = stream.read(entry.file_size + 1)
    except (zstd.ZstdError, EOFError) as problem:
        raise zipfile.BadZipFile(f"{entry.filename}: {problem}") from problem
    if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise zipfile.BadZipFile(f"{entry.filename} is not what its head says")
    return data
