"""Waiting for whichever comes first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


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
