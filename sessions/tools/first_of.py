"""Waiting for whichever comes first, and for what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def first_of(timeout: float | None, *things: Coroutine[Any, Any, Any]) -> set[int]:
    """Which of ``things`` are done once the first is, by position; none after ``timeout`` seconds.

    The others are cancelled and gone when it returns, also if it is itself cancelled. Their errors are raised.
    """
    tasks = [asyncio.ensure_future(thing) for thing in things]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return {place for place, task in enumerate(tasks) if task in done}


async def finish_or_undo(work: Coroutine[Any, Any, T], undo: Callable[[T], Awaitable[None]]) -> T:
    """The result of ``work``. If cancelled meanwhile, ``work`` is done to its end and then undone, however often it
    is cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.ensure_future(_undo(task, undo)))
        raise


async def _undo(task: asyncio.Future[T], undo: Callable[[T], Awaitable[None]]) -> None:
    await asyncio.wait([task])
    # Work that failed has left nothing to undo.
    if not task.cancelled() and task.exception() is None:
        await undo(task.result())
