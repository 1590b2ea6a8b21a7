from __future__ import annotations

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.review import ReviewScreen
from sessions import events as ev
from sessions.host import protocol


async def two(feed: FakeFeed) -> tuple[str, str]:
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1"))
    await feed.step(first, 2, ("job_kill", {"job": 7}, "killed"))
    second = await feed.session("formats")
    await feed.step(second, 1, ("write", {"path": "a.py"}, "written"))
    await feed.add(
        second,
        ev.ActionRefused(call_id="c2.1", name="edit", why="malformed", problem="path is missing", shown="no"),
        step=2,
        call=1,
    )
    return first, second


def flags(feed: FakeFeed) -> list[ev.FlagSet]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "flag.set"]
    return [msgspec.convert(call.body, ev.FlagSet) for call in calls]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_queue_is_cleared_with_one_key_each_and_says_how_far_one_is(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    await two(feed)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "malformed · 2 formats · 2.1 · edit: path is missing" in screen_text(app))
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        await pilot.press("F", "f")
        await until(pilot, lambda: len(flags(feed)) == 1)
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app))
        await pilot.press("plus")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 2 ·" in screen_text(app))
        await pilot.press("equals_sign")
        await until(pilot, lambda: "unseen · 2 formats · the whole reply of step 1 ·" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: "nothing to review" in screen_text(app))
    assert [(str(flag.target), flag.verdict, flag.label) for flag in flags(feed)] == [
        ("2.1", "bad", "trail/formatting"),
        ("1", "good", "unspecified"),
        ("2", "unsure", "unspecified"),
    ]
    assert all(flag.seen is not None for flag in flags(feed))


async def test_a_review_goes_on_where_it_was_left_also_after_a_restart(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "malformed · 2 formats" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app))
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, ReviewScreen)
        assert all(item.why == "unseen" for item in app.context.review.items)


async def test_a_pace_is_told_after_a_minute_of_work_and_not_before(feed: FakeFeed) -> None:
    await two(feed)
    now = [1_000_000]
    async with open_app(feed, clock=lambda: now[0]) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        for _ in range(20):
            app.context.review.finish(now[0])
            now[0] += 500
            app.context.review.finish(now[0])
        assert app.context.review.pace() == "0 of 4"
        now[0] += 50_000
        app.context.review.finish(now[0])
        assert app.context.review.pace() == "0 of 4 · 40/min · under a minute to go"


async def test_an_undo_brings_an_item_back_and_is_shown_first(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        await pilot.press("plus")
        await until(pilot, lambda: "review  1 of 4" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: "u again undoes: good mark on 2 formats · 2.1" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        await pilot.press("U")
        await until(pilot, lambda: "U again" in screen_text(app))
        await pilot.press("U")
        await until(pilot, lambda: "review  1 of 4" in screen_text(app))


async def test_looking_at_something_suspicious_far_down_does_not_mark_what_lies_before_it_as_read(
    feed: FakeFeed,
) -> None:
    _, second = await two(feed)
    now = [1_000_000]
    async with open_app(feed, clock=lambda: now[0]) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "malformed · 2 formats · 2.1" in screen_text(app))
        for _ in range(3):
            now[0] += 2_000
            app._tick()
            await pilot.pause()
        item = app.context.review.items[0]
        read = app.context.state.read_marks.book(second)
        assert item.seq in read and not any(seq in read for seq in range(1, item.seq))
        await pilot.press("s")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app))


async def test_what_nobody_has_read_stays_while_it_is_read_and_goes_when_it_is_passed(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    now = [1_000_000]
    async with open_app(feed, clock=lambda: now[0]) as (app, pilot):
        await pilot.press("r", "s")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app))
        for _ in range(8):
            await pilot.press("down")
            now[0] += 2_000
            app._tick()
            await pilot.pause()
        assert "unseen · 1 tune-lr · the whole reply of step 1 ·" in screen_text(app)
        item = next(item for item in app.context.review.items if item.why == "unseen")
        assert item.seq not in app.context.state.read_marks.book(first)
        await pilot.press("s")
        await until(pilot, lambda: "unseen · 1 tune-lr · the whole reply of step 2 ·" in screen_text(app))
        assert item.seq in app.context.state.read_marks.book(first)


async def test_a_run_of_waiting_is_judged_as_one_span(feed: FakeFeed) -> None:
    session = await feed.session("poller")
    for number in range(1, 5):
        await feed.step(session, number, ("job_output", {"job": 1}, "loss 1.0"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "4 steps that only wait" in screen_text(app))
        await pilot.press("plus")
        await until(pilot, lambda: "nothing to review" in screen_text(app))
    assert [str(flag.target) for flag in flags(feed)] == ["1-4"]


async def test_what_happens_while_one_reviews_joins_the_queue_and_moves_nothing(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        await feed.step(first, 3, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: "review  0 of 4" in screen_text(app))
        assert "malformed · 2 formats · 2.1" in screen_text(app)
        await pilot.press("o")
        await until(pilot, lambda: app.screen.__class__.__name__ == "SessionScreen")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen))
        assert "malformed · 2 formats · 2.1" in screen_text(app)
