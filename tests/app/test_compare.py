from __future__ import annotations

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.compare import CompareScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol


async def two(feed: FakeFeed) -> tuple[str, str]:
    one, other = [await feed.session(title, task_id="rate") for title in ("patient", "hasty")]
    for session in (one, other):
        await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"), text="I begin.")
    await feed.step(one, 2, ("wait", {"seconds": 600}, "slept"), text="I let it run.")
    await feed.add(one, ev.EvalScored(score=0.81), step=2)
    await feed.step(other, 2, ("job_kill", {"job": 7}, "killed"), text="It is slow.")
    return one, other


def words(feed: FakeFeed) -> list[tuple[str, str | None, str]]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "preference.stated"]
    bodies = [(call.session, msgspec.convert(call.body, ev.PreferenceStated)) for call in calls]
    return [(session, body.verdict, body.note) for session, body in bodies]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_two_of_a_task_are_compared_and_one_key_says_which_is_better_and_u_takes_it_back(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    one, _ = await two(feed)
    await feed.session("other task", task_id="formats")
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: "patient" in screen_text(app))
        await pilot.press("T")
        await until(pilot, lambda: "step 1 is the same" in screen_text(app))
        assert "compare 1 patient (left) with 2 hasty (right)" in screen_text(app)
        row = next(row for row in screen_text(app).splitlines() if "job_kill" in row)
        assert "wait" in row and row.index("wait") < row.index("job_kill")
        assert "best 0.81 of 1" in screen_text(app)
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "1 patient is better than 2 hasty" in screen_text(app))
        await until(pilot, lambda: "ada: 1 patient is better" in screen_text(app))
        await pilot.press("less_than_sign")
        await until(pilot, lambda: "why" in screen_text(app).splitlines()[-1] or "why" in screen_text(app))
        await pilot.press(*"patience", "enter")
        await until(pilot, lambda: words(feed)[-1:] == [(one, "better", "patience")])
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: words(feed)[-1:] == [(one, "worse", "")])
        await pilot.press("u")
        await until(pilot, lambda: words(feed)[-1:] == [(one, "better", "patience")])
        await until(pilot, lambda: "ada: 1 patient is better: patience" in screen_text(app))


async def test_enter_opens_the_step_of_the_side_that_tab_chose_and_escape_comes_back(feed: FakeFeed) -> None:
    _, other = await two(feed)
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "patient" in screen_text(app))
        await pilot.press("T")
        await until(pilot, lambda: "job_kill" in screen_text(app))
        await pilot.press("tab", "G", "enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == other)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_of_several_one_is_chosen_and_marked_ones_are_taken_as_they_are(feed: FakeFeed) -> None:
    await two(feed)
    await feed.session("third", task_id="rate")
    alone = await feed.session("alone", task_id="formats")
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "alone" in screen_text(app))
        await pilot.press("T")
        await until(pilot, lambda: "compare 1 patient with" in screen_text(app))
        assert "4 alone" not in screen_text(app).split("compare 1 patient with")[1].split("closes")[0]
        await pilot.press("c")
        await until(pilot, lambda: "with 3 third (right)" in screen_text(app))
        await pilot.press("escape", "asterisk", "4")
        await until(pilot, lambda: app.view is not None and app.view.session == alone)
        await pilot.press("T")
        await until(pilot, lambda: "are not of one task" in screen_text(app))


async def test_a_session_that_is_alone_with_its_task_says_so(feed: FakeFeed) -> None:
    await feed.session("alone", task_id="formats")
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "alone" in screen_text(app))
        await pilot.press("T")
        await until(pilot, lambda: "no other session is of the task of 1 alone" in screen_text(app))
