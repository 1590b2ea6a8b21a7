"""``*`` in the flag picker: which steps "and what followed" means stands there before the flag is set."""

from __future__ import annotations

from typing import Any

import msgspec
from fake_feed import FakeFeed
from headless_app import Running, open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol

MAKE: dict[str, Any] = {"command": "make"}


async def fail(feed: FakeFeed, session: str, step: int) -> None:
    [started] = await feed.step(session, step, ("run", MAKE, f"error in line {step}"))
    assert started.seq


def flags(feed: FakeFeed) -> list[ev.FlagSet]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "flag.set"]
    return [msgspec.convert(call.body, ev.FlagSet) for call in calls]


async def loop(feed: FakeFeed, *, ended: bool) -> str:
    session = await feed.session("tune-lr")
    for step in (1, 2, 3):
        await feed.step(session, step, ("run", MAKE, "nothing to do"))
    if ended:
        await feed.step(session, 4, ("run", {"command": "ls"}, "a b"))
    return session


async def to_first_call(app: Running, pilot: Pilot[None], presses: int) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app[0].screen, SessionScreen) and "make" in screen_text(app[0]))
    await pilot.press(*["left_square_bracket"] * presses, "F")
    await until(pilot, lambda: isinstance(app[0].screen, LabelPanel) and "about the call 1.1" in screen_text(app[0]))


async def test_a_loop_that_is_over_is_shown_and_stored_as_a_span(feed: FakeFeed) -> None:
    await loop(feed, ended=True)
    async with open_app(feed) as (app, pilot):
        await to_first_call((app, pilot), pilot, 4)
        assert "* only this, not what followed: steps 2 to 3" in screen_text(app)
        await pilot.press("asterisk")
        await until(pilot, lambda: "* and what followed: steps 2 to 3" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: len(flags(feed)) == 1)
        await until(pilot, lambda: "tune-lr · steps 1 to 3" in screen_text(app))
    (flag,) = flags(feed)
    assert (str(flag.target), flag.until_recovery, flag.label) == ("1-3", False, "x/impatience")


async def test_while_the_loop_runs_the_flag_stays_open(feed: FakeFeed) -> None:
    await loop(feed, ended=False)
    async with open_app(feed) as (app, pilot):
        await to_first_call((app, pilot), pilot, 3)
        await pilot.press("asterisk")
        said = "* and what followed: steps 2 to 3 so far, open while it does the same again"
        await until(pilot, lambda: said in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: len(flags(feed)) == 1)
    (flag,) = flags(feed)
    assert (str(flag.target), flag.until_recovery) == ("1.1", True)


async def test_a_recovery_mark_says_how_far_it_goes(feed: FakeFeed) -> None:
    session = await loop(feed, ended=True)
    await feed.add(session, ev.RecoveryMarked(at_step=3), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await to_first_call((app, pilot), pilot, 4)
        await until(pilot, lambda: "not what followed: step 2, until the recovery at step 3" in screen_text(app))
