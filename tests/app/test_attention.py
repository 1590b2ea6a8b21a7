from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.app import ApolloApp
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.panels.advice_outcome import OutcomePanel
from apollo_tui.screens.panels.labels import LabelPanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.clock import now_ms
from sessions.events.messages import CallPart
from sessions.log.reader import LogReader
from widgets.composer import Composer

SIZES = [(80, 24), (120, 36)]


async def looping(feed: FakeFeed, title: str, times: int = 4) -> str:
    """A session that does the same over and over."""
    session = await feed.session(title)
    await feed.step(session, 1, ("read_file", {"path": "a.txt"}, "hello\n"))
    for step in range(2, times + 2):
        await feed.step(session, step, ("run", {"command": "make"}, "no rule\n"))
    return session


async def three(feed: FakeFeed) -> tuple[str, str, str]:
    """One that is well, one that loops, one that needs somebody."""
    well = await feed.session("steady")
    await feed.step(well, 1, ("read_file", {"path": "a.txt"}, "hello\n"))
    loops = await looping(feed, "formats")
    asks = await feed.session("tune-lr")
    await feed.step(asks, 1, ("run", {"command": "train"}, "loss 2\n"))
    await feed.add(asks, ev.StateChanged(state="needs_you", reason="no key", need="key"))
    return well, loops, asks


async def test_the_way_goes_on_from_a_session_that_was_seen_to(feed: FakeFeed) -> None:
    _, loops, asks = await three(feed)
    last = await looping(feed, "last")
    async with open_app(feed) as (app, pilot):
        for session in (asks, loops):
            await pilot.press("exclamation_mark")
            await until(pilot, lambda session=session: selected(app)[0] == session)  # type: ignore[misc]
        await pilot.press("d")
        await until(pilot, lambda: judged(feed) == [("repeated_action", "done")])
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: selected(app)[0] == last)


def judged(feed: FakeFeed) -> list[tuple[str, str]]:
    with LogReader(feed.paths.log) as reader:
        found = [event.body for event in reader.stream() if isinstance(event.body, ev.SignalJudged)]
    return [(body.signal.split(":")[0], body.verdict) for body in found]


def selected(app: ApolloApp) -> tuple[str | None, tuple[str, int] | None]:
    view = app.view
    assert isinstance(view, BoardScreen)
    return view.session, view.wall.selected


@pytest.mark.parametrize("size", SIZES)
async def test_the_strip_and_the_list_say_who_needs_somebody_and_why(feed: FakeFeed, size: tuple[int, int]) -> None:
    await three(feed)
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: "2 need you: tune-lr: no key" in screen_text(app))
        text = screen_text(app)
        assert "(now)" in text.splitlines()[0]
        assert "same command 4" in text and "!2 formats" in text and "!1 steady" not in text


async def test_the_next_need_is_the_worst_first_and_ctrl_o_leads_back(feed: FakeFeed) -> None:
    well, loops, asks = await three(feed)
    async with open_app(feed) as (app, pilot):
        assert selected(app)[0] == well
        await pilot.press("exclamation_mark")
        assert selected(app)[0] == asks
        await until(pilot, lambda: "1 of 2 · 3 tune-lr: needs you: no key" in screen_text(app))
        await pilot.press("exclamation_mark")
        session, entry = selected(app)
        assert session == loops and entry is not None
        shown = app.context.state.entry(*entry)
        assert shown is not None and shown.target == "2.1"
        await pilot.press("exclamation_mark")
        assert selected(app)[0] == asks
        for back in (loops, asks, well):
            await pilot.press("ctrl+o")
            assert selected(app)[0] == back


async def test_every_session_comes_once_before_what_else_one_of_them_has(feed: FakeFeed) -> None:
    loops = await looping(feed, "formats", 5)
    for step in (7, 8, 9):
        refused = ev.ActionRefused(call_id="c", name="runn", why="unknown_tool", problem="no such tool")
        await feed.add(loops, refused, step=step, call=1, actor="agent")
    polls = await feed.session("poller")
    for step in range(1, 7):
        await feed.step(polls, step, ("job_output", {"job": 3}, "epoch 1\n"))
    async with open_app(feed) as (app, pilot):
        found = []
        for _ in range(3):
            await pilot.press("exclamation_mark")
            assert app.context.state.attention.at is not None
            found.append(app.context.state.attention.at[1].split(":")[0])
        assert found == ["malformed_streak", "polling_streak", "repeated_action"]


async def test_the_next_need_opens_the_session_where_its_place_is_older_than_the_pane(feed: FakeFeed) -> None:
    _, loops, _ = await three(feed)
    async with open_app(feed) as (app, pilot):
        app.context.state.sessions[loops].book.forget(app.context.state.sessions[loops].summary.last_seq - 2)
        await pilot.press("exclamation_mark", "exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == loops)
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.selected is not None)


async def test_from_the_session_screen_it_leads_to_other_sessions_and_back_to_the_very_entry(feed: FakeFeed) -> None:
    _, loops, asks = await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("2", "enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.transcript.in_sight())
        await pilot.press("left_square_bracket")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        before = screen.transcript.selected
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == asks)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and app.screen.session == loops)
        again = app.screen
        assert isinstance(again, SessionScreen)
        await until(pilot, lambda: again.transcript.selected == before)


async def test_without_a_need_the_key_says_so_and_moves_nothing(feed: FakeFeed) -> None:
    well = await feed.session("steady")
    async with open_app(feed) as (app, pilot):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "nobody needs you" in screen_text(app))
        assert selected(app) == (well, None)


@pytest.mark.parametrize(("key", "verdict"), [("z", "snoozed"), ("d", "done"), ("D", "false_alarm")])
async def test_a_word_on_a_signal_is_an_event_survives_a_restart_and_is_undone(
    feed: FakeFeed, key: str, verdict: str
) -> None:
    await three(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("exclamation_mark", key)
        await until(pilot, lambda: judged(feed) == [("needs_human", verdict)])
        await until(pilot, lambda: "1 needs you: formats" in screen_text(app))
        assert "u undoes" in screen_text(app)
    async with open_app(feed) as (app, pilot):
        await until(pilot, lambda: "1 needs you: formats" in screen_text(app))
        await pilot.press("3", "u")
        await until(pilot, lambda: judged(feed)[-1] == ("needs_human", "reopened"))
        await until(pilot, lambda: "2 need you: tune-lr" in screen_text(app))


async def test_a_snooze_ends_by_itself(feed: FakeFeed) -> None:
    await three(feed)
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await pilot.press("exclamation_mark", "z")
        await until(pilot, lambda: "1 needs you: formats" in screen_text(app))
        ahead[0] = 31 * 60_000
        await until(pilot, lambda: "tune-lr: no key" in screen_text(app).splitlines()[0])


async def test_a_word_is_about_the_signal_that_the_key_led_to_not_about_a_worse_one_elsewhere(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (_, pilot):
        await pilot.press("exclamation_mark", "exclamation_mark", "d")
        await until(pilot, lambda: judged(feed) == [("repeated_action", "done")])


async def test_where_nothing_wants_anybody_a_word_does_nothing(feed: FakeFeed) -> None:
    await three(feed)
    async with open_app(feed) as (_, pilot):
        await pilot.press("z", "d", "D")
        await pilot.pause()
        assert judged(feed) == []


async def test_the_list_is_ordered_by_need_on_a_key_only_and_the_cursor_stays_on_its_session(feed: FakeFeed) -> None:
    well, loops, asks = await three(feed)
    async with open_app(feed) as (app, pilot):
        view = app.view
        assert isinstance(view, BoardScreen)
        assert view.listing.order == (well, loops, asks)
        await pilot.press("o")
        assert view.listing.order == (asks, loops, well) and view.session == well
        await looping(feed, "late")
        await until(pilot, lambda: len(view.listing.order) == 4)
        assert view.listing.order[:3] == (asks, loops, well)
        await pilot.press("o")
        assert view.listing.order[-1] == well
        await pilot.press("o", "o", "o")
        assert list(view.listing.order) == app.context.state.order()


@pytest.mark.parametrize("size", SIZES)
async def test_advice_whose_outcome_is_open_stands_beside_what_followed_and_one_key_sets_it(
    feed: FakeFeed, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.screens.panels.advice_outcome.SETTLED_S", 60.0)
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("job_kill", {"job": 7}, "killed\n"))
    about = ev.Target(1, "call", 1)
    await feed.add(session, ev.AdviceQueued(advice=1, text="let it run", about=about), actor="human:ada")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="let it run"), step=2)
    for step in range(2, 6):
        await feed.step(session, step, ("run", {"command": f"train {step}"}, "loss 1\n"), text=f"Now {step}.")
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: "1 to look at: tune-lr: advice at step 2" in screen_text(app))
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await until(pilot, lambda: "train 4" in screen_text(app))
        text = screen_text(app)
        assert "let it run" in text and "job_kill" in text and "3 steps since" in text and "about 1.1" in text
        await pilot.press("y")
        assert isinstance(app.screen, OutcomePanel), "so soon the key was meant for the board"
        monkeypatch.setattr("apollo_tui.screens.panels.advice_outcome.SETTLED_S", 0.0)
        await pilot.press("y")
        await until(pilot, lambda: not app.context.state.sessions[session].summary.watch.delivered)
        await until(pilot, lambda: "advice 1 followed" in screen_text(app))
        await until(pilot, lambda: "to look at" not in screen_text(app))


async def test_enter_on_delivered_advice_opens_it_and_i_writes_more_as_everywhere(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "x"}, "y\n"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="let it run"), actor="human:ada")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="let it run"), step=2)
    async with open_app(feed) as (app, pilot):
        await pilot.press("tab", "j", "enter")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await until(pilot, lambda: "nothing followed yet" in screen_text(app))
        await pilot.press("i", *"more")
        await until(pilot, lambda: app.screen is app.view and app.screen.query_one(Composer).text == "more")
        assert len(app.context.state.sessions[session].summary.watch.delivered) == 1


async def test_a_new_need_rings_when_nobody_looks_and_the_host_hears_of_keys(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(ApolloApp, "write_bytes", lambda self, data: written.append(data))
    monkeypatch.setattr("apollo_tui.app.ALERT_MS", 0)
    session = await feed.session("tune-lr")
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await until(pilot, lambda: feed.reports)
        await pilot.press("j")
        await feed.add(session, ev.StateChanged(state="needs_you", reason="no key", need="key"))
        await until(pilot, lambda: any("1 needs you" in data for data in written))
        assert not any(data.startswith("\x07") for data in written), "somebody looks"
        ahead[0] = 2 * 60_000
        await until(pilot, lambda: "\x07" in written)
        assert written.count("\x07") == 1
        assert app.context.state.sessions[session].summary.state == "needs_you"


async def test_the_outcome_panel_leads_on_and_asks_again_later(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "x"}, "y\n"))
    await feed.add(session, ev.AdviceQueued(advice=1, text="let it run"), actor="human:ada")
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=2, text="let it run"), step=2)
    for step in range(2, 6):
        await feed.step(session, step, ("run", {"command": f"train {step}"}, f"loss {step}\n"))
    loops = await looping(feed, "formats")
    async with open_app(feed) as (app, pilot):
        await pilot.press("exclamation_mark", "exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: app.screen is app.view and selected(app)[0] == loops)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await pilot.press("z")
        await until(pilot, lambda: judged(feed) == [("advice_outcome", "snoozed")])
        await pilot.press("colon", *"outcome", "enter")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.view and selected(app)[1] is not None)


async def falling(feed: FakeFeed) -> tuple[str, int]:
    """A session whose second score is worse, with a call beside the one of the scorer; and the seq of that call."""
    session = await feed.session("scores")
    await feed.step(session, 1, ("evaluate", {}, "0.9\n"))
    await feed.add(session, ev.EvalScored(score=0.9, used=1), step=1, call=1)
    made = await feed.step(session, 2, ("evaluate", {}, "0.2\n"), ("run", {"command": "ls"}, "a\n"))
    await feed.add(session, ev.EvalScored(score=0.2, used=2), step=2, call=1)
    return session, made[0].seq


async def asking(feed: FakeFeed) -> tuple[str, int]:
    session = await feed.session("asks")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    begun = await feed.add(session, ev.ActionStarted(call_id="c", name="ask_human"), step=2, call=1, actor="agent")
    await feed.add(session, ev.QuestionAsked(question=1, text="Which?", until=0), step=2, call=1)
    state = ev.StateChanged(state="needs_you", need="question", reason="Which?")
    await feed.add(session, state, step=2, call=1)
    return session, begun.seq


async def standing(feed: FakeFeed) -> tuple[str, int]:
    session = await feed.session("stands")
    made = await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    await feed.add(session, ev.ModelAttemptFailed(request=1, attempt=1, reason="fatal", message="no key"), step=2)
    await feed.add(session, ev.StateChanged(state="needs_you", reason="no key", need="key"))
    return session, made[0].seq


async def rolling_back(feed: FakeFeed) -> tuple[str, int]:
    session = await feed.session("edits")
    seqs = []
    for step, (before, after) in enumerate([("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("a", "b")], 1):
        made = await feed.step(session, step, ("edit_file", {"path": "x", "n": step}, "ok\n"))
        await feed.add(session, ev.FileChanged(path="x", before=before, after=after), step=step, call=1)
        seqs.append(made[0].seq)
    return session, seqs[-1]


async def out_of_budget(feed: FakeFeed) -> tuple[str, int]:
    session = await feed.session("spent")
    made = await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    await feed.add(session, ev.StateChanged(state="paused", reason="out of steps: 1 of 1", need="limit"))
    return session, made[0].seq


async def over(feed: FakeFeed) -> tuple[str, int]:
    session = await feed.session("over")
    made = await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"), ("finish", {"summary": "Done."}, "ok\n"))
    await feed.add(session, ev.StateChanged(state="finished"))
    return session, made[1].seq


async def malformed(feed: FakeFeed) -> tuple[str, int]:
    """The first call of the streak is where it leads."""
    session = await feed.session("malformed")
    first = 0
    for step in range(1, 5):
        sent = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="0" * 64)
        asked = await feed.add(session, sent, step=step)
        parts = (CallPart(f"c{step}", "rnu", "{}"),)
        reply = ev.ModelReplied(request=asked.seq, parts=parts, finish="calls")
        await feed.add(session, reply, step=step, actor="agent")
        refused = ev.ActionRefused(
            call_id=f"c{step}", name="rnu", arguments="{}", why="malformed", shown="no such tool"
        )
        made = await feed.add(session, refused, step=step, call=1)
        first = first or made.seq
    return session, first


@pytest.mark.parametrize("make", [falling, asking, standing, rolling_back, out_of_budget, over, malformed])
@pytest.mark.parametrize("opens", [(), ("enter",)])
async def test_what_the_next_need_selects_can_be_flagged_with_and_without_a_label(
    feed: FakeFeed, make: Callable[[FakeFeed], Awaitable[tuple[str, int]]], opens: tuple[str, ...]
) -> None:
    session, call = await make(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press(*opens, "exclamation_mark")
        await until(pilot, lambda: app.view is not None and (s := app.view.subject()) and s[1].seq == call)
        await pilot.press("f")
        await until(pilot, lambda: len(app.context.state.sessions[session].flags) == 1)
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, LabelPanel))
        await pilot.press("x")
        standing = app.context.state.sessions[session].flags
        await until(pilot, lambda: [body.label for _, body in standing.values()] == ["x/impatience"])


async def test_a_flag_on_the_row_of_a_score_is_one_on_the_call_that_made_it(feed: FakeFeed) -> None:
    session, _ = await falling(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter")
        screen = app.screen
        assert isinstance(screen, SessionScreen)
        await until(pilot, lambda: screen.transcript.anchors and screen.transcript.in_sight())
        row = next(anchor.seq for anchor in reversed(screen.transcript.anchors) if anchor.kind == "eval.scored")
        screen.jump(row)
        await until(pilot, lambda: screen.subject() is not None)
        await pilot.press("f")
        await until(pilot, lambda: "1 scores · 2.1 evaluate" in screen_text(app))
        ((_, flag),) = app.context.state.sessions[session].flags.values()
        assert flag.target == ev.Target(2, "call", 1)


async def test_a_refused_picker_says_why_and_eats_no_key_after_it(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    await feed.add(session, ev.StateChanged(state="paused"), actor="human:bob")
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "G", "k", "j")
        await until(pilot, lambda: app.view is not None and (s := app.view.subject()) and s[1].kind == "state")
        await pilot.press("F", "left_square_bracket", "f")
        await until(pilot, lambda: len(app.context.state.sessions[session].flags) == 1)
        assert isinstance(app.screen, SessionScreen)
