"""``J``: what a command prints while it runs, and when it has ended; the last lines of what runs in panes and facts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens import output as copied
from apollo_tui.screens.output import OutputScreen
from apollo_tui.screens.panels.base import ChoicePanel
from apollo_tui.screens.panels.facts import FactsScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.events.text import long_text
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager

FED = 'while read -r line; do printf "%b\\n" "$line"; [ "$line" = stop ] && exit 3; done'
"""A command that prints what it is sent, and ends when it is told to."""


class Fed:
    """A session whose step 1 runs a real job that prints what the test sends."""

    def __init__(self, feed: FakeFeed, session: str, jobs: JobManager, job: Job) -> None:
        self.feed = feed
        self.session = session
        self.jobs = jobs
        self.job = job

    async def send(self, text: str) -> None:
        await self.jobs.send(self.job, text + "\n")

    async def end(self) -> None:
        await self.send("stop")
        end = await self.jobs.wait(self.job, 20)
        assert end is not None
        await self.feed.add(self.session, end.event(self.job.number))


@asynccontextmanager
async def fed_job(feed: FakeFeed, tmp_path: Path) -> AsyncIterator[Fed]:
    session = await feed.session("trainer")
    manager = JobManager(feed.paths.session_folder(session))
    job = await manager.start(1, FED, tmp_path, {"PATH": os.environ["PATH"]}, origin="1.1", input=True)
    begun = ev.ActionStarted(call_id="c1", name="run", arguments={"command": "python train.py"})
    await feed.add(session, begun, job.start_event(), step=1, call=1, actor="agent")
    try:
        yield Fed(feed, session, manager, job)
    finally:
        await manager.kill_all(grace=0.1)


def halves(text: str) -> tuple[str, str]:
    """What stands above the row that names the output, and below it."""
    rows = text.split("\n")
    at = next((n for n, row in enumerate(rows) if row.startswith(" ▸ job")), len(rows))
    return "\n".join(rows[:at]), "\n".join(rows[at:])


async def test_one_key_follows_what_runs_below_the_view_and_on_the_whole_screen(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fed_job(feed, tmp_path) as fed, open_app(feed) as (app, pilot):
        await fed.send("loss 0.9")
        await until(pilot, lambda: "loss 0.9" in screen_text(app))  # in the pane, under the action
        rows = screen_text(app).split("\n")
        at = next(n for n, row in enumerate(rows) if "▸ run" in row)
        assert "└ loss 0.9" in rows[at + 1]
        await pilot.press("J")
        await until(pilot, lambda: isinstance(app.screen, OutputScreen))
        screen = app.screen
        assert isinstance(screen, OutputScreen)
        await until(pilot, lambda: "running" in halves(screen_text(app))[1])
        await fed.send("  1%\\r 99%\\r100%")
        await until(pilot, lambda: "100%" in halves(screen_text(app))[1])
        shown = screen_text(app)
        assert f"pid {fed.job.child.pid if fed.job.child else 0}" in shown
        assert "99%" not in shown
        # The board above goes on: it has the upper half, and follows what happens.
        await feed.step(fed.session, 2, ("read_file", {"path": "a.py"}, "text"), text="I look at the file")
        await until(pilot, lambda: "I look at the file" in halves(screen_text(app))[0])
        for number in range(60):
            await fed.send(f"line {number}")
        await until(pilot, lambda: "line 59" in screen_text(app))
        assert "J whole screen" in screen_text(app)
        assert "next job" not in screen_text(app)
        await pilot.press("J")
        await until(pilot, lambda: "line 30" in screen_text(app) and "J below the view" in screen_text(app))
        assert "I look at the file" not in screen_text(app)
        # While keys come close together the end waits for them, at most a second.
        now = app.context.clock()
        app.context.presence.key_at = screen._shown_at = now
        assert [screen._gives_way(now + ms) for ms in (100, 250)] == [True, False]
        app.context.presence.key_at = now + 1_000
        assert not screen._gives_way(now + 1_050)
        # Who prints nothing for a while is quiet, and says for how long.
        screen._status = replace(screen._status, written_at=now - 125_000)
        screen.paint(now)
        assert "quiet for 2 min" in screen._title_row._head.facts
        # Who scrolls away stays there, and hears how much is new.
        await pilot.press("pageup")
        before = screen_text(app).split("\n")[4:20]
        for number in range(42):
            await fed.send(f"new {number}")
        await until(pilot, lambda: "42 new lines ↓" in screen_text(app))
        assert screen_text(app).split("\n")[4:20] == before
        await pilot.press("slash", *"line 7", "enter")
        await until(pilot, lambda: "at byte" in screen.receipt)
        await until(pilot, lambda: screen.output.selected_text() == "line 7")
        await until(pilot, lambda: "n next match" in screen_text(app))
        monkeypatch.setattr(copied, "copy_text", lambda text, *_: f"copied {text}")
        await pilot.press("y")
        await until(pilot, lambda: screen.receipt == "copied line 7")
        await pilot.press("t")
        await until(pilot, lambda: "new 41" in screen_text(app) and "new lines" not in screen_text(app))
        await fed.end()
        await until(pilot, lambda: "✗ exit 3 after" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, OutputScreen))
        await until(pilot, lambda: "trainer" in screen_text(app) and not halves(screen_text(app))[1])
        # It has ended: the same key shows it again, as the only job of the session.
        await pilot.press("J")
        await until(pilot, lambda: isinstance(app.screen, OutputScreen) and "exit 3" in screen_text(app))
        # Advice is written on the view, with one key.
        await pilot.press("i", *"let it run")
        await until(pilot, lambda: "let it run" in screen_text(app))
        assert app.screen is app.view is not None
        assert not isinstance(app.screen, OutputScreen)


async def test_of_several_jobs_one_is_chosen_and_the_log_has_what_no_file_has(feed: FakeFeed) -> None:
    session = await feed.session("builder")
    long, blobs = long_text("made it\n" * 3)
    for number in (1, 2):
        started = ev.JobStarted(
            job=number, command=f"make part{number}", pid=1, start_time="0", boot_id="elsewhere", folder="/gone"
        )
        begun = ev.ActionStarted(call_id=f"c{number}", name="run", arguments={"command": f"make part{number}"})
        await feed.add(session, begun, started, step=number, call=1, actor="agent")
        result = ev.ActionResult(call_id=f"c{number}", outcome="ok", output=long, duration_ms=1200)
        ended = ev.JobEnded(job=number, exit_code=0, duration_ms=1200, last_line="made it")
        await feed.add(session, result, ended, step=number, call=1, actor="agent", blobs=blobs)
    waits = ev.ActionStarted(call_id="c3", name="Bash", arguments={"command": "sleep 9"})
    await feed.add(session, waits, step=3, call=1, actor="agent")
    async with open_app(feed) as (app, pilot):
        await pilot.press("J")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel) and "make part1" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, OutputScreen) and "made it" in screen_text(app))
        assert "make part1" in screen_text(app)
        await until(pilot, lambda: "✓ exit 0 after 1.2 s" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, OutputScreen)
        assert "this is what the log has of it" in screen.receipt
        await until(pilot, lambda: "tab next job" in screen_text(app))
        await pilot.press("tab")
        await until(pilot, lambda: "job 2" in screen_text(app) and "make part2" in screen_text(app))
        await pilot.press("q", "tab", "up")
        await until(pilot, lambda: app.screen is app.view and app.view.subject() is not None)
        await pilot.press("J")
        await until(pilot, lambda: "`Bash` prints nothing while it runs" in app.view.receipt)


async def test_facts_and_the_transcript_say_what_a_job_prints_now(feed: FakeFeed, tmp_path: Path) -> None:
    async with fed_job(feed, tmp_path) as fed, open_app(feed, size=(140, 36)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "jobs" in screen_text(app))
        for line in ("epoch 1", "epoch 2\\x1b[31m red"):
            await fed.send(line)
            said = line.split("\\")[0]
            await until(pilot, lambda said=said: screen_text(app).count(said) == 2)
        assert "\x1b" not in screen_text(app)
        await pilot.press("colon", *"facts", "enter")
        await until(pilot, lambda: isinstance(app.screen, FactsScreen))
        await fed.send("epoch 3")
        await until(pilot, lambda: "epoch 3" in screen_text(app))
        await fed.end()
        await until(pilot, lambda: "exit 3 after" in screen_text(app))


@pytest.mark.parametrize("session", ["idle", "fresh"])
async def test_a_session_without_a_command_says_so(feed: FakeFeed, session: str) -> None:
    await feed.session(session)
    async with open_app(feed) as (app, pilot):
        await pilot.press("J")
        await until(pilot, lambda: f"no command of 1 {session} has run" in app.view.receipt)
