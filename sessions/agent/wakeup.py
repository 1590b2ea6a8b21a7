"""Wakes all parts of a session's loop that wait: something may have changed, look at the log again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Result = TypeVar("Result")
Sleep = Callable[[float], Awaitable[None]]


class Wakeup:
    """Listen first, then look at the facts, then wait: no wakeup in between is lost."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wake all who listen now."""
        self._event.set()
        self._event = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The event of the next wakeup."""
        return self._event


async def wait_for_any(*waits: Awaitable[object]) -> None:
    """Return when one of ``waits`` is done; those made for this call alone are cancelled, given tasks go on."""
    given = {wait for wait in waits if isinstance(wait, asyncio.Task)}
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(*(task for task in tasks if task not in given))


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they are gone; what they raise is nobody's business any more."""
    for task in tasks:
        task.cancel()
    if tasks:
        # Not awaited one by one: that could not tell their cancellation from our own.
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()


async def wait_while(
    task: asyncio.Task[Result], wakeup: Wakeup, look: Callable[[], float | None], sleep: Sleep
) -> bool:
    """Wait for ``task``, calling ``look`` at first, at each wakeup, and after the seconds that it returns.

    True when the task is done, False as soon as ``look`` returns a negative number. The task ends with us.
    """
    try:
        while not task.done():
            woken = wakeup.listen()
            again = look()
            if again is not None and again < 0:
                return False
            waits: list[Awaitable[object]] = [task, woken.wait()]
            if again is not None:
                waits.append(sleep(again))
            await wait_for_any(*waits)
    except BaseException:
        await cancel(task)
        raise
    return True
