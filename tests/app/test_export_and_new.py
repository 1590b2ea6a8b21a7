from __future__ import annotations

from pathlib import Path

import pytest
from app_running import running, screen_text, until
from fake_feed import FakeFeed
from textual.widgets import Input, Static, TextArea

from apollo_train.formats.proof import proof
from apollo_tui.creating import BadField, Form, request_of
from apollo_tui.exporting import default_path
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.new_session import NewSessionScreen
from sessions.config import Config, Profile
from sessions.host import protocol
from sessions.log import events as ev

CONFIG = Config(path=Path("none"), profiles={"local": Profile(model="openai:tiny", base_url="http://127.0.0.1:9/v1")})


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_export_menu_counts_previews_writes_and_never_overwrites_unasked(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.chdir(tmp_path)
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    started = await feed.step(first, 2, ("job_kill", {"job": 7}, "killed\n"))
    flag = ev.FlagSet(flag="F1", target=ev.Target(2, "call", 1))
    await feed.add(first, flag, step=2, call=1, actor="human:ada")
    assert started
    async with running(feed, size) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and "1 flagged" in screen_text(app))
        await until(pilot, lambda: "masked call 1 (flagged)" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: "no session is chosen" in screen_text(app))
        await pilot.press("x", "tab", *["right"] * 20)
        menu = app.screen
        assert isinstance(menu, ExportScreen)
        while menu._settings["format"] != "raw":
            await pilot.press("right")
        commands: list[list[str]] = []

        class Process:
            def __init__(self, command: list[str], **_: object) -> None:
                commands.append(command)

            def poll(self) -> None:
                return None

        monkeypatch.setattr("apollo_tui.exporting.subprocess.Popen", Process)
        await pilot.press("w")
        await until(pilot, lambda: commands)
        assert commands[0][commands[0].index("--template") + 1] == chosen
