from __future__ import annotations

import asyncio

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.acts import review_queue
from apollo_tui.screens.review import ReviewScreen
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.queries.review import PAGE


@pytest.fixture(autouse=True)
def quick_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_queue, "REST_S", 0.01)


async def three_steps(feed: FakeFeed, title: str) -> str:
    session = await feed.session(title)
    for number in range(1, 4):
        await feed.step(session, number, ("run", {"command": "ls"}, "a"))
    return session


@pytest.mark.parametrize("size", [(100, 30), (120, 36)])
async def test_the_header_counts_what_is_to_review_from_the_start_as_the_queue_itself_does(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    first = await three_steps(feed, "tune")
    second = await three_steps(feed, "formats")
    await feed.add(second, ev.StateChanged(state="finished"))
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: (app.context.state.to_review, app.context.state.counting) == (6, False))
        await until(pilot, lambda: "to review 6" in screen_text(app))
        await feed.step(first, 4, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: app.context.state.to_review == 7)
        flag = ev.FlagSet(flag="x", target=ev.Target(1), verdict="good")
        await feed.add(second, flag, actor="human:ben")
        await until(pilot, lambda: app.context.state.to_review == 6)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen._complete)
        assert len(app.context.review.items) == app.context.state.to_review == 6
        await pilot.press("s")
        await until(pilot, lambda: app.context.state.to_review == 5)
        await pilot.press("escape")
        await feed.step(first, 5, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: app.context.state.to_review == 6)


async def test_an_archived_session_is_not_counted_and_what_is_not_read_yet_is_said(feed: FakeFeed) -> None:
    await three_steps(feed, "tune")
    other = await three_steps(feed, "old")
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: app.context.state.to_review == 6)
        await feed.add(other, ev.StateChanged(state="stopped"), ev.StateChanged(state="archived"))
        await feed.add(other, ev.FlagSet(flag="x", target=ev.Target(1), verdict="unsure"), actor="human:ben")
        await until(pilot, lambda: app.context.state.to_review == 3)
        app.context.state.counting = True
        await until(pilot, lambda: app.context.state.header(0).counting)


async def test_long_sessions_are_read_a_page_at_a_time_with_rests_between_and_ended_ones_are_let_go(
    feed: FakeFeed,
) -> None:
    session = await feed.session("long")
    events = [ev.NewEvent(session, ev.ActionStarted(call_id=f"c{n}", name="run", arguments={}), n, 1)
              for n in range(1, 2 * PAGE + 11)]  # fmt: skip
    await feed.writer.append(*events)
    await feed.add(session, ev.StateChanged(state="finished"))
    state = BoardState(feed.actor)
    state.load(feed.reader.summaries(), feed.reader.position())
    async with open_app(feed) as (app, pilot):
        reviewing = app.context.review
        mine = review_queue.ReviewCount(feed, state, reviewing, app.context.clock)
        rests: list[float] = []

        async def rest(seconds: float) -> None:
            rests.append(seconds)
            await asyncio.sleep(0)

        told = asyncio.Event()
        task = asyncio.create_task(mine.run(told.set, rest=rest))
        try:
            await until(pilot, lambda: not mine._due and len(rests) >= 3)
            await until(pilot, lambda: session not in reviewing._books)
        finally:
            task.cancel()
        assert all(0 < seconds <= review_queue.REST_S for seconds in rests)


async def test_a_long_session_is_counted_when_the_queue_has_read_it_and_until_then_the_number_is_a_part(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_steps(feed, "short")
    long = await three_steps(feed, "long")
    await feed.step(long, 4, ("run", {"command": "ls"}, "a"))
    monkeypatch.setattr(review_queue, "LONG_EVENTS", len(feed.reader.events(long)) - 1)
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "to review 3+" in screen_text(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen._complete)
        await pilot.press("escape")
        await until(pilot, lambda: "to review 7" in screen_text(app))
        assert not app.context.state.counting
