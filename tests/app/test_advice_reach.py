from __future__ import annotations

from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from sessions import events as ev
from sessions.fold.advice import AdviceBook
from sessions.host import protocol
from widgets.composer import Composer


def reaches(feed: FakeFeed, session: str) -> list[str | None]:
    """How far each piece of advice of the session reaches by the log."""
    return [record.reach for record in AdviceBook(feed.reader.events(session)).all]


async def test_new_advice_begins_as_general_says_so_and_ctrl_r_makes_it_hold_here(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"slow down")
        await until(pilot, lambda: "advise 1 tune-lr  general" in screen_text(app))
        assert "ctrl+r here only" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: reaches(feed, session) == ["general"])
        await until(pilot, lambda: "queued: advice to 1 tune-lr, general" in screen_text(app))
        await pilot.press("i", *"now", "ctrl+r")
        await until(pilot, lambda: "advise 1 tune-lr  here" in screen_text(app))
        # The draft keeps it.
        await pilot.press("escape", "i")
        await until(pilot, lambda: "advise 1 tune-lr  here" in screen_text(app))
        assert app.screen.query_one(Composer).text == "now"
        await pilot.press("enter")
        await until(pilot, lambda: reaches(feed, session) == ["general", "here"])
        await pilot.press("i", *"x", "ctrl+r", "ctrl+r", "ctrl+s")
        await until(pilot, lambda: reaches(feed, session) == ["general", "here", "general"])


async def test_an_answer_has_no_reach_to_choose(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.add(session, ev.QuestionAsked(question=1, text="Which?", until=0), step=1, call=1)
    async with open_app(feed) as (app, pilot):
        await pilot.press("a", *"two", "ctrl+r")
        await until(pilot, lambda: "answer 1 tune-lr" in screen_text(app))
        assert "general" not in screen_text(app) and "ctrl+r" not in screen_text(app)


async def test_the_reach_of_queued_advice_can_be_turned_and_undone(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    old = await feed.add(session, ev.AdviceQueued(advice=1, text="Wait."), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "Wait." in screen_text(app))
        assert app.screen.composer.edit_advice(session, old.seq)  # type: ignore[attr-defined]
        # Nobody said it of older advice: that counts as here.
        await until(pilot, lambda: "edit 1 tune-lr  advice 1  here" in screen_text(app))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "edit 1 tune-lr  advice 1  general" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: reaches(feed, session) == ["general"])
        await pilot.press("u")
        await until(pilot, lambda: reaches(feed, session) == [None])
        assert any(isinstance(call, protocol.Annotate) and call.kind == "advice.reach" for call in feed.calls)


async def test_advice_that_is_taken_back_is_a_draft_with_its_reach(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"now", "ctrl+r", "enter")
        await until(pilot, lambda: reaches(feed, session) == ["here"])
        await pilot.press("u")
        await until(pilot, lambda: "advise 1 tune-lr  here" in screen_text(app))
