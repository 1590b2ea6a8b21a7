"""``:jobs``: what still runs, also of sessions that have ended, and the end of one."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.commands import run_command
from apollo_tui.screens.base import ApolloScreen
from apollo_tui.screens.output import OutputScreen
from apollo_tui.screens.panels.base import ChoicePanel
from sessions.jobs.manager import JobManager


async def test_jobs_lists_what_runs_as_it_comes_and_goes_enter_follows_one_and_x_twice_ends_it(
    feed: FakeFeed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "paths", msgspec.structs.replace(feed.paths, sessions=tmp_path))
    jobs = JobManager(tmp_path / "01GONE")
    job = await jobs.start(7, "exec sleep 1041", Path("/"), {"PATH": os.environ["PATH"]})
    async with open_app(feed) as (app, pilot):
        screen = app.screen
        assert isinstance(screen, ApolloScreen)
        run_command(screen, "jobs")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel))
        await pilot.pause()
        shown = screen_text(app)
        assert "which the log does not have: job 7" in shown
        assert "exec sleep 1041" in shown
        more = await jobs.start(8, "echo so far; exec sleep 1042", Path("/"), {"PATH": os.environ["PATH"]})
        await until(pilot, lambda: "so far" in screen_text(app))
        await jobs.kill(more, grace=0.1)
        await until(pilot, lambda: "has ended" in screen_text(app))
        await pilot.press("x", "x")
        await until(pilot, lambda: "job 7 of" in screen.receipt)
        assert "has ended" in screen.receipt
        assert not job.holder.alive()
        run_command(screen, "jobs")
        await until(pilot, lambda: "no job of this log runs" in screen.receipt)
        last = await jobs.start(9, "echo here it is; exec sleep 1043", Path("/"), {"PATH": os.environ["PATH"]})
        run_command(screen, "jobs")
        await until(pilot, lambda: isinstance(app.screen, ChoicePanel) and "sleep 1043" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, OutputScreen) and "here it is" in screen_text(app))
        await pilot.press("J", "escape")
        assert app.screen is screen
        await jobs.kill(last, grace=0.1)
