from __future__ import annotations

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_train.export.training_view import training_view
from apollo_train.policy import PRESETS
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev


async def three(feed: FakeFeed) -> str:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"), text="I begin.")
    await feed.step(session, 2, ("job_kill", {"job": 7}, "killed"), text="It is slow.")
    await feed.step(session, 3, ("run", {"command": "ls"}, "a b c"))
    return session


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_training_view_says_what_is_trained_and_follows_the_flags(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    session = await three(feed)
    await feed.add(session, ev.CursorMoved.up_to(4), actor="human:ben")
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "job_kill" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "trained 3 of 3 replies" in screen_text(app))
        assert "[trained]" in screen_text(app) and "[trained, unseen]" in screen_text(app)
        await until(pilot, lambda: "training view: default" in screen_text(app))
        await pilot.press("left_square_bracket", "left_square_bracket", "f")
        await until(pilot, lambda: "[masked: flagged]" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: "[masked: flagged]" not in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "[trained" not in screen_text(app))


async def test_another_policy_by_name_and_one_that_is_not_there(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "job_kill" in screen_text(app))
        await pilot.press("colon", *"train strict", "enter")
        await until(pilot, lambda: "left out by the policy: session sign off" in screen_text(app))
        await pilot.press("colon", *"train nope", "enter")
        await until(pilot, lambda: "policy nope" in screen_text(app))


async def test_the_colours_of_the_view_are_those_of_the_spans(feed: FakeFeed) -> None:
    session = await three(feed)
    flag = ev.FlagSet(flag="x", target=ev.Target(2, "call", 1))
    await feed.add(session, flag, actor="human:ben")
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "job_kill" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "masked 1 flagged" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, SessionScreen) and screen.training.view is not None
        shown = {entry.seq: entry for seq in screen.transcript.in_sight() if (entry := screen.transcript.entry(seq))}
        checked = 0
        for entry in shown.values():
            reply = screen.training.view.steps.get(entry.step or 0)
            if reply is None or entry.kind not in ("action", "reply"):
                continue
            span = reply.of("call", entry.call) if entry.kind == "action" else reply.of("text")
            if span is None:
                continue
            line = entry.head if entry.kind == "action" else entry.body[0]
            wanted = "masked" if not span.trained else ("trained" if reply.seen else "unseen")
            assert {role for _, role in line} == {wanted}
            checked += 1
        assert checked == 5


async def test_a_search_over_all_sessions_opens_its_result_in_place(feed: FakeFeed) -> None:
    await three(feed)
    other = await feed.session("formats")
    long = [await feed.step(other, number, ("run", {"command": f"echo {number}"}, f"out {number}"))
            for number in range(1, 40)]  # fmt: skip
    async with open_app(feed) as (app, pilot):
        await pilot.press("s", *'"out 7"', "enter")
        await until(pilot, lambda: '"out 7": 1 found' in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected == long[6][0].seq)
        await pilot.press("escape", "colon", *"find tool:job_kill", "enter")
        await until(pilot, lambda: "tool:job_kill: 1 found" in screen_text(app) or "2 found" in screen_text(app))
        await pilot.press("escape", "colon", *"find nowhere", "enter")
        await until(pilot, lambda: "nowhere: nothing found" in screen_text(app))
        await pilot.press("s", "ctrl+u", *"state:nope x", "enter")
        await until(pilot, lambda: "no such state" in screen_text(app))


async def test_effort_and_who_are_said(feed: FakeFeed) -> None:
    session = await three(feed)
    await feed.add(session, ev.EffortSpent(active_ms=600_000, keys=90), actor="human:ben")
    await feed.add(session, ev.FlagSet(flag="x", target=ev.Target(2), label="x/impatience"), actor="human:ben")
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("colon", *"effort", "enter")
        await until(pilot, lambda: "10 min active, 90 keys" in screen_text(app))
        assert "labels: impatience 1" in screen_text(app) and "ben" not in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_counts_in_the_last_row_follow_the_log_and_agree_with_the_export(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    session = await three(feed)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "job_kill" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "trained 3 of 3 replies" in screen_text(app))
        await feed.add(session, ev.FlagSet(flag="x", target=ev.Target(2), label="x/impatience"), actor="human:ben")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: "trained 2 of 3 replies" in screen.receipt)
        await feed.step(session, 4, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: "trained 3 of 4 replies" in screen.receipt)
        exported = training_view(feed.reader, session, PRESETS["default"])
        assert exported is not None and screen.receipt == " · ".join(exported.lines())
        await pilot.press("t")
        await feed.step(session, 5, ("run", {"command": "ls"}, "a"))
        await until(pilot, lambda: screen.training.view is not None and screen.training.view.trained == 4)
        assert screen.receipt in ("follows", "stays here")


async def test_a_folded_run_of_polls_says_what_of_it_is_trained(feed: FakeFeed) -> None:
    session = await three(feed)
    for number in range(4, 9):
        await feed.step(session, number, ("job_output", {"job": 1}, f"epoch {number}"))
    await feed.add(session, ev.CursorMoved.up_to(1), actor="human:ben")
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "×5" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "[trained, unseen ×5]" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, SessionScreen) and screen.training.view is not None
        folded = [entry for seq in screen.transcript.in_sight() if (entry := screen.transcript._folds.run_at(seq))]
        spans = [screen.training.view.steps[step].of("call", 1) for step in range(4, 9)]
        assert [len(entry.marks) for entry in folded] == [len([span for span in spans if span and span.trained])]
        assert folded[0].head[0][1] == "unseen"
        await pilot.press("m")
        await until(pilot, lambda: "[trained" not in screen_text(app) and "×5" in screen_text(app))
