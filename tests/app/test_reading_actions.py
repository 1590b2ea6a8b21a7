from __future__ import annotations

from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.session import SessionScreen
from apollo_tui.state.action_layout import read_entry_text

WRITTEN = '{"loss":[0.5,0.4],"why":"' + "w" * 70 + '"}'
ARGUMENTS = {"command": "cat loss.json", "timeout": 120, "background": False, "tty": False}


async def test_an_action_is_rendered_shown_as_it_was_written_and_searched_and_copied_by_that(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    started, = await feed.step(session, 1, ("run", ARGUMENTS, WRITTEN), reasoning="Is it **falling**?")  # fmt: skip
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, SessionScreen) and "┊ thinks: Is it falling?" in screen_text(app)
        )
        await pilot.press("k", "enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and '  "loss": [0.5, 0.4],' in screen_text(app))
        screen = app.screen
        assert isinstance(screen, ActionScreen)
        assert "$ cat loss.json" in screen_text(app) and "timeout" not in screen_text(app)
        assert screen.document.search('"loss":[0.5') == 1
        assert screen.document.search("**falling**") == 1 and "┊ Is it falling?" in screen_text(app)
        await pilot.press("E")
        await until(pilot, lambda: "timeout: 120" in screen_text(app) and WRITTEN[:60] in screen_text(app))
        assert "Is it **falling**?" in screen_text(app)
        await pilot.press("E")
        await until(pilot, lambda: '  "loss": [0.5, 0.4],' in screen_text(app))
        copied = await read_entry_text(feed, app.context.labels, session, started.seq)
        assert WRITTEN in copied and "**falling**" in copied and "timeout: 120" in copied
