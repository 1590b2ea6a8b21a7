"""Advice that waits can be taken back and edited, whoever wrote it and however much came after it."""

from __future__ import annotations

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.acts.drafts import Draft, Drafts
from apollo_tui.app import ApolloApp
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.panels.queued_advice import QueuedAdvicePanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol
from widgets.composer import Composer

LONG = "be patient with the loss " * 30


async def queued(feed: FakeFeed, *texts: str, by: str = "human:ada") -> str:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    for number, text in enumerate(texts, 1):
        await feed.add(session, ev.AdviceQueued(advice=number, text=text), actor=by)
    return session


def waiting(app: ApolloApp, session: str) -> list[tuple[int, str]]:
    return [(one.advice, one.text) for one in app.context.state.sessions[session].summary.open_advice]


def composer_of(app: ApolloApp) -> Composer:
    return app.screen.query_one(Composer)


async def calls(feed: FakeFeed, pilot: Pilot[None], kind: type[protocol.Call]) -> list[protocol.Call]:
    await until(pilot, lambda: any(isinstance(call, kind) for call in feed.calls))
    return [call for call in feed.calls if isinstance(call, kind)]


@pytest.mark.parametrize("by", ["human:ada", "human:bob"])
@pytest.mark.parametrize("text", ["second", LONG])
async def test_up_then_enter_on_queued_advice_edits_it_and_queues_no_second_one(
    feed: FakeFeed, by: str, text: str
) -> None:
    session = await queued(feed, "first", text, by=by)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", "up")
        await until(pilot, lambda: composer_of(app).text == text and composer_of(app).target.verb == "edit")  # type: ignore[union-attr]
        await pilot.press("!", "enter")
        (edit,) = await calls(feed, pilot, protocol.EditAdvice)
        assert isinstance(edit, protocol.EditAdvice) and (edit.advice, edit.text) == (2, f"{text}!")
        assert not [call for call in feed.calls if isinstance(call, protocol.QueueAdvice)]
        await until(pilot, lambda: [number for number, _ in waiting(app, session)] == [1, 2])
        assert Drafts(feed.paths.drafts, feed.actor).all() == []


async def test_up_and_enter_before_the_log_was_read_mean_the_same(feed: FakeFeed) -> None:
    await queued(feed, "first")
    async with open_app(feed) as (_, pilot):
        from textual import events

        for key in ("i", "up", "enter"):
            pilot.app.post_message(events.Key(key, "i" if key == "i" else None))
        (edit,) = await calls(feed, pilot, protocol.EditAdvice)
        assert isinstance(edit, protocol.EditAdvice) and (edit.advice, edit.text) == (1, "first")


async def test_up_again_goes_to_older_advice_and_down_back_to_what_was_being_written(feed: FakeFeed) -> None:
    session = await queued(feed, "gone", "older", "newer")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="gone"), step=2)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"mine")
        found = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            await pilot.pause()
            target = composer_of(app).target
            assert target is not None
            found.append((composer_of(app).text, target.verb, target.ref))
        assert found == [
            ("newer", "edit", 3), ("older", "edit", 2), ("gone", "advise", None),
            ("older", "edit", 2), ("newer", "edit", 3), ("mine", "advise", None),
        ]  # fmt: skip
        await pilot.press("escape")
        assert [(draft.slot, draft.text) for draft in Drafts(feed.paths.drafts, feed.actor).all()] == [
            ("advice", "mine")
        ]


@pytest.mark.parametrize("opens", [(), ("enter",)])
async def test_advice_older_than_the_pane_is_edited_and_taken_back(feed: FakeFeed, opens: tuple[str, ...]) -> None:
    session = await queued(feed, "older", "newer", by="human:bob")
    for number in range(2, 130):
        await feed.step(session, number, ("run", {"command": "ls"}, "a\n"))
    async with open_app(feed) as (app, pilot):
        book = app.context.state.sessions[session].book
        await until(pilot, lambda: book.entries() and book.entries()[0].seq > 10)  # it is out of the window
        await pilot.press(*opens, "colon", *"withdraw", "enter")
        await until(pilot, lambda: isinstance(app.screen, QueuedAdvicePanel))
        await pilot.press("up", "enter")
        await until(pilot, lambda: composer_of(app).text == "older")
        await pilot.press("!", "enter")
        await until(pilot, lambda: waiting(app, session) == [(1, "older!"), (2, "newer")])
        await pilot.press("colon", *"withdraw", "space", "1", "enter")
        await until(pilot, lambda: waiting(app, session) == [(2, "newer")])
        await until(pilot, lambda: composer_of(app).text == "older!")
        assert "is a draft again" in screen_text(app)
        await pilot.press("escape", "colon", *"withdraw", "enter")
        await until(pilot, lambda: isinstance(app.screen, QueuedAdvicePanel))
        await pilot.press("u")
        await until(pilot, lambda: waiting(app, session) == [])
        await pilot.press("escape", "colon", *"withdraw", "enter")
        await until(pilot, lambda: "no advice to 1 tune-lr waits" in screen_text(app))


async def test_its_row_in_the_transcript_is_edited_and_taken_back_however_old_it_is(feed: FakeFeed) -> None:
    session = await queued(feed, "older", "newer", by="human:bob")
    for number in range(2, 130):
        await feed.step(session, number, ("run", {"command": "ls"}, "a\n"))
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.anchors)
        row = next(anchor.seq for anchor in screen.transcript.anchors if anchor.kind == "advice.queued")
        screen.jump(row)
        await until(pilot, lambda: screen.subject() is not None)
        await pilot.press("enter")
        await until(pilot, lambda: composer_of(app).text == "older")
        await pilot.press("escape", "u")
        await until(pilot, lambda: waiting(app, session) == [(2, "newer")])


@pytest.mark.parametrize("key", ["enter", "ctrl+s"])
async def test_editing_to_nothing_asks_and_only_a_second_enter_takes_it_back(feed: FakeFeed, key: str) -> None:
    session = await queued(feed, "stop", "keep")
    async with open_app(feed) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        assert board.composer.edit_queued(session, 1)
        await pilot.press(*["backspace"] * 4, key)
        await until(pilot, lambda: "advice 1 would be empty: enter again takes it back" in screen_text(app))
        assert waiting(app, session) == [(1, "stop"), (2, "keep")]
        await pilot.press("a", "backspace", key)
        await pilot.pause(0.1)
        assert waiting(app, session) == [(1, "stop"), (2, "keep")], "what was typed meanwhile takes the answer back"
        await pilot.press(key)
        await until(pilot, lambda: waiting(app, session) == [(2, "keep")])
        await until(pilot, lambda: "advice 1 to 1 tune-lr is taken back" in screen_text(app))
        assert not composer_of(app).is_bound


async def test_editing_to_nothing_and_leaving_changes_nothing(feed: FakeFeed) -> None:
    session = await queued(feed, "stop")
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", "up")
        await until(pilot, lambda: composer_of(app).text == "stop")
        await pilot.press(*["backspace"] * 4, "enter", "escape")
        await until(pilot, lambda: not composer_of(app).is_bound)
        assert waiting(app, session) == [(1, "stop")]
        assert Drafts(feed.paths.drafts, feed.actor).all() == []


async def test_looking_at_queued_advice_makes_no_draft_of_it_and_an_unsent_change_comes_back(feed: FakeFeed) -> None:
    await queued(feed, "one", "two")
    drafts = Drafts(feed.paths.drafts, feed.actor)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", "up", "escape")
        assert drafts.all() == []
        for text in ("two, later", "one, later"):
            await pilot.press("i", "up")
            await until(pilot, lambda: composer_of(app).text.startswith("two"))
            if text.startswith("one"):
                await pilot.press("up")
                await until(pilot, lambda: composer_of(app).text == "one")
            await pilot.press(*", later", "escape")
            await until(pilot, lambda text=text: text in [draft.text for draft in drafts.all()])  # type: ignore[misc]
        await pilot.press("i", "up")
        await until(pilot, lambda: composer_of(app).text == "two, later")


async def test_an_unsent_change_to_advice_that_was_delivered_meanwhile_is_in_the_next_draft(feed: FakeFeed) -> None:
    session = await queued(feed, "one")
    drafts = Drafts(feed.paths.drafts, feed.actor)
    drafts.save(Draft(session, "one, but later", 1, edits=1))
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="one"), step=2)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: composer_of(app).text == "one, but later")
        await pilot.press("escape")
        assert [(draft.slot, draft.text) for draft in drafts.all()] == [("advice", "one, but later")]
