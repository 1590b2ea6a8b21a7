from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fake_feed import FakeFeed
from headless_app import HAND_S, open_app, screen_text, send_keys, until
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from apollo_tui.acts.leave_check import without_budget
from apollo_tui.app import ApolloApp
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.panels.facts import FactsScreen
from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.panels.leave import LeavePanel
from apollo_tui.screens.panels.since_you_left import AwayPanel
from sessions import events as ev
from sessions.clock import now_ms
from sessions.config import Config
from sessions.host import protocol
from widgets.picker import ChoiceList

NIGHT = 6 * 3_600_000


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apollo_tui.screens.panels.since_you_left.SETTLED_S", 0.0)


@pytest.fixture
async def session(feed: FakeFeed) -> str:
    made = await feed.session("tune-lr")
    await feed.step(made, 1, ("job_kill", {"job": 7}, "killed"), text="It is slow.")
    return made


async def ready(app: ApolloApp, pilot: Pilot[None]) -> None:
    await pilot.press("left_square_bracket")
    await until(pilot, lambda: app.view is not None and app.view.subject() is not None)


def paste(app: ApolloApp, text: str) -> None:
    app.post_message(events.Paste(text))


def last_row(app: ApolloApp) -> str:
    return (screen_text(app).splitlines() or [""])[-1]


def composed(app: ApolloApp) -> str:
    screen = app.screen
    return str(screen.composer.text) if isinstance(screen, BoardScreen) else ""


async def test_a_label_letter_that_comes_twice_in_a_burst_sets_one_flag_and_the_second_is_the_boards(
    feed: FakeFeed, session: str
) -> None:
    second = await feed.session("poller")
    async with open_app(feed) as (app, pilot):
        await ready(app, pilot)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        app.screen.query_one(ChoiceList).focus()
        send_keys(app, "j2")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and app.screen.session == second)
        await pilot.press("1")
        await ready(app, pilot)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        send_keys(app, "xxx")
        flags = [c for c in feed.calls if isinstance(c, protocol.Annotate) and c.kind == "flag.set"]
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.pause(0.05)
        flags = [c for c in feed.calls if isinstance(c, protocol.Annotate) and c.kind == "flag.set"]
    assert len(flags) == 2 and not app.crash


async def test_what_is_cropped_in_a_list_is_said_whole_for_the_choice_at_the_cursor(
    feed: FakeFeed, session: str
) -> None:
    async with open_app(feed, (80, 24)) as (app, pilot):
        await ready(app, pilot)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        choices = app.screen.query_one(ChoiceList)
        for label in app.context.labels.labels:
            choices.highlight(label.id)
            await pilot.pause()
            assert label.definition in " ".join(screen_text(app).replace("│", " ").split()), label.id


async def test_a_paste_over_the_table_of_what_happened_is_a_draft_to_the_session_it_was_about(
    feed: FakeFeed, session: str
) -> None:
    other = await feed.session("formats")
    for one in (session, other):
        await feed.add(one, ev.CursorMoved.up_to(1), actor=feed.actor)
        await feed.step(one, 2, ("run", {"command": "make"}, "done"))
    async with open_app(feed, clock=lambda: now_ms() + NIGHT) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        chosen = app.screen.query_one(ChoiceList)
        await pilot.press("down")
        wanted = chosen.highlighted
        paste(app, "let it run\nto the end")
        await until(pilot, lambda: composed(app) == "let it run\nto the end")
        board = app.screen
        assert isinstance(board, BoardScreen) and wanted is not None and board.composer.target is not None
        assert board.composer.target.session == wanted.id
        assert not [call for call in feed.calls if isinstance(call, protocol.QueueAdvice)]


async def test_a_paste_on_a_view_goes_behind_the_draft_that_is_there(feed: FakeFeed, session: str) -> None:
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"first", "escape")
        paste(app, "second")
        await until(pilot, lambda: composed(app) == "first\nsecond")
        assert "nothing is sent yet" in screen_text(app)
        await pilot.press("escape")
        stored = app.context.drafts.load(session, "advice")
        assert stored is not None and stored.text == "first\nsecond"


async def test_a_paste_on_a_panel_goes_into_its_field_with_all_its_lines_or_it_is_said_that_nothing_takes_it(
    feed: FakeFeed, session: str
) -> None:
    async with open_app(feed) as (app, pilot):
        await ready(app, pilot)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        paste(app, "too early\nand twice")
        await until(pilot, lambda: app.screen.query_one("#note", Input).value == "too early and twice")
        await pilot.press("escape", "colon", *"link", "enter")
        await until(pilot, lambda: "enter sets it" in screen_text(app))
        paste(app, "lost?")
        await until(pilot, lambda: app.view is not None and "a paste is text" in app.view.receipt)


async def test_a_paste_that_nothing_takes_names_the_keys_of_the_config(feed: FakeFeed, session: str) -> None:
    config = Config(path=Path(), keys={"advise": "Y", "back": "ctrl+b"})
    async with open_app(feed, config=config) as (app, pilot):
        await ready(app, pilot)
        await pilot.press("colon", *"link", "enter")
        await until(pilot, lambda: "enter sets it" in screen_text(app))
        paste(app, "lost?")
        await until(pilot, lambda: app.view is not None and app.view.receipt.endswith("here: ctrl+b, then Y"))


async def test_before_leaving_it_is_said_which_sessions_nothing_would_end(feed: FakeFeed, session: str) -> None:
    held = await feed.session("held")
    await feed.add(held, ev.StateChanged(state="paused", reason="lunch"), actor="human:bob")
    bound = await feed.session("bound")
    await feed.add(bound, ev.LimitChanged(name="steps", value=50), actor="human:ada")
    async with open_app(feed) as (app, pilot):
        found = without_budget([held.summary for held in app.context.state.sessions.values()])
        assert [worry.session for worry in found] == [session]
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, LeavePanel))
        text = screen_text(app)
        assert "1 session will stand still before morning, 1 goes on without a budget" in text
        assert "held: paused · by bob: lunch" in text and "1 tune-lr: no budget" in text


async def test_who_did_nothing_yet_hears_it_and_sees_no_empty_panel(feed: FakeFeed, session: str) -> None:
    async with open_app(feed) as (app, pilot):
        await pilot.press("H")
        await until(pilot, lambda: "you did nothing on this log yet" in screen_text(app))
        assert isinstance(app.screen, BoardScreen)


async def test_a_key_of_another_screen_says_where_it_works_and_the_footer_says_how_to_come_back(
    feed: FakeFeed, session: str
) -> None:
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("w")
        await until(pilot, lambda: "filter: works in a session; enter opens one" in screen_text(app))
        assert "esc back" not in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "esc back" in screen_text(app).splitlines()[-1])
        await pilot.press("c")
        await until(pilot, lambda: "new session: works on the board" in screen_text(app))
        assert app.view is not None and app.view.place == "session"


async def test_what_was_said_of_one_key_does_not_stand_beside_the_next_but_one(feed: FakeFeed, session: str) -> None:
    async with open_app(feed) as (app, pilot):
        view = app.view
        assert view is not None
        await pilot.press("w")
        assert "works in a session" in view.receipt
        await pilot.press("j")
        assert "works in a session" in view.receipt
        await pilot.press("j")
        assert view.receipt == ""
        view.say("not sent", "error")
        await pilot.press("j", "k", "j")
        assert view.receipt == "not sent"


async def test_a_part_that_is_gone_from_the_disk_is_said_and_ends_nothing(
    feed: FakeFeed, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apollo_tui.screens.review", None)
    async with open_app(feed) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: app.view is not None and "start Apollo again" in app.view.receipt)
        assert isinstance(app.screen, BoardScreen) and not app.crash


async def test_at_the_last_and_the_first_action_the_keys_say_so(feed: FakeFeed, session: str) -> None:
    async with open_app(feed) as (app, pilot):
        await pilot.press("left_square_bracket", "right_square_bracket")
        await until(pilot, lambda: app.view is not None and app.view.receipt == "this is the last action")
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: app.view is not None and "no action before this one" in app.view.receipt)
        await pilot.press("escape", "escape", "enter")
        await until(pilot, lambda: app.view is not None and app.view.place == "session")
        await pilot.press("left_square_bracket", "left_square_bracket")
        await until(pilot, lambda: app.view is not None and app.view.receipt == "this is the first action")
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: app.view is not None and app.view.receipt == "this is the last action")


async def test_where_no_action_is_the_keys_do_not_speak_of_a_last_one(feed: FakeFeed) -> None:
    await feed.session("untouched")
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and app.screen.session)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: app.view is not None and app.view.receipt.startswith("no action here: "))
        await pilot.press("enter")
        await until(pilot, lambda: app.view is not None and app.view.place == "session" and app.view.ready)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: app.view is not None and app.view.receipt == "no action is shown here")


async def test_no_cursor_of_a_field_blinks(feed: FakeFeed, session: str) -> None:
    async with open_app(feed) as (app, pilot):
        await ready(app, pilot)
        for key in ("F", "slash", "colon", "s", "apostrophe"):
            await pilot.press(key)
            await until(pilot, lambda: app.screen is not app.view and bool(app.screen.query(Input)))
            assert {field.cursor_blink for field in app.screen.query(Input)} == {False}, key
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.view)


@pytest.mark.parametrize("first", [["["], ["enter"], ["1", "tab"], ["!"], ["r", "q"]])
async def test_text_typed_ahead_with_the_keys_before_it_goes_into_the_composer(
    feed: FakeFeed, session: str, first: list[str]
) -> None:
    await feed.session("poller")
    async with open_app(feed) as (app, pilot):
        send_keys(app, *first, "ifree?", gap=HAND_S)
        await until(pilot, lambda: app.view is not None and app.view.typing)
        await until(pilot, lambda: getattr(app.screen, "composer").text == "free?")  # noqa: B009 - every view has one


async def test_a_question_of_the_agent_says_once_that_it_asks(feed: FakeFeed, session: str) -> None:
    asked = ev.QuestionAsked(question=1, text="Which learning rate?", until=now_ms() + 60_000)
    await feed.add(session, asked, step=2, call=1, actor="agent")
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "Which learning rate?" in screen_text(app))
        row = next(line for line in screen_text(app).splitlines() if "waits for you" in line)
        assert "? asks you" in row and row.count("asks") == 1


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 36)])
async def test_the_line_in_which_a_command_is_typed_stays_in_sight(
    feed: FakeFeed, session: str, size: tuple[int, int]
) -> None:
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("colon")
        await until(pilot, lambda: app.screen is not app.view)
        await until(pilot, lambda: last_row(app).startswith(" : a name and its words"))
        await pilot.press(*"limit", "enter")
        await until(pilot, lambda: "NAME VALUE" in screen_text(app))
        await until(pilot, lambda: last_row(app).startswith(" : limit"))
        await pilot.press("escape", "colon", *"s")
        await until(pilot, lambda: last_row(app) == " : s")
        rows = screen_text(app).splitlines()
        assert any(row.startswith("›   ") and "start" in row for row in rows)


@pytest.mark.parametrize("size", [(60, 15), (80, 24)])
async def test_the_facts_of_a_session_can_be_read_where_there_is_no_room_beside_it(
    feed: FakeFeed, session: str, size: tuple[int, int]
) -> None:
    await feed.add(session, ev.LimitChanged(name="steps", value=50), actor="human:ada")
    async with open_app(feed, size) as (app, pilot):
        for place in ("board", "session"):
            assert app.view is not None and app.view.place == place
            await pilot.press("colon", *"facts", "enter")
            await until(pilot, lambda: isinstance(app.screen, FactsScreen) and "model" in screen_text(app))
            await pilot.press("end")
            await until(pilot, lambda: "1 of 50" in screen_text(app))
            await pilot.press("escape", "enter")
            await until(pilot, lambda: app.screen is app.view and app.view.place == "session")
