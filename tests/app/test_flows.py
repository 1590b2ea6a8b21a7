from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_feed import FakeFeed
from headless_app import HAND_S, open_app, screen_text, send_keys, until
from textual.widgets import Input

from apollo_tui.acts.drafts import Drafts
from apollo_tui.screens.action import ActionScreen
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.host import protocol
from widgets.composer import Composer

SIZES = [(80, 24), (120, 36), (200, 50)]


async def two(feed: FakeFeed) -> tuple[str, str]:
    first = await feed.session("tune-lr")
    await feed.step(first, 1, ("run", {"command": "python train.py"}, "loss 2.1\n"), text="I train.")
    await feed.step(first, 2, ("job_kill", {"job": 7}, "killed\n"), text="Too slow.")
    second = await feed.session("poller")
    await feed.step(second, 1, ("read_file", {"path": "a.txt"}, "hello\n"))
    return first, second


@pytest.mark.parametrize("size", SIZES)
async def test_the_board_shows_every_session_and_its_newest_actions(feed: FakeFeed, size: tuple[int, int]) -> None:
    await two(feed)
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: "job_kill" in screen_text(app))
        text = screen_text(app)
        assert "1 tune-lr" in text and "2 poller" in text and "2 sessions" in text
        assert "? help" in text


@pytest.mark.parametrize("size", SIZES[:2])
async def test_advice_is_queued_from_the_board_and_its_draft_is_gone_only_then(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    first, _ = await two(feed)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("i", *"let it run", "space", *"2000")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "let it run 2000")
        drafts = Drafts(feed.paths.drafts, feed.actor)
        await until(pilot, lambda: (draft := drafts.load(first)) and draft.text == "let it run 2000")
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(call, protocol.QueueAdvice) for call in feed.calls))
        await until(pilot, lambda: drafts.load(first) is None)
        await until(pilot, lambda: "let it run 2000" in screen_text(app) and "queued" in screen_text(app))
        assert not app.screen.query_one(Composer).is_bound
        await feed.add(first, ev.AdviceDelivered(advice=(1,), at_step=3, text="let it run 2000"), step=3)
        await until(pilot, lambda: "delivered at step 3" in screen_text(app))


async def test_a_draft_survives_the_app_and_a_host_that_is_away(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"wait")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "wait")
        feed.link(False)
        await pilot.press("enter")
        await until(pilot, lambda: "not sent" in screen_text(app))
        await until(pilot, lambda: "read-only, reconnecting" in screen_text(app))
    assert Drafts(feed.paths.drafts, feed.actor).load(first).text == "wait"  # type: ignore[union-attr]
    feed.up = True
    async with open_app(feed) as (app, pilot):
        await pilot.press("i")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "wait")
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(call, protocol.QueueAdvice) for call in feed.calls))


async def test_advice_about_a_selected_action_says_which(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (_, pilot):
        await pilot.press("tab", "left_square_bracket", "i", *"no", "enter")
        await until(pilot, lambda: any(isinstance(call, protocol.QueueAdvice) for call in feed.calls))
        sent = next(call for call in feed.calls if isinstance(call, protocol.QueueAdvice))
        assert sent.about == ev.Target(2, "call", 1)


async def test_undo_brings_queued_advice_back_as_a_draft(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"stop", "enter")
        await until(pilot, lambda: "queued: advice" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: any(isinstance(call, protocol.WithdrawAdvice) for call in feed.calls))
        await until(pilot, lambda: app.screen.query_one(Composer).text == "stop")


async def test_queued_advice_is_edited_by_enter_on_it(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"stop", "enter")
        await until(pilot, lambda: "queued: advice" in screen_text(app))
        await pilot.press("tab", "j", "enter")
        await until(pilot, lambda: app.screen.query_one(Composer).is_bound)
        await pilot.press(*" it", "enter")
        await until(pilot, lambda: any(isinstance(call, protocol.EditAdvice) for call in feed.calls))
        edit = next(call for call in feed.calls if isinstance(call, protocol.EditAdvice))
        assert edit.text == "stop it" and edit.advice == 1


async def test_a_bare_flag_is_set_taken_back_and_undone(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        flags = app.context.state.sessions[first].flags
        await pilot.press("tab", "left_square_bracket", "f")
        await until(pilot, lambda: len(flags) == 1)
        (_, body) = next(iter(flags.values()))
        assert body.target == ev.Target(2, "call", 1) and body.label == "unspecified"
        await until(pilot, lambda: "1 tune-lr · 2.1 job_kill" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: not flags)
        await pilot.press("u")
        await until(pilot, lambda: len(flags) == 1)
        await pilot.press("u")
        await until(pilot, lambda: not flags)


async def test_a_labelled_flag_is_opened_by_f_not_taken_away(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        flags = app.context.state.sessions[first].flags
        await pilot.press("tab", "left_square_bracket", "F")
        await until(pilot, lambda: "impatience" in screen_text(app))
        await pilot.press("x")
        await until(pilot, lambda: [body.label for _, body in flags.values()] == ["x/impatience"])
        await until(pilot, lambda: isinstance(app.screen, BoardScreen))
        await pilot.press("f")
        await until(pilot, lambda: not isinstance(app.screen, BoardScreen))
        assert "impatience by ada" in screen_text(app) and len(flags) == 1


async def test_an_undo_off_screen_is_shown_first_and_wants_a_second_u(feed: FakeFeed) -> None:
    _, second = await two(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("P", "1", "2", "tab", "left_square_bracket", "f")
        await until(pilot, lambda: len(app.context.state.sessions[second].flags) == 1)
        await pilot.press("escape", "escape", "1", "u")
        await until(pilot, lambda: "u again undoes: flag" in screen_text(app))
        assert "2 poller · 1.1" in screen_text(app)
        assert len(app.context.state.sessions[second].flags) == 1
        await pilot.press("u")
        await until(pilot, lambda: not app.context.state.sessions[second].flags)


@pytest.mark.parametrize("size", SIZES)
async def test_enter_goes_from_board_to_session_to_action_and_esc_back(feed: FakeFeed, size: tuple[int, int]) -> None:
    await two(feed)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "Make it work." in screen_text(app))
        await pilot.press("left_square_bracket", "enter")
        await until(pilot, lambda: isinstance(app.screen, ActionScreen) and "killed" in screen_text(app))
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "python train.py" in screen_text(app))
        await pilot.press("escape")
        assert isinstance(app.screen, SessionScreen)
        await pilot.press("ctrl+g")
        assert isinstance(app.screen, BoardScreen)
        await pilot.press("escape", "ctrl+g")
        assert isinstance(app.screen, BoardScreen) and app.is_running


async def test_the_action_screen_marks_what_the_model_did_not_see(feed: FakeFeed) -> None:
    session = await feed.session("long")
    output = "head\n" + "x" * 5000 + "\ntail"
    await feed.step(session, 1, ("run", {"command": "cat big"}, output), shown="head\n[cut]\ntail")
    async with open_app(feed) as (app, pilot):
        await pilot.press("tab", "left_square_bracket", "enter")
        await until(pilot, lambda: "5,000 characters the model did not see" in screen_text(app))


async def test_the_session_screen_finds_text_in_whole_outputs_and_n_goes_on(feed: FakeFeed) -> None:
    session = await feed.session("many")
    for number in range(1, 60):
        await feed.step(
            session, number, ("run", {"command": f"echo {number}"}, "needle\n" if number % 20 == 0 else "hay\n")
        )
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "echo 59" in screen_text(app))
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, lambda: "2 entries hold needle" in screen_text(app))
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        first = screen.transcript.selected
        await pilot.press("N")
        await until(pilot, lambda: screen.transcript.selected != first)
        await until(pilot, lambda: "needle" in screen_text(app))


async def test_new_events_reach_the_open_session_screen(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: "job_kill" in screen_text(app))
        await feed.step(first, 3, ("evaluate", {}, "0.5\n"), text="Now I evaluate.")
        await until(pilot, lambda: "Now I evaluate." in screen_text(app))
        feed.delta(first, 4, "Streaming words")
        await feed.add(first, ev.ModelRequested(adapter="d", adapter_version=1, envelope={}, sha256="0" * 64), step=4)
        feed.delta(first, 4, "Streaming words")
        await until(pilot, lambda: "Streaming words" in screen_text(app))


async def test_a_question_is_answered_with_a(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    await feed.add(first, ev.QuestionAsked(question=1, text="Which rate?", until=0), step=3)
    async with open_app(feed) as (app, pilot):
        assert "Which rate?" in screen_text(app)
        await pilot.press("a")
        await until(pilot, lambda: "enter answer  ctrl+j new line" in screen_text(app))
        assert "queue" not in screen_text(app).splitlines()[-1]
        await pilot.press(*"1e-3", "enter")
        await until(pilot, lambda: any(isinstance(call, protocol.Answer) for call in feed.calls))
        sent = next(call for call in feed.calls if isinstance(call, protocol.Answer))
        assert (sent.text, sent.question) == ("1e-3", 1)


async def test_pausing_and_interrupting(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("p")
        await until(pilot, lambda: [c.verb for c in feed.calls if isinstance(c, protocol.Control)] == ["pause"])
        await until(
            pilot, lambda: app.context.state.sessions[next(iter(app.context.state.sessions))].summary.state == "paused"
        )
        await pilot.press("p")
        await until(pilot, lambda: [c.verb for c in feed.calls if isinstance(c, protocol.Control)][-1] == "resume")
        await pilot.press("x", "j", "x")
        await pilot.pause()
        assert "interrupt" not in [c.verb for c in feed.calls if isinstance(c, protocol.Control)]
        await pilot.press("x")
        await until(pilot, lambda: [c.verb for c in feed.calls if isinstance(c, protocol.Control)][-1] == "interrupt")


async def test_leaving_says_what_will_stand_still_and_goes_there(feed: FakeFeed) -> None:
    first, second = await two(feed)
    await feed.add(second, ev.StateChanged(state="paused", reason="lunch"), actor="human:bob")
    async with open_app(feed) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: "2 poller: paused" in screen_text(app))
        assert "by bob: lunch" in screen_text(app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and app.screen.session == second)
        await pilot.press("q")
        await until(pilot, lambda: not isinstance(app.screen, BoardScreen))
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert first


async def test_leaving_with_nothing_to_say_just_leaves(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_q_once_more_while_it_leaves_changes_nothing(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        feed.hold = asyncio.Event()
        app.context.effort.look(next(iter(app.context.state.sessions)), app.context.clock())
        await pilot.press("q", "q", "q", "question_mark")
        assert isinstance(app.screen, BoardScreen)
        feed.hold.set()
        await until(pilot, lambda: app._exit)
    assert not app.crash


async def test_help_shows_only_what_works_here_and_enter_does_it(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: "keys that work here" in screen_text(app))
        text = screen_text(app)
        assert "Write advice" in text and "Answer the question" not in text and "Write the file" not in text
        await pilot.press("escape")
        assert isinstance(app.screen, BoardScreen)


async def test_commands_complete_by_prefix_and_say_what_is_wrong(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("colon", *"pau", "enter")
        await until(pilot, lambda: [c.verb for c in feed.calls if isinstance(c, protocol.Control)] == ["pause"])
        await pilot.press("ctrl+p", *"limit", "space", *"bread", "space", "1", "enter")
        await until(pilot, lambda: "no limit is called bread" in screen_text(app))


async def test_an_archived_session_leaves_the_board_and_numbers_stay(feed: FakeFeed) -> None:
    first, second = await two(feed)
    await feed.add(first, ev.StateChanged(state="paused"))
    async with open_app(feed) as (app, pilot):
        await feed.add(first, ev.StateChanged(state="archived"))
        await until(pilot, lambda: "tune-lr" not in screen_text(app))
        assert "2 poller" in screen_text(app)
        await pilot.press("apostrophe", "2", "enter")
        await until(pilot, lambda: isinstance(app.screen, BoardScreen) and app.screen.session == second)


async def test_a_new_session_never_moves_the_selection_or_the_focus(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"hal")
        focused = app.focused
        await feed.session("another")
        await until(pilot, lambda: "3 another" in screen_text(app))
        await pilot.press(*"lo")
        assert app.focused is focused
        assert app.screen.query_one(Composer).text == "hallo"
        assert isinstance(app.screen, BoardScreen) and app.screen.session == first


async def test_what_is_selected_is_read_and_the_log_hears_of_it(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        before = app.context.state.unread(first)
        await pilot.press("tab", "left_square_bracket")
        assert before == 2 and app.context.state.unread(first) == 1, "what lies before it was not looked at"
        ahead = app.context.clock() + 6_000
        app.context.clock = lambda: ahead
        await until(pilot, lambda: [c for c in feed.calls if isinstance(c, protocol.Annotate)])
        told = next(c for c in feed.calls if isinstance(c, protocol.Annotate))
        assert told.kind == "cursor.moved"


async def test_a_host_that_is_down_is_said_and_can_be_started(feed: FakeFeed) -> None:
    await two(feed)
    feed.up = False
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "read-only, reconnecting" in screen_text(app))
        await pilot.press("i", *"later", "escape")
        await pilot.press("colon", *"host start", "enter")
        await until(pilot, lambda: feed.hosts_started == 1)
        await until(pilot, lambda: "read-only" not in screen_text(app))


@pytest.mark.usefixtures("only_keys_call")
@pytest.mark.parametrize("size", SIZES[:2])
async def test_a_command_that_lacks_words_stays_open_and_says_which(feed: FakeFeed, size: tuple[int, int]) -> None:
    await two(feed)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("colon", *"lim", "enter")
        await until(pilot, lambda: "NAME is one of steps, " in screen_text(app))
        assert app.screen.query_one(Input).value == "limit "
        await pilot.press(*"steps", "enter")
        await until(pilot, lambda: app.screen.query_one(Input).value == "limit steps ")
        assert "VALUE is 200, +200 or none" in screen_text(app) and not feed.calls
        await pilot.press(*"+40", "enter")
        await until(pilot, lambda: "is not played here" in screen_text(app))
        assert isinstance(app.screen, BoardScreen)
        await pilot.press("colon", *"goto", "enter")
        await until(pilot, lambda: "the number of a session" in screen_text(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: app.screen.session == app.context.state.find_by_address("2"))  # type: ignore[attr-defined]


async def test_u_on_selected_queued_advice_takes_back_that_one_whatever_came_later(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("i", *"stop", "enter")
        await until(pilot, lambda: "queued: advice" in screen_text(app))
        await pilot.press("tab", "left_square_bracket", "f")
        await until(pilot, lambda: len(app.context.state.sessions[first].flags) == 1)
        await pilot.press("j", "u")
        await until(pilot, lambda: any(isinstance(call, protocol.WithdrawAdvice) for call in feed.calls))
        await until(pilot, lambda: app.screen.query_one(Composer).text == "stop")
        assert len(app.context.state.sessions[first].flags) == 1


async def test_leaving_tells_the_log_what_was_read(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("tab", "left_square_bracket", "q")
        await until(pilot, lambda: app._exit)
        told = [call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "cursor.moved"]
        assert len(told) == 1
        assert app.exit_message == f"2 sessions go on; `apollo --log {feed.paths.log}` comes back to them"


@pytest.mark.usefixtures("only_keys_call")
@pytest.mark.parametrize("typed", ["let the run end", "exxpqfu1:/?'2"])
async def test_keys_that_come_in_one_burst_after_i_are_text_and_never_act_on_the_board(
    feed: FakeFeed, typed: str
) -> None:
    _, second = await two(feed)
    drafts = Drafts(feed.paths.drafts, feed.actor)
    async with open_app(feed) as (app, pilot):
        board = app.screen
        send_keys(app, "2i" + typed)
        await until(pilot, lambda: app.screen.query_one(Composer).text == typed)
        target = app.screen.query_one(Composer).target
        assert target is not None and target.session == second
        assert app.screen is board and not feed.calls
        await until(pilot, lambda: (draft := drafts.load(second)) and draft.text == typed)


@pytest.mark.usefixtures("only_keys_call")
async def test_advice_can_be_written_before_the_host_is_reached_and_is_no_burst_of_commands(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        feed.link(False)
        await until(pilot, lambda: "read-only, reconnecting" in screen_text(app))
        send_keys(app, "ipoll less", gap=HAND_S)
        await until(pilot, lambda: app.screen.query_one(Composer).text == "poll less")
        assert isinstance(app.screen, BoardScreen) and not feed.calls


async def test_keys_typed_ahead_of_a_prompt_are_for_the_prompt(feed: FakeFeed) -> None:
    await two(feed)
    async with open_app(feed) as (app, pilot):
        send_keys(app, ":pause", gap=HAND_S)
        await until(pilot, lambda: app.focused is not None and getattr(app.focused, "value", "") == "pause")
        assert not [call for call in feed.calls if isinstance(call, protocol.Control)]


@pytest.mark.usefixtures("only_keys_call")
@pytest.mark.parametrize("queued", ["stop", "stop " * 200])
@pytest.mark.parametrize("on_session", [False, True])
async def test_keys_typed_behind_enter_on_queued_advice_are_text_after_the_queued_one(
    feed: FakeFeed, queued: str, on_session: bool
) -> None:
    first, _ = await two(feed)
    made = await feed.add(first, ev.AdviceQueued(advice=1, text=queued), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await pilot.press(*(["enter"] if on_session else ["tab"]))
        if on_session:
            await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "stop" in screen_text(app))
        await pilot.press("G")
        here = app.screen
        assert isinstance(here, BoardScreen | SessionScreen)
        await until(pilot, lambda: "advice" in screen_text(app))
        await pilot.press("k", "j")
        await until(pilot, lambda: (subject := here.subject()) and subject[1].seq == made.seq)
        reading = asyncio.Event()
        before = feed.read

        async def late(ask: Any) -> Any:
            await reading.wait()
            return await before(ask)

        feed.read = late  # type: ignore[method-assign]
        send_keys(app, "enter", " fpxq!", gap=HAND_S)
        composer = here.query_one(Composer)
        await until(pilot, lambda: composer.text.endswith(" fpxq!"))
        assert app.screen is here and not feed.calls
        reading.set()
        await until(pilot, lambda: composer.text == f"{queued} fpxq!")
        await pilot.press("!")
        await pilot.pause(0.1)
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(call, protocol.EditAdvice) for call in feed.calls))
        edit = next(call for call in feed.calls if isinstance(call, protocol.EditAdvice))
        assert edit.text == f"{queued} fpxq!!" and edit.advice == 1


async def test_advice_that_is_sent_or_left_before_the_queued_text_came_still_holds_it(feed: FakeFeed) -> None:
    first, _ = await two(feed)
    queued = "stop " * 200
    made = await feed.add(first, ev.AdviceQueued(advice=1, text=queued), actor=feed.actor)
    drafts = Drafts(feed.paths.drafts, feed.actor)
    async with open_app(feed) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        before, reading = feed.read, asyncio.Event()

        async def late(ask: Any) -> Any:
            await reading.wait()
            return await before(ask)

        feed.read = late  # type: ignore[method-assign]
        assert board.composer.edit_advice(first, made.seq)
        await pilot.press(*"now", "escape")
        reading.set()
        await until(pilot, lambda: (draft := drafts.load(first, "edit-1")) and draft.text == f"{queued}now")
        drafts.clear(first, "edit-1")
        reading.clear()
        assert board.composer.edit_advice(first, made.seq)
        await pilot.press(*"go", "ctrl+s")
        reading.set()
        await until(pilot, lambda: any(isinstance(call, protocol.EditAdvice) for call in feed.calls))
        assert feed.calls[-1].text == f"{queued}go"  # type: ignore[attr-defined]
        await until(pilot, lambda: drafts.load(first, "edit-1") is None)
