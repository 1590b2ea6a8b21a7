"""The app without a terminal, on a feed of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fake_feed import FakeFeed
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from apollo_tui.app import ApolloApp

HAND_S = 0.08
"""Seconds between two keys of a hand."""
CHARACTERS = {"enter": "\r", "tab": "\t", "escape": "\x1b"}
Running = tuple[ApolloApp, Pilot[None]]


@asynccontextmanager
async def open_app(
    feed: FakeFeed, size: tuple[int, int] = (120, 36), *, all_read: bool = True, **more: Any
) -> AsyncIterator[Running]:
    """``all_read``: wait until all sessions are; of many, only those in sight ever are."""
    app = ApolloApp(feed, **more)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: not all_read or all(now.loaded for now in app.context.state.sessions.values()))
        app._tick()
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[None], true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await pilot.pause(0.01)
    await pilot.pause(0)  # what is known now is painted, too


def screen_text(app: ApolloApp) -> str:
    """What stands on the screen, row by row."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in rows)


def send_keys(app: ApolloApp, *keys: str, gap: float = 0.0) -> None:
    """Keys as a terminal sends them that has read them all at once: names, or texts of single letters.

    ``gap``: seconds between two of them; the app was busy while a hand pressed them.
    """
    sent = []
    for key in keys:
        if key in CHARACTERS:
            sent.append(events.Key(key, CHARACTERS[key]))
        else:
            sent += [events.Key(_character_to_key(letter), letter) for letter in key]
    for at, event in enumerate(sent):
        event.time -= gap * (len(sent) - at)
        app.post_message(event)
