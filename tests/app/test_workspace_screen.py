from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.acts import workspace_shell
from apollo_tui.app import ApolloApp
from apollo_tui.context import ToAction
from apollo_tui.screens.session import SessionScreen
from apollo_tui.screens.workspace import WorkspaceScreen
from sessions import events as ev
from sessions.host import protocol
from sessions.tools.edits import _change_result

BEFORE, AFTER = "def scale(x):\n    return x\n", "def scale(x):\n    return 2 * x  # twice\n"


@pytest.fixture
async def session(feed: FakeFeed, tmp_path: Path) -> str:
    """A copied workspace in which a file tool has changed one file, and a command made another and removed a third."""
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "src" / "scale.py").write_text(BEFORE)
    (source / "removed.txt").write_text("gone\n")
    (source / "kept.txt").write_text("kept\n")
    workspace = tmp_path / "workspace"
    shutil.copytree(source, workspace)
    made = await feed.session("tune-lr", workspace=str(workspace), source_workspace=str(source))
    begun = ev.ActionStarted(call_id="c1.1", name="edit_file", arguments={"path": "src/scale.py"})
    await feed.add(made, begun, step=1, call=1, actor="agent")
    (workspace / "src" / "scale.py").write_text(AFTER)
    result = _change_result("src/scale.py", BEFORE.encode(), AFTER.encode(), "")
    done = ev.ActionResult(call_id="c1.1", outcome="ok", output=ev.LongText(""))
    await feed.add(made, *result.events, done, step=1, call=1)
    await feed.add(made, ev.EffortSpent(active_ms=1, keys=1), actor=feed.actor)  # the annotator's last trace
    await feed.add(made, ev.ActionStarted(call_id="c2.1", name="run", arguments={}), step=2, call=1, actor="agent")
    (workspace / "made\x1b[31m.txt").write_text("made\x1b]0;owned\x07\n")
    (workspace / "removed.txt").unlink()
    os.mkfifo(workspace / "pipe")
    await feed.add(made, ev.ActionResult(call_id="c2.1", outcome="ok", output=ev.LongText("")), step=2, call=1)
    return made


async def opened(app: ApolloApp, pilot: Pilot[None], *keys: str) -> WorkspaceScreen:
    await until(pilot, lambda: app.context.presence.left_at)
    await pilot.press("W", *keys)
    await until(pilot, lambda: isinstance(app.screen, WorkspaceScreen) and not app.screen.opening)
    assert isinstance(app.screen, WorkspaceScreen)
    return app.screen


async def shows(app: ApolloApp, pilot: Pilot[None], *words: str) -> str:
    try:
        await until(pilot, lambda: all(word in screen_text(app) for word in words), 10)
    except AssertionError:
        raise AssertionError(f"{words} in\n{screen_text(app)}") from None
    return screen_text(app)


async def test_a_wide_screen_shows_what_changed_by_whom_and_the_file_beside_it(
    feed: FakeFeed, session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr("apollo_tui.screens.workspace.copy_text", lambda text, *_: copied.append(text) or "copied")
    async with open_app(feed, (200, 50)) as (app, pilot):
        screen = await opened(app, pilot)
        text = await shows(
            app, pilot, "changed since the start: 4 files", "2 since you left", "2.1 run", "1.1 edit_file"
        )
        assert "\x1b" not in text and "removed.txt" in text and "kept.txt" not in text and "pipe" in text
        screen._list.highlight("src/scale.py")
        await shows(app, pilot, "return 2 * x", "edited in 1.1")
        document = screen._document
        roles = {role for at in range(document.line_count) for row in document._rows(at) for _, role in row}
        assert {"code-keyword", "code-comment", "code-name", "code-number"} <= roles
        await pilot.press("d")
        await shows(app, pilot, "diff since the beginning: +1 −1", "-    return x", "+    return 2 * x")
        await pilot.press("D")
        await shows(app, pilot, "nothing changed since you left")
        await pilot.press("y")
        await until(pilot, lambda: copied)
        assert copied == [str(tmp_path / "workspace" / "src" / "scale.py")]
        await pilot.press("s")
        await shows(app, pilot, "changed by step 1: 1 file")
        await pilot.press("a")
        await shows(app, pilot, "all: 4 files", "kept.txt")
        (tmp_path / "workspace" / "later.py").write_text("x = 1\n")
        await feed.step(session, 3, ("run", {"command": "ls"}, "x"))
        await shows(app, pilot, "r reads again")
        assert "later.py" not in screen_text(app)
        await pilot.press("r")
        await shows(app, pilot, "later.py", "all: 5 files")
        await pilot.press("slash", *"scale", "enter")
        await shows(app, pilot, "all: 1 file with scale")
        await pilot.press("D", "o")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
    assert not app.crash


async def test_two_keys_say_what_changed_since_one_left_also_on_a_small_screen(
    feed: FakeFeed, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paged: list[tuple[str, str]] = []
    monkeypatch.setattr("apollo_tui.screens.workspace.page_text", lambda *given: paged.append(given) or "")
    async with open_app(feed, (80, 24)) as (app, pilot):
        monkeypatch.setattr(app, "suspend", nullcontext)
        screen = await opened(app, pilot, "l")
        text = await shows(app, pilot, "changed since you left", "2 files", "pipe")
        assert "scale.py" not in text and "made" in text
        screen._list.highlight("made\x1b[31m.txt")
        await pilot.press("v")
        await until(pilot, lambda: paged)
        assert paged == [("made\n", "made__31m.txt")]
        screen._list.highlight("pipe")
        await pilot.press("enter")
        await shows(app, pilot, "a fifo: it is not opened")
        await pilot.press("escape")
        await until(pilot, lambda: not screen._sees_file)
        await pilot.press("c")
        await shows(app, pilot, "changed since the start: 4 files")
        screen._list.highlight("src/scale.py")
        await pilot.press("enter")
        await shows(app, pilot, "return 2 * x")
        await pilot.press("slash", *"twice", "enter")
        await shows(app, pilot, "1 line holds twice")
        await pilot.press("question_mark")
        await shows(app, pilot, "keys that work here (workspace)", "files that changed since")
        await pilot.press("escape", "q")
        await until(pilot, lambda: not isinstance(app.screen, WorkspaceScreen))
    assert not app.crash


async def test_a_shell_is_told_to_the_log_before_and_after(
    feed: FakeFeed, session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, object]] = []

    def run(start: dict[str, object], _: Path) -> str:
        started.append(start)
        assert [type(call) for call in feed.calls if "shell" in call.method] == [protocol.OpenShell]
        return ""

    monkeypatch.setattr(workspace_shell, "_run", run)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789abcdef0123")
    async with open_app(feed, (80, 24)) as (app, pilot):
        monkeypatch.setattr(app, "suspend", nullcontext)
        await opened(app, pilot, "dollar_sign")
        await shows(app, pilot, "the shell is closed: 1 file changed meanwhile: a.py")
    calls = [call for call in feed.calls if isinstance(call, protocol.OpenShell | protocol.CloseShell)]
    assert [type(call) for call in calls] == [protocol.OpenShell, protocol.CloseShell]
    told = feed.reader.events(session, kinds={"shell.opened"})
    assert isinstance(calls[1], protocol.CloseShell) and calls[1].opened == told[0].seq
    (start,) = started
    wish = start["wish"]
    assert isinstance(wish, dict) and wish["cwd"] == str(tmp_path / "workspace")
    assert "OPENAI_API_KEY" not in wish["env"] and not app.crash


async def test_a_workspace_that_is_not_there_is_one_line(feed: FakeFeed, session: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "workspace")
    await feed.session("imported", origin="import")
    async with open_app(feed, (80, 24)) as (app, pilot):
        await opened(app, pilot)
        # The path may be long, and is broken wherever the row ends.
        await until(pilot, lambda: "workspaceisgone" in "".join(screen_text(app).split()))
        await pilot.press("q", "2")
        await opened(app, pilot)
        await shows(app, pilot, "an imported session has no workspace")
    assert not app.crash


async def test_a_shell_is_read_like_an_action_with_what_changed_meanwhile(feed: FakeFeed, session: str) -> None:
    opened = await feed.add(session, ev.ShellOpened(inside="inside bwrap, network off"), actor=feed.actor)
    files = (ev.TouchedFile("new\x1b[31m.py", "new"), ev.TouchedFile("old.py", "removed"))
    await feed.add(session, ev.ShellClosed(opened=opened.seq, files=files, more=7), actor=feed.actor)
    async with open_app(feed, (80, 24)) as (app, pilot):
        app.open(ToAction(session, opened.seq))
        text = await shows(app, pilot, "changed meanwhile, by whomever", "removed  old.py", "7 more")
        assert "\x1b" not in text
    assert not app.crash
