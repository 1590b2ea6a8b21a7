"""Looks at log and disk that screens take by themselves."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.commands import run_command
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.looks import keep_looking
from apollo_tui.screens.panels import facts
from sessions import events as ev
from sessions.log.errors import LogReadFailed
from widgets.wall import Wall


async def test_looks_that_fail_are_said_and_close_nothing(feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await feed.session("tune")
    for step in range(1, 4):
        await feed.step(session, step, ("run", {"command": "ls"}, "a"))
    async with open_app(feed) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        monkeypatch.setattr(facts, "LOOK_S", 0.01)
        run_command(board, "facts")
        await until(pilot, lambda: isinstance(app.screen, facts.FactsScreen))
        read = feed.read

        async def fail(_: object) -> NoReturn:
            raise LogReadFailed("the log cannot be read now")

        for name in ("read", "work"):
            monkeypatch.setattr(feed, name, fail)
        await until(pilot, lambda: "cannot be read now" in board.receipt)
        board.say("")
        await board.on_wall_history_needed(Wall.HistoryNeeded(session, 2))
        assert "cannot be read now" in board.receipt
        for name in ("read", "work"):
            monkeypatch.setattr(feed, name, read)
        await feed.add(session, ev.NoteWritten(text="odd one"), actor="human:bob")
        await until(pilot, lambda: "odd one" in screen_text(app))
    assert not app.crash


async def test_a_look_that_takes_longer_than_the_time_between_two_is_shown_all_the_same() -> None:
    begun = ended = 0
    said: list[str] = []

    class App:
        def say(self, text: str, _: str) -> None:
            said.append(text)

        def explain(self, problem: Exception) -> str:
            return str(problem)

    async def look() -> None:
        nonlocal begun, ended
        assert begun == ended, "one after the other"
        begun += 1
        for _ in range(20):
            await asyncio.sleep(0)
        ended += 1
        if ended in (2, 3):
            raise OSError("no disk")

    looks = asyncio.create_task(keep_looking(App(), look, 0.0))  # type: ignore[arg-type]  # as much of one as is asked
    async with asyncio.timeout(20):
        while ended < 5:
            await asyncio.sleep(0)
    looks.cancel()
    assert said == ["no disk"]
