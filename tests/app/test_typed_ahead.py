"""Keys that come before the screen follows go where they were meant; a text that comes at once is a text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input, TextArea

from apollo_tui.app import ApolloApp
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.new_session import NewSessionScreen
from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol
from widgets.composer import Composer
from widgets.picker import ChoiceList

CHARACTERS = {"enter": "\r", "tab": "\t", "escape": "\x1b"}


def send(app: ApolloApp, *keys: str) -> None:
    """Keys as a terminal sends them that has read them all at once: names, or texts of single letters."""
    for key in keys:
        if key in CHARACTERS:
            app.post_message(events.Key(key, CHARACTERS[key]))
        else:
            for letter in key:
                app.post_message(events.Key(_character_to_key(letter), letter))


def flags(feed: FakeFeed) -> list[str]:
    calls = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "flag.set"]
    return [str(ev.Target(**call.body["target"])) for call in calls]


async def three(feed: FakeFeed, steps: int = 3) -> list[str]:
    made = []
    for title in ("one", "two", "three"):
        session = await feed.session(title)
        for number in range(1, steps + 1):
            await feed.step(session, number, ("run", {"command": f"{title} {number}"}, "ok\n"), text=f"Step {number}.")
        made.append(session)
    return made


def hold_reads(feed: FakeFeed) -> asyncio.Event:
    """No read of the log comes back before this is set."""
    opened, read = asyncio.Event(), feed.read

    async def late(ask: Any) -> Any:
        await opened.wait()
        return await read(ask)

    feed.read = feed.work = late  # type: ignore[method-assign]
    return opened


@pytest.mark.parametrize("held", [False, True])
async def test_keys_behind_enter_are_for_the_session_that_opens(feed: FakeFeed, held: bool) -> None:
    sessions = await three(feed)
    async with open_app(feed) as (app, pilot):
        opened = hold_reads(feed) if held else asyncio.Event()
        send(app, "3", "enter", "[")
        if held:
            await pilot.pause(0.2)
            opened.set()
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == sessions[2])
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(
            pilot, lambda: (entry := screen.transcript.entry(screen.transcript.selected)) and entry.target == "3.1"
        )
        send(app, "[", "f")
        await until(pilot, lambda: flags(feed) == ["2.1"])


async def test_a_verdict_behind_a_move_is_on_what_the_move_leads_to(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "left_square_bracket", "enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and "one 3" in screen_text(app))
        opened = hold_reads(feed)
        send(app, "[", "f")
        await pilot.pause(0.1)
        opened.set()
        await until(pilot, lambda: flags(feed) == ["2.1"])
        send(app, "[", "[", "]")
        await until(pilot, lambda: "this is the first action" in screen_text(app))
        await until(pilot, lambda: app.view is not None and (s := app.view.subject()) and s[1].target == "2.1")


async def test_enter_twice_and_a_flag_reach_the_action_that_opens(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "left_square_bracket")
        send(app, "enter", "f")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and flags(feed) == ["3.1"])


async def test_tab_in_the_new_session_form_goes_to_the_field_that_the_next_letters_are_for(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        send(app, "c", "tab", "demo:wait", "tab", "waiter", "tab", "tab", "steps=5")
        await until(pilot, lambda: [field.value for field in app.screen.query("#limits").results(Input)] == ["steps=5"])
        values = {name: app.screen.query_one(f"#{name}", Input).value for name in ("model", "name", "workspace")}
        assert values == {"model": "demo:wait", "name": "waiter", "workspace": ""}
        assert app.screen.query_one(TextArea).text == ""


async def test_letters_and_tabs_in_one_burst_keep_their_order_in_the_form(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen) and isinstance(app.focused, TextArea))
        send(app, "Sort it", "tab", "demo:x", "enter", "sorter", "escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        form = app.context.form
        assert form is not None and (form.task, form.model, form.name) == ("Sort it", "demo:x", "sorter")


@pytest.mark.parametrize("held", [False, True])
async def test_a_label_behind_F_is_for_the_picker_that_opens(feed: FakeFeed, held: bool) -> None:
    (first, *_) = await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket")
        opened = hold_reads(feed) if held else asyncio.Event()
        send(app, "F", "x")
        await pilot.pause(0.1)
        opened.set()
        standing = app.context.state.sessions[first].flags
        await until(pilot, lambda: [body.label for _, body in standing.values()] == ["x/impatience"])
        assert not [call for call in feed.calls if isinstance(call, protocol.Control)]


async def test_keys_behind_a_picker_that_is_refused_are_pressed_where_one_is(feed: FakeFeed) -> None:
    (first, *_) = await three(feed)
    await feed.add(first, ev.StateChanged(state="paused"), actor="human:bob")
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "G", "k", "j")
        await until(pilot, lambda: app.view is not None and (s := app.view.subject()) and s[1].kind == "state")
        opened = hold_reads(feed)
        send(app, "F", "[")
        await asyncio.sleep(0.05)
        send(app, "f")
        await asyncio.sleep(0.05)
        opened.set()
        await until(pilot, lambda: flags(feed) == ["3.1"])
        assert isinstance(app.screen, SessionScreen)


async def test_what_is_typed_behind_a_command_line_or_a_search_goes_where_they_lead(feed: FakeFeed) -> None:
    (first, second, _) = await three(feed)
    async with open_app(feed) as (app, pilot):
        send(app, ":advise", "enter", "wait")
        await until(pilot, lambda: app.view is not None and app.view.query_one(Composer).text == "wait")
        await pilot.press("escape")
        send(app, "'2", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == second)
        send(app, "'1", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == first)
        send(app, "/run", "enter", "n")  # on the board it opens the session first; n waits for the search
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.finder._places)
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected == screen.finder._places[1])


async def test_escape_out_of_the_composer_and_a_key_behind_it_keep_their_order(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "i")
        await until(pilot, lambda: app.screen.query_one(Composer).is_bound)
        send(app, "wait", "escape", "[")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected is not None)
        assert app.context.drafts.all()[0].text == "wait"


# --- a text that comes at once ----------------------------------------------------------------------------------------

TEXTS = ["fix the flags first: Fx, pause, quit", "flag", "xx stop\nuse sgd\n", "Say: lr = 1e-3", "quit now", "eval!"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("opens", [(), ("enter",), ("enter", "left_square_bracket", "enter")])
async def test_an_unbracketed_paste_is_a_draft_sets_no_flag_and_opens_nothing(
    feed: FakeFeed, text: str, opens: tuple[str, ...]
) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press(*(opens or ("left_square_bracket",)))
        await until(pilot, lambda: app.view is not None and app.view.subject() is not None)
        here = app.screen
        before = len(feed.calls)
        send(app, *_keys_of(text))
        await until(pilot, lambda: here.query_one(Composer).text == text)
        await pilot.pause(0.1)
        assert app.screen is here and "nothing is sent yet" in screen_text(app)
        assert [call for call in feed.calls[before:] if not isinstance(call, protocol.Annotate)] == []
        assert flags(feed) == []


def _keys_of(text: str) -> Iterable[str]:
    return ["enter" if letter == "\n" else letter for letter in text]


async def test_an_unbracketed_paste_over_a_picker_goes_into_its_note_and_picks_nothing(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket", "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        send(app, *_keys_of("xgs too\nearly"))
        await until(pilot, lambda: app.screen.query_one("#note", Input).value == "xgs too early")
        assert flags(feed) == []
        await pilot.press("escape", "S")
        await until(pilot, lambda: not isinstance(app.screen, BoardScreen) and bool(app.screen.query(ChoiceList)))
        send(app, "good work")
        await until(pilot, lambda: app.view is not None and "a paste is text" in app.view.receipt)
        assert not [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind != "cursor.moved"]


async def test_an_unbracketed_paste_on_a_sleeping_screen_is_kept_whole(feed: FakeFeed) -> None:
    from sessions.clock import now_ms

    await three(feed)
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await pilot.press("j")
        ahead[0] = 21 * 60_000
        send(app, "flag it")
        await until(pilot, lambda: app.view is not None and app.view.query_one(Composer).text == "flag it")
        assert flags(feed) == []


async def test_letters_that_a_hand_strikes_are_keys(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket")
        for key in ("f", "left_square_bracket", "f"):
            send(app, "[" if key == "left_square_bracket" else key)
            await asyncio.sleep(0.03)
        await until(pilot, lambda: len(flags(feed)) == 2)


async def test_the_key_that_closes_a_panel_waits_for_nothing_that_the_panel_no_longer_does(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.key_dispatch.QUEUE_S", 3_600.0)
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "python train.py"}, "loss 2.1"))
    async with open_app(feed) as (app, pilot):
        for key in ("question_mark", "colon"):
            board = app.screen
            await pilot.press(key)
            await until(pilot, lambda board=board: app.screen is not board)
            await pilot.press("escape", key)
            await until(pilot, lambda board=board: app.screen is not board)
            await pilot.press("escape")
            await until(pilot, lambda board=board: app.screen is board)
