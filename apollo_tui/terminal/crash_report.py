"""The report of a crash, in a file that only its owner may read."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from sessions.private_files import write_private


def write_crash_report(error: BaseException, folder: Path) -> Path:
    """Write the traceback of ``error`` (no variables: they may hold secrets) and return the file."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    write_private(path, "".join(traceback.format_exception(error)))
    return path
