"""Starts a holder: detached, isolated from the user's Python, and heard of once its command runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sessions.jobs import files
from sessions.untrusted_files import open_log, open_regular, opened_folder

MOST_WORDS: Final = 4096
"""Bytes of what a holder says of itself: they come at once, as a pipe takes that many whole."""
MOST_TROUBLE: Final = 64 * 1024
"""Bytes of the end of a holder's log that are looked at."""


def start_holder(folder: Path, env: Mapping[str, str], argv: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start the holder by its command line; returns it and the pipe on which it says that the command runs."""
    ready, told = os.pipe()
    try:
        with tempfile.TemporaryFile() as stdin, _opened_log(folder) as log:
            stdin.write(json.dumps(dict(env)).encode())
            stdin.seek(0)
            holder = subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=told,
                stderr=log,
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
    except OSError:
        os.close(ready)
        raise
    finally:
        os.close(told)
    return holder, ready


async def read_first_bytes(handle: int, seconds: float) -> bytes | None:
    """What comes out of a pipe first; b"" if it is closed without a word, None after ``seconds``. Closes it."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(handle, readable.set)
    try:
        async with asyncio.timeout(seconds):
            await readable.wait()
        return os.read(handle, MOST_WORDS)
    except TimeoutError:
        return None
    finally:
        loop.remove_reader(handle)
        os.close(handle)


def read_trouble(folder: Path) -> str:
    """The last thing that a holder said of its own trouble."""
    try:
        with opened_folder(folder) as handle, os.fdopen(open_regular(files.HOLDER_LOG, at=handle), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - MOST_TROUBLE))
            lines = log.read(MOST_TROUBLE).decode(errors="replace").strip().splitlines()
    except OSError as error:
        return f"{error.filename or folder} cannot be read ({error.strerror})"
    return lines[-1] if lines else "its holder said nothing"


@contextmanager
def _opened_log(folder: Path) -> Iterator[int]:
    with opened_folder(folder) as handle:
        log = open_log(files.HOLDER_LOG, at=handle)
    try:
        yield log
    finally:
        os.close(log)
