"""``:`` finds every act by name, and shows its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui import keys
from apollo_tui.commands import ACTS, COMMANDS, NO_ACTS, run_command
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.panels.prompt import match_commands
from apollo_tui.screens.session import SessionScreen
from sessions.config import Config
from sessions.host import protocol
from widgets.composer import Composer


def test_every_key_of_the_table_is_found_by_name_and_no_name_is_there_twice() -> None:
    found = [*COMMANDS, *ACTS]
    assert {key.id for key in keys.KEYS} - NO_ACTS == {command.key for command in found if command.key}
    names = [command.name for command in found]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("flag", "flag"), ("advise", "advise"), ("correct", "correct"), ("label", "label"), ("filter", "filter"),
        ("answer", "answer"), ("undo", "undo"), ("redo", "redo"), ("good", "good"), ("unsure", "unsure"),
        ("span", "begin_span"), ("recover", "recovery"), ("bookmark", "bookmark"), ("copy", "copy"),
        ("search", "search"), ("done", "signal_done"), ("false", "false_alarm"), ("mark", "mark"),
        ("outline", "outline"), ("training", "training"), ("skip", "skip"), ("pager", "pager"), ("follow", "follow"),
        ("sign", "sign_off"), ("next-need", "next_need"), ("pause", "pause"), ("write", "write"),
    ],
)  # fmt: skip
def test_what_an_act_is_called_finds_it_first(typed: str, key: str) -> None:
    assert match_commands([*COMMANDS, *ACTS], typed)[0].key == key


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_line_shows_the_key_also_that_of_the_config_and_does_the_act(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    session = await feed.session("one")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    async with open_app(feed, size, config=Config(path=Path(), keys={"label": "Y"})) as (app, pilot):
        await pilot.press("left_square_bracket", "colon", *"label")
        await until(pilot, lambda: "Flag with a label" in screen_text(app))
        row = next(row for row in screen_text(app).splitlines() if "Flag with a label" in row)
        assert row.split()[1:5] == ["label", "[LABEL]", "[NOTE]", "Y"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        await pilot.press("escape", "colon", *"flag", "enter")
        await until(pilot, lambda: any(isinstance(c, protocol.Annotate) and c.kind == "flag.set" for c in feed.calls))
        await pilot.press("colon", *"advise", "enter", *"wait")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "wait")


async def test_an_act_that_cannot_be_done_here_is_found_and_says_why(feed: FakeFeed) -> None:
    await feed.session("one")
    async with open_app(feed) as (app, pilot):
        for typed, said in (
            ("flag", "no action is selected here"), ("answer", "the agent asks nothing here"),
            ("filter", "filter: works in a session"), ("skip", "skip: works in the review queue"),
        ):  # fmt: skip
            await pilot.press("colon", *typed, "enter")
            await until(pilot, lambda said=said: said in screen_text(app))  # type: ignore[misc]
            assert isinstance(app.screen, BoardScreen)
        await pilot.press("colon", *"open", "enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))


@pytest.mark.parametrize(
    ("typed", "said"), [("flg", "near it: flag"), ("withdrw 1", "near it: withdraw"), ("zzz", "zzz:")]
)
async def test_of_a_name_that_nothing_has_those_near_it_are_said(feed: FakeFeed, typed: str, said: str) -> None:
    await feed.session("one")
    async with open_app(feed) as (app, pilot):
        assert isinstance(app.screen, BoardScreen)
        run_command(app.screen, typed)
        await until(pilot, lambda: said in screen_text(app))
