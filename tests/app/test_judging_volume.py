"""Judging at volume: a loop, a span, a folded run and the items of the review, counted in keys."""

from __future__ import annotations

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.app import ApolloApp
from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.review import ReviewScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.host import protocol
from sessions.labels import load_labels

SIZES = [(80, 24), (200, 50)]


def flags(feed: FakeFeed) -> list[ev.FlagSet]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "flag.set"]
    return [msgspec.convert(call.body, ev.FlagSet) for call in calls]


def said(feed: FakeFeed) -> list[tuple[str, str, str]]:
    return [(str(flag.target), flag.verdict, flag.label) for flag in flags(feed)]


async def fail(feed: FakeFeed, session: str, step: int) -> None:
    """A reply of one call, which fails as it did before but for a number."""
    part = CallPart(f"c{step}.1", "run", "{}")
    await feed.add(session, ev.ModelReplied(request=1, parts=(part,), finish="calls"), step=step)
    started = ev.ActionStarted(call_id=f"c{step}.1", name="run", arguments={"command": "make"})
    await feed.add(session, started, step=step, call=1)
    output = ev.LongText(f"error in line {step}")
    await feed.add(session, ev.ActionResult(call_id=f"c{step}.1", outcome="error", output=output), step=step, call=1)


async def loop(feed: FakeFeed, *, last: int = 63, ended: bool = True) -> str:
    session = await feed.session("tune-lr")
    for step in (1, 2, 3):
        await feed.step(session, step, ("run", {"command": f"ls {step}"}, "a b"))
    for step in range(4, last + 1):
        await fail(feed, session, step)
    if ended:
        for step in range(last + 1, last + 10):
            await feed.step(session, step, ("run", {"command": f"ls {step}"}, "a b"))
    return session


async def opened(app: ApolloApp, pilot: Pilot[None], *keys: str) -> SessionScreen:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "▸ run" in screen_text(app))
    await pilot.press(*keys)
    assert isinstance(app.screen, SessionScreen)
    return app.screen


def view_rows(app: ApolloApp) -> list[str]:
    """What of the view is to be seen beside the panel on top."""
    docked = app.screen.query_one("#docked").region
    view = app.view
    assert view is not None
    rows = [strip.text for strip in view._compositor.render_strips()]
    return [row[: docked.x or None] for row in (rows[: docked.y] if docked.y else rows)]


def spanned(screen: SessionScreen | ReviewScreen) -> list[int]:
    """The steps of the rows that are painted as selected."""
    seqs = [seq for _, seq, chosen in screen.transcript._shown if chosen]
    entries = [screen.transcript.entry(seq) for seq in seqs]
    return sorted({entry.step for entry in entries if entry is not None and entry.step is not None})


@pytest.mark.parametrize("size", SIZES)
async def test_the_picker_takes_room_from_the_view_shows_all_labels_and_finds_one_by_its_name(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    await loop(feed)
    async with open_app(feed, size) as (app, pilot):
        screen = await opened(app, pilot, *["k"] * 4)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        step = screen.subject()[1].step  # type: ignore[index]
        await until(pilot, lambda: any(row.startswith(f"› {step} ▸ run") for row in view_rows(app)))
        text = screen_text(app)
        assert all(label.name in text for label in load_labels().labels)
        assert "R recovered" in text, "the last words of what the keys do are not cut"
        await pilot.press("slash", *"auth")
        await until(pilot, lambda: "rate limit" not in screen_text(app) and "authentication" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "rate limit" in screen_text(app))
        await pilot.press("slash", *"auth", "enter")
        await until(pilot, lambda: [label for _, _, label in said(feed)] != [])
        assert said(feed)[0][2] == next(one.id for one in load_labels().labels if one.name == "authentication")
        await until(pilot, lambda: app.screen is screen and "u undoes" in screen_text(app))
        assert "? help" in screen_text(app), "the room is given back"


async def test_a_loop_of_sixty_takes_three_keys_and_is_shown_before_it_is_taken(feed: FakeFeed) -> None:
    session = await loop(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        screen = await opened(app, pilot, *["left_square_bracket"] * 10)
        await until(pilot, lambda: screen.subject() is not None and screen.subject()[1].step == 4)  # type: ignore[index]
        assert "run ×60  make  to step 63" in screen_text(app), "it is one row"
        await pilot.press("l")
        await until(pilot, lambda: "60 steps, 4 to 63, of 1 tune-lr" in screen_text(app))
        await until(pilot, lambda: spanned(screen) == [4])
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about steps 4 to 63" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: said(feed) == [("4-63", "bad", "mast/step-repetition")])
        await until(pilot, lambda: "⚑ step repetition" in screen_text(app))
        assert "run ×60" in screen_text(app), "what is flagged as a whole stays folded"
        await pilot.press("u")
        await until(pilot, lambda: not app.context.state.sessions[session].flags)
        await pilot.press("plus")
        await until(pilot, lambda: len(flags(feed)) == 2)
        await until(pilot, lambda: "✚ 1 tune-lr · steps 4 to 63: good" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: not app.context.state.sessions[session].flags)


async def test_the_flag_on_a_loop_that_still_runs_is_open(feed: FakeFeed) -> None:
    await loop(feed, last=8, ended=False)
    async with open_app(feed, (80, 24)) as (app, pilot):
        await opened(app, pilot, "k", "l")
        await until(pilot, lambda: "5 steps, 4 to 8 so far" in screen_text(app))
        await pilot.press("F")
        await until(pilot, lambda: "* and what followed: steps 5 to 8 so far, open" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: len(flags(feed)) == 1)
        assert [(str(flag.target), flag.until_recovery) for flag in flags(feed)] == [("4.1", True)]
        assert app.context.flags.span is None


async def test_a_span_of_eight_steps_takes_four_keys_is_painted_and_esc_lets_it_go(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    for step in range(1, 21):
        await feed.step(session, step, ("run", {"command": f"ls {step}"}, "a b"))
    async with open_app(feed, (80, 60)) as (app, pilot):
        screen = await opened(app, pilot, *["k"] * 15)
        first = screen.subject()[1].step  # type: ignore[index]
        assert first is not None
        await pilot.press("V")
        await until(pilot, lambda: spanned(screen) == [first])
        await pilot.press("j", "j")
        await until(pilot, lambda: spanned(screen) == list(range(first, first + 3)))
        await pilot.press("escape")
        await until(pilot, lambda: spanned(screen) == [first + 2] and app.screen is screen)
        await pilot.press("V", "8")
        await until(pilot, lambda: spanned(screen) == list(range(first + 2, first + 10)))
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        await pilot.press("w")
        await until(pilot, lambda: len(flags(feed)) == 1)
        assert flags(feed)[0].target == ev.Target(first + 2, "span", to_step=first + 9)
        await pilot.press("u")
        await until(pilot, lambda: not app.context.state.sessions[session].flags)


async def test_F_after_f_labels_what_was_flagged_also_when_the_newest_is_another_one(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "ls 1"}, "a b"))
    now = [1_000_000]
    async with open_app(feed, (80, 24), clock=lambda: now[0]) as (app, pilot):
        screen = await opened(app, pilot)
        await pilot.press("f")
        await until(pilot, lambda: len(flags(feed)) == 1)
        await feed.step(session, 2, ("run", {"command": "ls 2"}, "a b"))
        await until(pilot, lambda: screen.subject() is not None and screen.subject()[1].step == 2)  # type: ignore[index]
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about the call 1.1" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: said(feed)[1:] == [("1.1", "bad", "x/impatience")])
        await pilot.press("f")
        await until(pilot, lambda: len(flags(feed)) == 3)
        now[0] += 6_000
        await feed.step(session, 3, ("run", {"command": "ls 3"}, "a b"))
        await until(pilot, lambda: screen.subject() is not None and screen.subject()[1].step == 3)  # type: ignore[index]
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about the call 3.1" in screen_text(app))


async def many(feed: FakeFeed, steps: int) -> str:
    session = await feed.session("tune-lr")
    for step in range(1, steps + 1):
        await feed.step(session, step, ("run", {"command": f"ls {step}"}, f"out {step}"))
    return session


async def reviewed(app: ApolloApp, pilot: Pilot[None]) -> ReviewScreen:
    await pilot.press("r")
    await until(pilot, lambda: isinstance(app.screen, ReviewScreen) and app.screen.subject() is not None)
    assert isinstance(app.screen, ReviewScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_the_item_stands_in_its_transcript_and_one_looks_around_without_leaving(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    session = await loop(feed, last=13)
    refused = ev.ActionRefused(call_id="c", name="edit", why="malformed", problem="path is missing", shown="no")
    await feed.add(session, refused, step=23, call=1)
    await feed.step(session, 24, ("run", {"command": "ls 24"}, "a b"))
    async with open_app(feed, size) as (app, pilot):
        screen = await reviewed(app, pilot)
        await until(pilot, lambda: "malformed · 1 tune-lr · 23.1 · edit: path is missing" in screen_text(app))
        await until(pilot, lambda: "ls 22" in screen_text(app) and "ls 24" in screen_text(app))
        assert "what was wrong" in screen_text(app), "and whole"
        await pilot.press("k")
        await until(pilot, lambda: screen.subject() is not None and screen.subject()[1].step == 22)  # type: ignore[index]
        await until(pilot, lambda: "22.1 run" in screen_text(app))
        await pilot.press("plus")
        await until(pilot, lambda: said(feed) == [("22.1", "good", "unspecified")])
        assert "malformed · 1 tune-lr · 23.1" in screen_text(app), "the item waits still"
        await pilot.press("j", "f", "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel) and "about the call 23.1" in screen_text(app))
        await until(pilot, lambda: any("›" in row and "edit" in row for row in view_rows(app)))
        await pilot.press("f")
        await until(
            pilot, lambda: said(feed)[1:] == [("23.1", "bad", "unspecified"), ("23.1", "bad", "trail/formatting")]
        )
        await until(pilot, lambda: "error · 1 tune-lr · steps 4 to 13 · run: error ×10" in screen_text(app))
        await until(pilot, lambda: "run ×10  make" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: said(feed)[-1] == ("4-13", "bad", "unspecified"))


async def test_as_many_keys_as_items_and_the_sitting_ends(feed: FakeFeed) -> None:
    await many(feed, 8)
    async with open_app(feed, (80, 24)) as (app, pilot):
        app.context.review.size = 6
        await reviewed(app, pilot)
        await until(pilot, lambda: "review  0 of 6" in screen_text(app))
        await pilot.press(*("plus", "f") * 3)
        await until(pilot, lambda: "6 of 6 done · 2 wait: r takes the next" in screen_text(app))
        assert [flag.target for flag in flags(feed)] == [ev.Target(step) for step in range(1, 7)]
        await pilot.press("r")
        await until(pilot, lambda: "review  0 of 2" in screen_text(app))


async def test_a_filter_is_one_key_and_a_false_alarm_is_said_of_the_signal_that_one_looks_at(feed: FakeFeed) -> None:
    session = await many(feed, 3)
    for number in range(4, 7):
        await fail(feed, session, number)
    other = await feed.session("formats")
    await feed.step(other, 1, ("write", {"path": "a.py"}, "written"))
    async with open_app(feed, (80, 24)) as (app, pilot):
        await reviewed(app, pilot)
        await until(pilot, lambda: "signal · 1 tune-lr · steps 4 to 6" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "unseen 4" in screen_text(app) and "2 formats 1" in screen_text(app))
        await pilot.press("2")
        await until(pilot, lambda: "session: 2 formats" in screen_text(app) and "0 of 1" in screen_text(app))
        await pilot.press("w", "s")
        await until(pilot, lambda: "signal · 1 tune-lr" in screen_text(app) and "kind: signal" in screen_text(app))
        await pilot.press("D")
        await until(pilot, lambda: "signal · 1 tune-lr" not in screen_text(app))
    (call,) = [one for one in feed.calls if isinstance(one, protocol.Annotate) and one.kind == "signal.judged"]
    judged = msgspec.convert(call.body, ev.SignalJudged)
    assert judged.verdict == "false_alarm" and judged.signal.startswith("repeated_error:")
