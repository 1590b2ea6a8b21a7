"""The host's log file: what went wrong, for the person who looks. Standard error is the file; it rotates by size."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from sessions.host.spawn import ROTATE_BYTES, rotate

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class FileOnStderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Writes to standard error and, where that is ``path``, moves both output streams to a fresh file in time."""

    def __init__(self, path: Path, limit: int = ROTATE_BYTES) -> None:
        super().__init__(sys.stderr)
        self._path = path
        self._limit = limit

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        super().emit(record)
        if self._is_stderr() and os.fstat(2).st_size >= self._limit:
            rotate(self._path, self._limit)
            fresh = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(fresh, 1)
            os.dup2(fresh, 2)
            os.close(fresh)

    def _is_stderr(self) -> bool:
        try:
            return os.path.samestat(os.fstat(2), self._path.stat())
        except OSError:
            return False


def set_up(path: Path) -> None:
    """Log to standard error from now on; ``path`` is where it leads when a watcher runs the host."""
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=[FileOnStderr(path)], force=True)
