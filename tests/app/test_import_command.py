"""``:import`` in the app: the words of the command line, the host does the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.backend.feed import NotDone
from apollo_tui.commands import run_command
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.panels.base import ChoicePanel
from sessions.host import protocol


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: FakeFeed) -> Path:
    """A folder of recordings, and a host that answers by their names."""
    found = tmp_path / "two words"
    found.mkdir()
    for name in ("known", "new", "odd", "cut"):
        (found / f"{name}.json").write_text(json.dumps({"x": name}))
    made = protocol.ExaminedSession("S1", "Fix the parser", "Fix the parser, please.", 41, 200)

    async def answer(params: Any) -> Any:
        name = Path(params.path).stem
        if name == "odd":
            raise NotDone("odd.json is in no format that is known here", kind="unknown_format")
        if name == "cut":
            raise NotDone("cut.json is cut off", kind="refused")
        if isinstance(params, protocol.ExamineFile):
            return protocol.Examined("claude-code", (made,))
        lost = ("1 image could not be kept (step 1)",)
        return protocol.Imported((), 0, known=("S1",)) if name == "known" else protocol.Imported(("S2",), 12, lost)

    monkeypatch.setattr(feed, "call", answer)
    return found


async def test_a_folder_is_imported_and_one_line_says_what_became_of_it(feed: FakeFeed, folder: Path) -> None:
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ApolloScreen)
        run_command(screen, f"import '{folder}'")
        await until(pilot, lambda: "imported" in screen.receipt)
        for words in (
            "imported 1 session, 12 events",
            "1 session known already",
            "1 note of what they lack: `:facts` in a session",
            "1 file refused: cut.json is cut off",
        ):
            assert words in screen.receipt


async def test_a_dry_run_shows_what_each_file_is(feed: FakeFeed, folder: Path) -> None:
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ApolloScreen)
        run_command(screen, f"import --dry-run '{folder}'")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel))
        await pilot.pause()
        shown = screen_text(app)
        for words in ("claude-code, 1 session", "new: 41 steps, Fix the parser", "cut.json is cut off", "odd.json"):
            assert words in shown


async def test_a_dry_run_that_ends_late_opens_nothing_over_what_is_written(feed: FakeFeed, folder: Path) -> None:
    await feed.session("one")
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, BoardScreen)
        run_command(screen, f"import --dry-run '{folder}'")
        screen.composer.open(screen.session or "")
        await until(pilot, lambda: "something else is open here" in screen.receipt)
        assert app.screen is screen and screen.typing


async def test_a_word_that_names_nothing_is_said(feed: FakeFeed, tmp_path: Path) -> None:
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ApolloScreen)
        run_command(screen, f"import {tmp_path}/nowhere")
        await until(pilot, lambda: "no file and no folder" in screen.receipt)


async def test_it_is_typed_after_a_colon_where_its_completion_says_what_it_takes(
    feed: FakeFeed, folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "runs"
    link.symlink_to(folder)
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ApolloScreen)
        await pilot.press("colon", *"imp", "enter")  # a beginning runs the completion; what lacks words stays open
        await until(pilot, lambda: "files, folders or patterns; also --copy, --format NAME" in screen_text(app))
        keys = {"/": "slash", "-": "minus", "_": "underscore", ".": "full_stop"}
        await pilot.press(*(keys.get(sign, sign) for sign in f"{link}/cut.json"), "enter")
        await until(pilot, lambda: "refused" in screen.receipt)
        assert screen.receipt == "imported 0 sessions, 0 events · 1 file refused: cut.json is cut off"
        assert "\n" not in screen.receipt and screen.receipt in screen_text(app)
