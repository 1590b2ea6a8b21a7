"""The host's log file: what went wrong, for the person who looks. Standard error is the file; it rotates by size."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sessions.host.spawn import ROTATE_BYTES, rotate

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Flood:
    """Counts what each place in the code says, and lets so much of it through that the file stays readable."""

    def __init__(self, most: int = 20, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._places: dict[tuple[str, int, str], tuple[float, int]] = {}

    def left_out(self, record: logging.LogRecord) -> int | None:
        """None: it is one too many. Else how many of its kind were left out before it."""
        place = (record.pathname, record.lineno, str(record.msg)[:100])
        now = self._clock()
        since, count = self._places.get(place, (now, 0))
        if now - since >= self._seconds:
            self._places[place] = (now, 1)
            return max(0, count - self._most)
        self._places[place] = (since, count + 1)
        if len(self._places) > 1000:
            del self._places[next(iter(self._places))]
        return 0 if count < self._most else None


class FileOnStderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Writes to standard error and, where that is ``path``, moves both output streams to a fresh file in time."""

    def __init__(self, path: Path, limit: int = ROTATE_BYTES) -> None:
        super().__init__(sys.stderr)
        self._path = path
        self._limit = limit
        self._flood = Flood()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless its place has written many just now: they would push everything else out."""
        left_out = self._flood.left_out(record)
        if left_out is None:
            return
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} more like it before)", None
        super().emit(record)
        with contextlib.suppress(OSError):  # no descriptor or no room: the old file has to do
            self._rotate()

    def _rotate(self) -> None:
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
