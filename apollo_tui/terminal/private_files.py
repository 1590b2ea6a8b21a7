"""Files that only their owner may read (0600): what was copied, what is shown outside, and the report of a crash."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write ``text`` to a file that nobody else may read, in place of what was there."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("utf-8", "replace"))


def write_crash_report(error: BaseException, folder: Path) -> Path:
    """Write the traceback of ``error`` (no variables: they may hold secrets) and return the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    write_private(path, "".join(traceback.format_exception(error)))
    return path
