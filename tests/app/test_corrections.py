from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.acts.drafts import Drafts
from apollo_tui.app import ApolloApp
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol
from widgets.composer import Composer

SIZES = [(80, 24), (120, 36)]
KILL = ev.Target(2, "call", 1)


async def story(feed: FakeFeed) -> str:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"), text="I begin.")
    await feed.step(session, 2, ("job_kill", {"job": 7}, "killed"), text="It is slow.")
    await feed.step(session, 3, ("run", {"command": "ls"}, "a b c"))
    return session


def written(feed: FakeFeed) -> list[ev.CorrectionWritten]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "correction.written"]
    return [msgspec.convert(call.body, ev.CorrectionWritten) for call in calls]


async def at_the_kill(app: ApolloApp, pilot: Pilot[None]) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "job_kill" in screen_text(app))
    await pilot.press("left_square_bracket", "left_square_bracket")


async def saved(app: ApolloApp, pilot: Pilot[None], feed: FakeFeed, count: int) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: len(written(feed)) == count)


@pytest.mark.parametrize("size", SIZES)
async def test_a_correction_is_written_on_the_selected_action_and_stands_under_it(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    await story(feed)
    async with open_app(feed, size) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C", *"wait for job 7")
        await until(pilot, lambda: "correct 1 tune-lr  about 2.1" in screen_text(app))
        await pilot.pause(0.1)
        await saved(app, pilot, feed, 1)
        assert written(feed) == [ev.CorrectionWritten(target=KILL, text="wait for job 7")]
        await until(pilot, lambda: "↳ instead (ada) wait for job 7" in screen_text(app))
        await until(
            pilot, lambda: "written · u undoes · it masks nothing: f flags what the agent did" in app.screen.receipt
        )
        assert [call for call in feed.calls if call.method.startswith("advice.")] == []
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and "↳ instead, by ada," in screen_text(app))
        assert "wait for job 7" in screen_text(app)


async def test_a_call_whose_json_is_broken_is_kept_as_words_and_the_receipt_says_so(feed: FakeFeed) -> None:
    await story(feed)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C", *'wait {"job": 7')
        await until(pilot, lambda: app.screen.query_one(Composer).text == 'wait {"job": 7')
        await saved(app, pilot, feed, 1)
        await until(pilot, lambda: "kept as words: wait is followed by no whole JSON object" in app.screen.receipt)
        await pilot.press("C", "right_curly_bracket")
        await until(pilot, lambda: app.screen.query_one(Composer).text == 'wait {"job": 7}')
        await saved(app, pilot, feed, 2)
        await until(pilot, lambda: "written" in app.screen.receipt and "kept as words" not in app.screen.receipt)


@pytest.mark.usefixtures("only_keys_call")
async def test_a_burst_after_the_key_is_text_and_no_key_of_the_screen(feed: FakeFeed) -> None:
    await story(feed)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C", *"fFuq+p")
        assert app.screen.query_one(Composer).text == "fFuq+p" and feed.calls == []


async def test_up_brings_the_call_to_be_changed_and_undo_redo_and_history_know_corrections(feed: FakeFeed) -> None:
    session = await story(feed)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C")
        await until(pilot, lambda: app.screen.query_one(Composer).area._earlier != [])
        await pilot.press("up")
        assert app.screen.query_one(Composer).text == 'job_kill {"job":7}'
        await saved(app, pilot, feed, 1)
        await pilot.press("C")
        await until(pilot, lambda: app.screen.query_one(Composer).text == 'job_kill {"job":7}')
        await pilot.press("!")
        await pilot.pause(0.1)
        await saved(app, pilot, feed, 2)

        def standing() -> str:
            return app.context.state.sessions[session].remarks.corrections.own(feed.actor, KILL)

        await pilot.press("u")
        await until(pilot, lambda: standing() == 'job_kill {"job":7}')
        await pilot.press("u")
        await until(pilot, lambda: standing() == "" and "instead" not in screen_text(app))
        await pilot.press("U")
        await until(pilot, lambda: standing() == 'job_kill {"job":7}')
        await pilot.press("H")
        await until(pilot, lambda: "what you did on this log (2)" in screen_text(app))
        assert "correction of 1 tune-lr · 2.1: job_kill" in screen_text(app) and "undone" in screen_text(app)


async def test_saved_empty_a_correction_is_taken_back(feed: FakeFeed) -> None:
    session = await story(feed)
    await feed.add(session, ev.CorrectionWritten(target=KILL, text="no"), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "no")
        await pilot.press("backspace", "backspace")
        await pilot.pause(0.1)
        await saved(app, pilot, feed, 1)
        assert written(feed)[0].text == ""
        await until(pilot, lambda: "correction of 1 tune-lr · 2.1 taken back · u undoes" in screen_text(app))


async def test_what_is_typed_is_kept_per_action_and_what_stands_already_is_no_draft(feed: FakeFeed) -> None:
    session = await story(feed)
    await feed.add(session, ev.CorrectionWritten(target=KILL, text="wait"), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C", "escape")
        assert Drafts(feed.paths.drafts, feed.actor).all() == []
        await pilot.press("C", *" more", "escape", "right_square_bracket", "C", *"other", "escape")
        texts = {str(draft.corrects): draft.text for draft in Drafts(feed.paths.drafts, feed.actor).all()}
        assert texts == {"2.1": "wait more", "3.1": "other"}
        await pilot.press("left_square_bracket", "C")
        assert app.screen.query_one(Composer).text == "wait more"
        await pilot.press("escape", "i")
        assert app.screen.query_one(Composer).text == "", "advice has a draft of its own"


async def test_a_host_that_is_down_costs_no_correction_and_the_receipt_names_the_key(feed: FakeFeed) -> None:
    await story(feed)
    async with open_app(feed) as (app, pilot):
        await at_the_kill(app, pilot)
        await pilot.press("C", *"wait")
        feed.up = False
        await pilot.pause(0.1)
        await pilot.press("enter")
        await until(pilot, lambda: "not saved: no host is connected" in screen_text(app))
        assert "brings it back" in screen_text(app)
        feed.up = True
        await pilot.press("C")
        assert app.screen.query_one(Composer).text == "wait"


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_and_foreign_correction_stays_harmless_and_bounded(feed: FakeFeed, size: tuple[int, int]) -> None:
    session = await story(feed)
    evil = "[b]x[/] \x1b]0;owned\x07 \x9b31m \u202e " + "word " * 200 + "\nlast"
    await feed.add(session, ev.CorrectionWritten(target=KILL, text=evil), actor="human:" + evil[:30])
    async with open_app(feed, size) as (app, pilot):
        await at_the_kill(app, pilot)
        await until(pilot, lambda: "↳ instead" in screen_text(app))
        harmless(screen_text(app))
        assert "last" not in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and "↳ instead, by" in screen_text(app))
        harmless(screen_text(app))


def harmless(text: str) -> None:
    bad: list[Any] = [c for c in text if (ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 or c == "\u202e"]
    assert bad == []
