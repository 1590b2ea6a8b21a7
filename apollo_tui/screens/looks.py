"""Looks at log and disk that a screen takes beside its keys: one that fails is said and closes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from apollo_tui.backend.feed import NotDone
from apollo_tui.context import Apollo
from sessions.errors import ApolloError


async def keep_looking(app: Apollo, look: Callable[[], Awaitable[object]], every_s: float) -> None:
    """Look again and again, ``every_s`` seconds after the last look has ended; does not return.

    One thing that goes wrong is said once, until a look goes well.
    """
    said = ""
    while True:
        await asyncio.sleep(every_s)
        said = await look_once(app, look, said)


async def look_once(app: Apollo, look: Callable[[], Awaitable[object]], said: str = "") -> str:
    """Look. Returns what went wrong, "" if nothing did; it is told to the annotator unless it was ``said`` already."""
    try:
        await look()
    except (NotDone, ApolloError, OSError) as problem:
        text = app.explain(problem)
        if text != said:
            app.say(text, "error")
        return text
    return ""
