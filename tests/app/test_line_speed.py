from __future__ import annotations

import os
from contextlib import suppress

import pytest
from apollo_process import wait_for
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.terminal.line_speed import LOOKED_AT, STUCK, WINDOW_MS, LineSpeed
from sessions import events as ev
from widgets.wall import Wall


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    line = LineSpeed(None)
    for second in range(30):
        line.count(2_000 - 24, 1_000 * second)
    assert line.rate(29_000) == 2.0
    assert line.peak == 2.0
    assert line.rate(29_000 + WINDOW_MS) == 0
    assert line.total == 60_000
    line.count(0, 40_000)
    assert line.total == 60_000


def test_a_terminal_that_hung_up_is_gone_and_one_that_is_full_is_not() -> None:
    ours, theirs = os.openpty()
    line = LineSpeed(theirs)
    assert not line.hung_up and line.look()
    os.set_blocking(theirs, False)

    def stays_full() -> bool:
        """Whether nothing could be written since it was full last: the kernel moves on what it has in its own time."""
        written = 0
        with suppress(BlockingIOError):
            while True:
                written += os.write(theirs, b"x" * 4096)
        return not written

    wait_for("the terminal to stay full", stays_full, every=0.1)
    assert not line.hung_up and not line.look()
    os.close(ours)
    assert line.hung_up
    os.close(theirs)
    assert not LineSpeed(None).hung_up


def test_a_line_that_does_not_keep_up_is_slow_until_somebody_says_otherwise() -> None:
    full = True
    line = LineSpeed(3, ready=lambda _: not full)
    for _ in range(STUCK - 1):
        assert not line.look()
    assert not line.slow
    line.look()
    assert line.slow
    full = False
    for _ in range(10 * LOOKED_AT):
        assert line.look()
    assert line.slow
    assert "did not keep up" in line.report(0)[-1]
    line.set("auto")
    assert not line.slow


def test_a_line_that_is_full_now_and_then_is_not_slow() -> None:
    looks = 0

    def ready(_: int) -> bool:
        nonlocal looks
        looks += 1
        return looks % 4 != 0

    line = LineSpeed(3, ready=ready)
    for _ in range(10 * LOOKED_AT):
        line.look()
    assert not line.slow


def test_by_hand_wins_over_what_the_line_does() -> None:
    line = LineSpeed(3, "off", ready=lambda _: False)
    for _ in range(LOOKED_AT):
        line.look()
    assert not line.slow
    line.set("on")
    assert line.slow


async def test_over_a_slow_line_the_board_is_a_list_with_tickers_and_every_key_of_the_list_works(
    feed: FakeFeed,
) -> None:
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"))
    second = await feed.session("poller")
    await feed.add(first, ev.ModelRequested(adapter="t", adapter_version=1, envelope={}, sha256="0" * 64), step=2)
    async with open_app(feed) as (app, pilot):
        await pilot.press("colon", *"slow", "space", *"on", "enter")
        await until(pilot, lambda: app.line_speed.slow and not app.screen.query_one(Wall).display)
        assert app.screen.query_one(Wall).session_ids == ()
        feed.delta(first, 2, "I will wait for the epoch to end")
        await until(pilot, lambda: "wait for the epoch to end" in screen_text(app))
        await pilot.press("j")
        await until(pilot, lambda: app.view is not None and app.view.session == second)
        await pilot.press("colon", *"slow", "space", *"off", "enter")
        await until(pilot, lambda: "python train.py" in screen_text(app) and app.screen.query_one(Wall).display)


@pytest.mark.usefixtures("only_keys_call")
async def test_over_a_slow_line_f_takes_the_newest_action_that_stood_on_the_line_and_else_says_what_to_press(
    feed: FakeFeed,
) -> None:
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"))
    now = [1_000_000]
    async with open_app(feed, (80, 24), clock=lambda: now[0]) as (app, pilot):
        await pilot.press("colon", *"slow", "space", *"on", "enter")
        await until(pilot, lambda: app.line_speed.slow and not app.screen.query_one(Wall).display)
        await until(pilot, lambda: "python train.py" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: "no action of 1 tune-lr has stood on its line: enter opens it" in screen_text(app))
        assert not feed.calls
        now[0] += 500
        await feed.step(first, 2, ("job_kill", {"job": 7}, "killed"))
        await until(pilot, lambda: "job_kill" in screen_text(app))
        await pilot.press("f")
        flags = app.context.state.sessions[first].flags
        await until(pilot, lambda: len(flags) == 1)
        assert [body.target for _, body in flags.values()] == [ev.Target(1, "call", 1)]
        now[0] += 500
        await pilot.press("plus")
        await until(pilot, lambda: len(flags) == 2)
        assert [body.target for _, body in flags.values()][1] == ev.Target(2, "call", 1)


async def test_the_diagnostics_name_rate_and_mode(feed: FakeFeed) -> None:
    await feed.session("tune-lr")
    async with open_app(feed) as (app, pilot):
        app.line_speed.count(50_000, app.context.clock())
        await pilot.press("colon", *"link", "enter")
        await until(pilot, lambda: "5.0 KB/s over the last 10 s" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: app.line_speed.mode == "on" and "slow-link mode is on, by hand" in screen_text(app))


async def test_nothing_is_painted_while_the_line_is_full_and_the_newest_comes_when_it_is_not(feed: FakeFeed) -> None:
    first = await feed.session("tune-lr")
    async with open_app(feed) as (app, pilot):
        full = True
        app.line_speed = LineSpeed(3, ready=lambda _: not full)
        await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"))
        for _ in range(5):
            app._tick()
            await pilot.pause()
        assert "python train.py" not in screen_text(app)
        full = False
        await until(pilot, lambda: "python train.py" in screen_text(app))


async def test_what_a_panel_says_is_whole_at_80_columns(feed: FakeFeed) -> None:
    await feed.session("tune-lr")
    async with open_app(feed, (80, 24)) as (app, pilot):
        app.line_speed.count(133_000, app.context.clock())
        await pilot.press("colon", *"link", "enter")
        await until(pilot, lambda: "enter sets it" in screen_text(app))
        rows = screen_text(app).splitlines()
        said = " ".join(part for row in rows for part in row.split("│")[-2:-1]).split()
        assert "KB since the start" in " ".join(said)
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: "esc closes" in screen_text(app) and "new line, esc leaves" in screen_text(app))
