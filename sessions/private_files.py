"""Files that only their owner may read (0600), whatever the umask: all that holds words of a log, outside of it too."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Any, Final

PRIVATE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


def open_private(path: Path, mode: str = "wb", **more: Any) -> IO[Any]:
    """``open`` for writing; the file is its owner's alone, also one that was there and was not."""
    file = open(path, mode, opener=_open, **more)  # noqa: SIM115 - with an opener; the caller closes it
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # not /dev/null, not a pipe
            os.fchmod(file.fileno(), PRIVATE)
    except BaseException:
        file.close()
        raise
    return file


def write_private(path: Path, text: str) -> None:
    """Write ``text`` to a file that nobody else may read, in place of what was there."""
    with open_private(path) as file:
        file.write(text.encode("utf-8", "replace"))


def make_private_folder(folder: Path) -> None:
    """Make ``folder``, and those above it that are missing; it is its owner's alone if it is new."""
    if not folder.is_dir():
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)
