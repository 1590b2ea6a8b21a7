"""Starts a holder: detached, isolated from the user's Python, and heard of once its command runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sessions.jobs import files

MOST_WORDS: Final = 4096
"""Bytes of what a holder says of itself: they come at once, as a pipe takes that many whole."""


def start_holder(folder: Path, env: Mapping[str, str], argv: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start the holder by its command line; returns it and the pipe on which it says that the command runs."""
    ready, told = os.pipe()
    try:
        with tempfile.TemporaryFile() as stdin, (folder / files.HOLDER_LOG).open("ab") as log:
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
        lines = (folder / files.HOLDER_LOG).read_text(errors="replace").strip().splitlines()
    except OSError as error:
        return f"{folder} cannot be read ({error.strerror})"
    return lines[-1] if lines else "its holder said nothing"
