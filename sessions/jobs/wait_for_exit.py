"""Waiting for the end of processes that are not our children, without polling where the kernel offers a pidfd."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from sessions.processes import Identity

POLL = 0.1
"""Seconds between looks where there are no pidfds."""


async def wait_for_exit(processes: Sequence[Identity], timeout: float | None) -> None:
    """Return when one of ``processes`` has ended, or after ``timeout`` seconds. Cancelling it leaves nothing behind."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    handles: list[int] = []
    try:
        for process in processes:
            if (handle := _pidfd(process)) is not None:
                handles.append(handle)
                loop.add_reader(handle, gone.set)
            elif not process.alive():
                return
        watched = len(handles) == len(processes)
        try:
            async with asyncio.timeout(timeout):
                if watched:
                    await gone.wait()
                    return
                while all(process.alive() for process in processes):  # noqa: ASYNC110 - nothing tells us here
                    await asyncio.sleep(POLL)
        except TimeoutError:
            return
    finally:
        for handle in handles:
            loop.remove_reader(handle)
            os.close(handle)


def _pidfd(process: Identity) -> int | None:
    """A handle on this very process; None if it is gone or the kernel has no such handles."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return None
    # Asked after the handle was taken: the pid cannot change hands any more.
    if process.alive():
        return handle
    os.close(handle)
    return None
