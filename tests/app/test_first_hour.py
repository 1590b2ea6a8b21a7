"""A board without a session offers ways to a first one, and nothing that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.widgets import Input

from apollo_tui.acts.first_steps import find_guide
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.new_session import NewSessionScreen
from apollo_tui.screens.panels.connect import ConnectPanel
from apollo_tui.screens.panels.guide import GuideScreen, guide_rows
from apollo_tui.screens.panels.prompt import LinePrompt
from apollo_tui.state.first_steps import NO_HOST, UNKEYED, Surroundings, first_steps
from sessions.config import Config, Profile
from sessions.demo.requests import NAMES
from sessions.host import protocol


def test_what_cannot_work_is_not_offered_and_says_why() -> None:
    barred = {one.id: one.disabled for one in first_steps(Surroundings(trouble="read-only"))}
    assert barred == {"demo": "read-only", "new": "read-only", "import": "read-only", "agent": "read-only", "guide": ""}
    assert first_steps(Surroundings())[0].disabled == NO_HOST
    found = {one.id: one for one in first_steps(Surroundings(writable=True, missing="no key", guide=False, archived=3))}
    assert not any(one.disabled for one in found.values())
    assert found["new"].note == UNKEYED and "guide" not in found and found["archived"].note == "3"
    named = first_steps(Surroundings(writable=True, agents=("codex", "opencode acp")))
    assert named[3].note == "installed: codex, opencode acp" and named[0].note == ""
    keys = [one.key for one in first_steps(Surroundings(archived=1))]
    assert len(set(keys)) == len(keys) == 6


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_an_empty_board_leads_to_a_first_session_by_one_key(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("apollo_tui.acts.first_steps.agent_names", lambda: ["little acp"])
    config = Config(path=Path("none"), profiles={"local": Profile(model="openai:tiny")})
    async with open_app(feed, size, config=config) as (app, pilot):
        await until(pilot, lambda: "installed: little acp" in screen_text(app))
        said = screen_text(app)
        assert "no session yet" in said and "press c" not in said and "f flag" not in said and "e export" not in said
        await pilot.press("e")
        await until(pilot, lambda: "there is no session here: c creates one" in screen_text(app))
        feed.link(False)
        await until(pilot, lambda: "read-only, reconnecting" in screen_text(app).splitlines()[8])
        await pilot.press("d", "a", "i")
        assert isinstance(app.screen, BoardScreen) and not feed.calls
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, GuideScreen) and "A day with it" in screen_text(app))
        await pilot.press("escape")
        feed.link(True)
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and "reconnecting" not in screen_text(app))

        await pilot.press("escape", "i")
        await until(pilot, lambda: isinstance(app.screen, LinePrompt))
        await pilot.press(*"/nowhere/at/all", "enter")
        await until(pilot, lambda: "/nowhere/at/all" in screen_text(app) and isinstance(app.screen, BoardScreen))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, ConnectPanel) and "COMMAND" in screen_text(app))
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen))
        assert app.screen.query_one("#agent", Input).value == "little acp"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.press("d")
        await until(pilot, lambda: "5 demo sessions run" in screen_text(app))
        made = [call for call in feed.calls if isinstance(call, protocol.CreateSession)]
        assert [call.model.name for call in made] == list(NAMES)
        board = app.screen
        assert isinstance(board, BoardScreen)
        await until(pilot, lambda: "no session yet" not in screen_text(app) and app.focused is board.listing)


async def test_a_board_with_sessions_has_no_such_thing(feed: FakeFeed) -> None:
    await feed.session("one")
    async with open_app(feed) as (app, _):
        assert "no session yet" not in screen_text(app) and not app.screen.query("#start")


def test_the_guide_is_there_and_its_paragraphs_break_where_the_screen_ends() -> None:
    path = find_guide()
    assert path is not None
    rows = guide_rows(
        "# A day\n\nYou look\n`where` it matters.\n![no](x.svg)\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    said = ["".join(piece for piece, _ in row.line).strip() for row in rows]
    assert said[0] == "A day" and "You look `where` it matters." in said
    assert sum(line.endswith(("one", "two")) for line in said) == 2 and not any("svg" in line for line in said)
