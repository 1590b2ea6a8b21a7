"""Keys that come before the screen follows go where they were meant; a text that comes at once is a text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from fake_feed import FakeFeed
from headless_app import HAND_S, open_app, screen_text, send_keys, until
from textual import events
from textual.pilot import Pilot
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
from widgets.sanitise import clean


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
        send_keys(app, "3", "enter", "[")
        if held:
            await pilot.pause(0.2)
            opened.set()
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == sessions[2])
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(
            pilot, lambda: (entry := screen.transcript.entry(screen.transcript.selected)) and entry.target == "3.1"
        )
        send_keys(app, "[", "f")
        await until(pilot, lambda: flags(feed) == ["2.1"])


async def test_a_verdict_behind_a_move_is_on_what_the_move_leads_to(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "left_square_bracket", "enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and "one 3" in screen_text(app))
        opened = hold_reads(feed)
        send_keys(app, "[", "f")
        await pilot.pause(0.1)
        opened.set()
        await until(pilot, lambda: flags(feed) == ["2.1"])
        send_keys(app, "[", "[", "]")
        await until(pilot, lambda: "this is the first action" in screen_text(app))
        await until(pilot, lambda: app.view is not None and (s := app.view.subject()) and s[1].target == "2.1")


async def test_enter_twice_and_a_flag_reach_the_action_that_opens(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "left_square_bracket")
        send_keys(app, "enter", "f")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and flags(feed) == ["3.1"])


async def test_tab_in_the_new_session_form_goes_to_the_field_that_the_next_letters_are_for(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        send_keys(app, "c", "tab", "demo:wait", "tab", "tab", "tab", "waiter", "tab", "tab", "steps=5")
        await until(pilot, lambda: [field.value for field in app.screen.query("#limits").results(Input)] == ["steps=5"])
        values = {name: app.screen.query_one(f"#{name}", Input).value for name in ("model", "name", "workspace")}
        assert values == {"model": "demo:wait", "name": "waiter", "workspace": ""}
        assert app.screen.query_one(TextArea).text == ""


async def test_letters_and_tabs_in_one_burst_keep_their_order_in_the_form(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, NewSessionScreen) and isinstance(app.focused, TextArea))
        send_keys(app, "Sort it", "tab", "demo:x", "tab", "tab", "tab", "sorter", "escape")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        form = app.context.form
        assert form is not None and (form.task, form.model, form.name) == ("Sort it", "demo:x", "sorter")


@pytest.mark.parametrize("held", [False, True])
async def test_a_label_behind_F_is_for_the_picker_that_opens(feed: FakeFeed, held: bool) -> None:
    (first, *_) = await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket")
        opened = hold_reads(feed) if held else asyncio.Event()
        send_keys(app, "F", "x")
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
        send_keys(app, "F", "[")
        await asyncio.sleep(0.05)
        send_keys(app, "f")
        await asyncio.sleep(0.05)
        opened.set()
        await until(pilot, lambda: flags(feed) == ["3.1"])
        assert isinstance(app.screen, SessionScreen)


async def test_what_is_typed_behind_a_command_line_or_a_search_goes_where_they_lead(feed: FakeFeed) -> None:
    (first, second, _) = await three(feed)
    async with open_app(feed) as (app, pilot):
        send_keys(app, ":advise", "enter", "wait", gap=HAND_S)
        await until(pilot, lambda: app.view is not None and app.view.query_one(Composer).text == "wait")
        await pilot.press("escape")
        send_keys(app, "'2", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == second)
        send_keys(app, "'1", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == first)
        send_keys(app, "enter", "/run", "enter", "n", gap=HAND_S)
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.finder._places)
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected == screen.finder._places[1])


async def test_escape_out_of_the_composer_and_a_key_behind_it_keep_their_order(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "i")
        await until(pilot, lambda: app.screen.query_one(Composer).is_bound)
        send_keys(app, "wait", "escape", "[")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected is not None)
        assert app.context.drafts.all()[0].text == "wait"


async def test_a_picker_that_comes_late_opens_nothing_over_what_is_written(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.key_dispatch.OPENING_S", 0.0)  # the keys have waited long enough
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket")
        opened = hold_reads(feed)
        await pilot.press("F", "i", "x")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "x")
        opened.set()
        await until(pilot, lambda: app.view is not None and "came late" in app.view.receipt)
        await pilot.press("g")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "xg")
        assert flags(feed) == []


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
        send_keys(app, *_keys_of(text))
        await until(pilot, lambda: here.query_one(Composer).text == text)
        await pilot.pause(0.1)
        assert app.screen is here and "nothing is sent yet" in screen_text(app)
        assert [call for call in feed.calls[before:] if not isinstance(call, protocol.Annotate)] == []
        assert flags(feed) == []


def _keys_of(text: str) -> Iterable[str]:
    return [{"\n": "enter", "\t": "tab"}.get(letter, letter) for letter in text]


async def test_an_unbracketed_paste_over_a_picker_goes_into_its_note_and_picks_nothing(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket", "F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        send_keys(app, *_keys_of("xgs too\nearly"))
        await until(pilot, lambda: app.screen.query_one("#note", Input).value == "xgs too early")
        assert flags(feed) == []
        await pilot.press("escape", "S")
        await until(pilot, lambda: not isinstance(app.screen, BoardScreen) and bool(app.screen.query(ChoiceList)))
        send_keys(app, "good work")
        await until(pilot, lambda: app.view is not None and "a paste is text" in app.view.receipt)
        assert not [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind != "cursor.moved"]


KEYS_FIRST = [
    "import torch\nx = 1\n",
    "i think it is stuck",
    "[info] no data\n",
    ":quit\n",
    ":limit steps +20\n",
    "/data/run\n",
    "'til noon\n",
    "c\td\ne\tf\n",
    "1\n2\n3\n",
    "12 of 40",
    "pause now\n",
    "q\nq\n",
    "\nimport os\n",
    "\tif x:\n",
    "F1 score",
    "训练失败了 é 👨\u200d👩\u200d👧\nx",
]
PLACES: dict[str, tuple[str, ...]] = {
    "board": (),
    "session": ("enter",),
    "action": ("enter", "left_square_bracket", "enter"),
    "review": ("r",),
}
FIELDS: dict[str, tuple[str, ...]] = {
    "command": ("colon",),
    "find": ("s",),
    "help": ("question_mark",),
    "only": ("slash",),
    "search": ("enter", "slash"),
    "number": ("apostrophe",),
    "note": ("left_square_bracket", "F"),
}
SILENT: dict[str, tuple[str, ...]] = {"export": ("e",), "filter": ("enter", "w")}


def acts(feed: FakeFeed) -> int:
    """How much was asked of the host, beside what was read and how long that took."""
    passive = ("cursor.moved", "effort.spent")
    return sum(not (isinstance(call, protocol.Annotate) and call.kind in passive) for call in feed.calls)


async def open_place(app: ApolloApp, pilot: Pilot[None], keys: tuple[str, ...]) -> None:
    for key in keys:
        before = app.screen
        await pilot.press(key)
        if key != "left_square_bracket":
            await until(pilot, lambda before=before: app.screen is not before and not app._presser.waits())


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
@pytest.mark.parametrize("place", PLACES)
async def test_a_text_that_begins_with_a_key_goes_whole_into_a_draft(
    feed: FakeFeed, place: str, size: tuple[int, int]
) -> None:
    await three(feed)
    async with open_app(feed, size=size) as (app, pilot):
        await open_place(app, pilot, PLACES[place])
        here, before = app.screen, acts(feed)
        composer = here.query_one(Composer)
        for text in KEYS_FIRST:
            send_keys(app, *_keys_of(text))
            await until(pilot, lambda text=text: composer.text == clean(text))
            composer.area.text = ""
            await pilot.press("escape")
            await until(pilot, lambda: not composer.is_bound)
        assert app.screen is here and acts(feed) == before


@pytest.mark.parametrize("place", FIELDS)
async def test_a_text_of_lines_goes_into_the_field_of_a_panel_and_its_returns_do_nothing(
    feed: FakeFeed, place: str
) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await open_place(app, pilot, FIELDS[place])
        here, before = app.screen, acts(feed)
        field = here.query_one(Input)
        for text in ("pause now\n", "quit\nflag it", "\nimport os\n", "1\n2\n3\n", "ww\nww\n"):
            send_keys(app, *_keys_of(text))
            await until(pilot, lambda text=text: field.value.split() == text.split())
            await pilot.pause(0.12)
            field.value = ""
        assert app.screen is here and acts(feed) == before


@pytest.mark.parametrize("place", SILENT)
async def test_where_nothing_takes_text_a_line_says_so_and_nothing_acts(feed: FakeFeed, place: str) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await open_place(app, pilot, SILENT[place])
        here, before, view = app.screen, acts(feed), app.view
        assert view is not None
        for text in KEYS_FIRST:
            view.say("before")
            send_keys(app, *_keys_of(text))
            await until(pilot, lambda: "a paste is text" in view.receipt)
        assert app.screen is here and acts(feed) == before


@pytest.mark.parametrize("piece", [7, 64])
@pytest.mark.parametrize("place", ["board", "export", "command", "note"])
async def test_a_text_that_comes_in_pieces_is_one_text(feed: FakeFeed, place: str, piece: int) -> None:
    await three(feed)
    text = "import torch: Fx w\nqq" + " pause, then write e" * 4 + "\nw"
    async with open_app(feed) as (app, pilot):
        await open_place(app, pilot, {**PLACES, **SILENT, **FIELDS}[place])
        here, before, letters = app.screen, acts(feed), list(_keys_of(text))
        for at in range(0, len(letters), piece):
            send_keys(app, *letters[at : at + piece])
            await asyncio.sleep(0.03)  # the line is slow
        if place == "board":
            await until(pilot, lambda: here.query_one(Composer).text == text)
        elif place == "export":
            await until(pilot, lambda: not app._key_queue)
            assert app.view is not None and "a paste is text" in app.view.receipt
        else:
            await until(pilot, lambda: here.query_one(Input).value == text.replace("\n", " "))
        assert app.screen is here and acts(feed) == before


async def test_a_long_text_in_an_open_composer_is_put_there_in_few_parts(feed: FakeFeed) -> None:
    await three(feed)
    text = "word fFpqx " * 900
    async with open_app(feed) as (app, pilot):
        await pilot.press("i")
        changes: list[object] = []
        composer = app.screen.query_one(Composer)
        composer.on_text_area_changed = changes.append  # type: ignore[method-assign]
        send_keys(app, text)
        await until(pilot, lambda: composer.text == text)
        assert len(changes) < 100


async def test_tabs_and_returns_of_a_text_stay_in_an_open_composer(feed: FakeFeed) -> None:
    await three(feed)
    text = "name\tvalue\n\tlr\t1e-3\n"
    async with open_app(feed) as (app, pilot):
        await pilot.press("i")
        send_keys(app, *_keys_of(text))
        await until(pilot, lambda: app.screen.query_one(Composer).text == clean(text))


async def test_what_stands_behind_an_escape_in_a_text_does_not_act(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket", "i")
        send_keys(app, "red", "escape", "flag it, pause")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "red\nflag it, pause")
        assert flags(feed) == []


async def test_a_return_behind_a_text_that_came_in_pieces_sends_nothing(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        composer = app.screen.query_one(Composer)
        send_keys(app, "use sgd")
        await until(pilot, lambda: composer.text == "use sgd")
        composer.area.expect_rest()  # however slow this machine is
        send_keys(app, "enter")
        await until(pilot, lambda: composer.text == "use sgd\n")


async def test_a_long_paste_over_a_panel_is_not_cropped(feed: FakeFeed) -> None:
    await three(feed)
    text = "a reason " * 100 + "at last"
    async with open_app(feed) as (app, pilot):
        await open_place(app, pilot, FIELDS["note"])
        app.post_message(events.Paste(text))
        await until(pilot, lambda: app.screen.query_one(Input).value == text)


async def test_an_unbracketed_paste_on_a_sleeping_screen_is_kept_whole(feed: FakeFeed) -> None:
    from sessions.clock import now_ms

    await three(feed)
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await pilot.press("j")
        ahead[0] = 21 * 60_000
        send_keys(app, "flag it")
        await until(pilot, lambda: app.view is not None and app.view.query_one(Composer).text == "flag it")
        assert flags(feed) == []


async def test_letters_that_a_hand_strikes_are_keys(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket")
        for key in ("f", "left_square_bracket", "f"):
            send_keys(app, "[" if key == "left_square_bracket" else key)
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
