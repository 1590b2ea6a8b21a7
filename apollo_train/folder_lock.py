"""One run per folder: of trainings and evaluations, which fill a folder for hours."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from apollo_train.runtime import TrainError
from sessions.private_files import make_private_folder, open_private

LOCK: Final = ".apollo.lock"


@contextmanager
def lock_folder(output: Path, what: str) -> Iterator[None]:
    """Make the folder of a ``what`` ("run"), and keep others out. Raises TrainError if it cannot, or one is in it."""
    try:
        make_private_folder(output)
        lock = open_private(output / LOCK, "ab")
    except OSError as problem:
        raise TrainError(f"cannot write into the folder {output}: {problem.strerror}") from problem
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            raise TrainError(
                f"another {what} is under way in {output}: wait for it, or choose another folder"
            ) from problem
        except OSError:
            pass  # A file system without locks: nothing is kept out, and nothing stops.
        yield
