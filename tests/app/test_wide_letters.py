from __future__ import annotations

from functools import partial
from typing import Any

import pyte
import pytest
from emulator import halves
from fake_feed import FakeFeed
from headless_app import open_app, until
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.screen import Screen

PANELS = {
    "HelpPanel": ("question_mark",),
    "LabelPanel": ("left_square_bracket", "F"),
    "FactsScreen": ("colon", *"fac", "enter"),
}


@pytest.mark.parametrize("lead", ["", "x"], ids=["even", "odd"])
async def test_no_panel_leaves_half_of_a_wide_letter_beside_it(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch, lead: str
) -> None:
    """In whichever columns the letters stand: ``lead`` moves them by one."""
    session = await feed.session("tune-lr")
    for step in (1, 2, 3):
        await feed.step(
            session, step, ("run", {"command": "数" * 40}, f"{lead}{'数値' * 90}\n" * 9), text=lead + "漢字" * 400
        )
    terminal = pyte.Screen(100, 30)
    stream = pyte.Stream(terminal)
    seen: dict[str, int] = {}

    def display(app: App[Any], screen: Screen[Any], update: object) -> None:
        if isinstance(update, CompositorUpdate) and not app._batch_count:
            stream.feed(update.render_segments(app.console))
            assert halves(terminal) == [], f"{screen} left them"
            name = type(screen).__name__
            seen[name] = max(seen.get(name, 0), sum(text.count("漢") + text.count("数") for text in terminal.display))

    monkeypatch.setattr(App, "_display", display)
    async with open_app(feed, size=(100, 30)) as (app, pilot):
        await until(pilot, lambda: app.view is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "漢字" in "".join(terminal.display))
        depth = len(app.screen_stack)
        for name, keys in PANELS.items():
            await pilot.press(*keys)
            await until(pilot, partial(seen.__contains__, name))
            await pilot.pause()
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == depth)
    assert {*PANELS, "CommandPrompt"} <= seen.keys()
    assert min(seen.values()) > 10, "wide letters stood beside each"
