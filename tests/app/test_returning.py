from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.pilot import Pilot

from apollo_tui.acts.drafts import Draft, Drafts
from apollo_tui.app import ApolloApp
from apollo_tui.cli.root import apollo
from apollo_tui.screens.panels.advice_outcome import OutcomePanel
from apollo_tui.screens.panels.since_you_left import AwayPanel, DigestPanel
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.clock import now_ms
from sessions.log.reader import LogReader
from sessions.queries.digest import digests, last_trace
from widgets.composer import Composer
from widgets.picker import ChoiceList


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is too soon, unless a test is about that."""
    monkeypatch.setattr("apollo_tui.screens.panels.since_you_left.SETTLED_S", 0.0)


SIZES = [(80, 24), (120, 36)]
NIGHT = 6 * 3_600_000 + 12 * 60_000


async def night(feed: FakeFeed) -> tuple[str, str]:
    """Somebody read both sessions, left, and both went on: one well, one badly."""
    well = await feed.session("steady")
    bad = await feed.session("formats")
    for session in (well, bad):
        await feed.step(session, 1, ("read_file", {"path": "a.txt"}, "hello\n"))
        read = feed.writer.summary(session).last_seq  # type: ignore[union-attr]
        await feed.add(session, ev.CursorMoved.up_to(read), actor=feed.actor)
    await feed.step(well, 2, ("read_file", {"path": "b.txt"}, "hello\n"))
    await feed.add(well, ev.EvalScored(score=0.46, used=1), step=2, call=1)
    for step in range(2, 7):
        await feed.step(bad, step, ("run", {"command": "make"}, "no rule\n"))
    for step in (7, 8):
        why = ev.ActionRefused(call_id=f"c{step}", name="runn", why="unknown_tool", problem="no such tool")
        await feed.add(bad, why, step=step, call=1, actor="agent")
    return well, bad


def later() -> int:
    return now_ms() + NIGHT


@pytest.mark.parametrize("size", SIZES)
async def test_who_comes_back_sees_a_row_per_session_then_figures_then_the_events(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    _, bad = await night(feed)
    more = [0]
    async with open_app(feed, size, clock=lambda: later() + more[0]) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        text = screen_text(app)
        assert "you left 6 h 12 min ago" in text or "you left 6 h 12 ago" in text
        more[0] = 300_000
        app.screen.tell_age()  # type: ignore[attr-defined]  # each minute
        await until(pilot, lambda: "you left 6 h 17" in screen_text(app))
        first = app.screen.query_one(ChoiceList).highlighted
        assert first is not None and first.id == bad, "worst first"
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, DigestPanel))
        panel = app.screen
        assert isinstance(panel, DigestPanel)
        text = screen_text(app)
        assert "2 malformed calls" in text and "1 loop of 5" in text and "2 places" in text
        key = next(choice.key for choice in panel.choices._choices if "malformed" in choice.text)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, SessionScreen))
        screen = app.screen
        assert isinstance(screen, SessionScreen) and screen.session == bad
        await until(pilot, lambda: target(screen) == "7.1")
        await pilot.press("n")
        await until(pilot, lambda: target(screen) == "8.1")
        await pilot.press("n")
        await until(pilot, lambda: "no place in that direction" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is panel)
        assert "1 of 2" in screen_text(app)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and target(app.screen) == "8.1")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is panel)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.view)


def target(screen: SessionScreen) -> str:
    entry = screen.transcript.entry(screen.transcript.selected)
    return entry.target if entry is not None else ""


async def greeted(pilot: Pilot[None], app: ApolloApp) -> bool:
    """Whether the table came, once all that a start does is done."""
    await until(pilot, lambda: not any(one.group == "seed" and not one.is_finished for one in app.workers))
    await pilot.pause()
    return isinstance(app.screen, AwayPanel)


async def test_coming_back_is_a_return_also_after_a_moment_if_anything_happened_meanwhile(feed: FakeFeed) -> None:
    well, _ = await night(feed)
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)
        assert re.search(r"you left [\d.]+ s ago", screen_text(app)) and "1 steady" in screen_text(app)
        await pilot.press("escape")
    await feed.add(well, ev.EffortSpent(active_ms=4_000, keys=1), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        assert not await greeted(pilot, app), "they come straight back, and nothing is new"
        assert "nothing happened" not in screen_text(app)
    async with open_app(feed, clock=lambda: now_ms() + 61_000) as (app, pilot):
        assert await greeted(pilot, app), "after a minute they may have forgotten what they have not read"
    await asyncio.sleep(0.002)  # the clock of the log counts milliseconds
    await feed.step(well, 3, ("run", {"command": "ls"}, "a\n"))
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)


async def test_who_was_never_here_has_not_left_and_sees_the_board(feed: FakeFeed) -> None:
    await night(feed)
    feed.actor = "human:grace"
    async with open_app(feed, clock=later) as (app, pilot):
        assert not await greeted(pilot, app)
        assert app.screen is app.view


@pytest.mark.usefixtures("only_keys_call")
async def test_what_is_typed_over_the_table_goes_to_the_board_whole(feed: FakeFeed) -> None:
    _, bad = await night(feed)
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)
        await pilot.press("2", *"i1i wait for job 7 [x] & fuq")
        await until(pilot, lambda: app.screen is app.view)
        assert app.screen.query_one(Composer).text == "1i wait for job 7 [x] & fuq"
        target = app.screen.query_one(Composer).target
        assert target is not None and target.session == bad, "the one that was opened in the table"
        await pilot.pause(0.1)
        assert app.screen is app.view and feed.calls == []


async def test_a_burst_that_comes_as_the_table_opens_is_for_the_board_even_where_the_table_has_the_key(
    feed: FakeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apollo_tui.screens.panels.since_you_left.SETTLED_S", 60.0)
    _, bad = await night(feed)
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)
        await pilot.press(*"2ienough, jGk")
        await until(pilot, lambda: app.screen is app.view)
        assert app.screen.query_one(Composer).text == "enough, jGk"
        target = app.screen.query_one(Composer).target
        assert target is not None and target.session == bad


@pytest.mark.parametrize("key", ["colon", "slash", "exclamation_mark", "question_mark", "i"])
async def test_keys_of_the_board_work_as_if_no_table_were_there(feed: FakeFeed, key: str) -> None:
    await night(feed)
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)
        await pilot.press(key)
        await until(pilot, lambda: not any(isinstance(one, AwayPanel) for one in app.screen_stack))
        await pilot.press("escape")
        await until(pilot, lambda: app.view is not None and not app.view.typing)


async def test_moves_escape_and_enter_stay_the_tables_own(feed: FakeFeed) -> None:
    well, _ = await night(feed)
    async with open_app(feed) as (app, pilot):
        assert await greeted(pilot, app)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, DigestPanel))
        assert "1 steady" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        await pilot.press("i")
        await until(pilot, lambda: app.screen is app.view and app.view.typing)
        target = app.screen.query_one(Composer).target
        assert target is not None and target.session == well, "the row that was gone to"


async def test_the_first_key_after_twenty_idle_minutes_only_wakes_the_screen(feed: FakeFeed) -> None:
    well, _ = await night(feed)
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await pilot.press("j")
        ahead[0] = 21 * 60_000
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        assert app.context.state.sessions[well].summary.state == "running"
        assert [call.method for call in feed.calls if call.method == "session.control"] == []
        await pilot.press("escape", "p")
        await until(pilot, lambda: any(call.method == "session.control" for call in feed.calls))


async def test_in_a_composer_the_key_is_text_and_no_panel_opens_over_it(feed: FakeFeed) -> None:
    await night(feed)
    ahead = [0]
    async with open_app(feed, clock=lambda: now_ms() + ahead[0]) as (app, pilot):
        await pilot.press("i", "a")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "a")
        ahead[0] = 60 * 60_000
        await pilot.press("b")
        await until(pilot, lambda: app.screen.query_one(Composer).text == "ab")
        await until(pilot, lambda: "`:since` says how" in screen_text(app))
        assert app.screen is app.view


async def test_who_is_already_at_work_gets_a_line_and_no_panel(feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    await night(feed)
    slow = asyncio.Event()
    work = feed.work

    async def held(ask: Any) -> Any:
        await slow.wait()
        return await work(ask)

    monkeypatch.setattr(feed, "work", held)
    async with open_app(feed, clock=later) as (app, pilot):
        await pilot.press("j")
        slow.set()
        await until(pilot, lambda: "2 sessions went on since you left" in screen_text(app))
        assert app.screen is app.view


async def test_since_shows_the_table_on_demand_and_says_when_there_is_nothing(feed: FakeFeed) -> None:
    session = await feed.session("steady")
    await feed.add(session, ev.CursorMoved.up_to(2), actor=feed.actor)
    async with open_app(feed) as (app, pilot):
        await pilot.press("colon", *"since", "enter")
        await until(pilot, lambda: "nothing happened that you have not read" in screen_text(app))
        await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
        await pilot.press("colon", *"since", "enter")
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))


async def test_a_digest_of_all_sessions_leaves_out_those_where_nothing_happened(feed: FakeFeed) -> None:
    well, bad = await night(feed)
    idle = await feed.session("idle")
    await feed.add(idle, ev.CursorMoved.up_to(2), actor=feed.actor)
    with LogReader(feed.paths.log) as reader:
        found = digests(reader, feed.actor, now_ms())
        assert [each.session for each in found] == [bad, well]
        trace = last_trace(reader, feed.actor)
        newest = reader.events(idle, kinds={"cursor.moved"})[-1]
        assert trace == newest.at
        assert last_trace(reader, "human:grace") is None


async def read_whole(feed: FakeFeed, *sessions: str) -> None:
    """Ada has looked at all there is."""
    for session in sessions:
        newest = feed.writer.summary(session)
        assert newest is not None
        await feed.add(session, ev.CursorMoved.up_to(newest.last_seq), actor=feed.actor)


async def asks_and_runs(feed: FakeFeed, session: str) -> None:
    await feed.add(session, ev.QuestionAsked(question=1, text="Which rate?", until=0), step=2, call=1)


async def asks_and_waits(feed: FakeFeed, session: str) -> None:
    await asks_and_runs(feed, session)
    await feed.add(session, ev.StateChanged(state="needs_you", need="question", reason="Which rate?"))


async def asks_and_is_paused(feed: FakeFeed, session: str) -> None:
    await asks_and_waits(feed, session)
    await feed.add(session, ev.StateChanged(state="paused"), actor="human:bob")


async def has_no_key(feed: FakeFeed, session: str) -> None:
    await feed.add(session, ev.StateChanged(state="needs_you", need="key", reason="no key"))


async def is_at_its_limit(feed: FakeFeed, session: str) -> None:
    await feed.add(session, ev.LimitChanged(name="steps", value=1))
    await feed.add(session, ev.StateChanged(state="paused", need="limit", reason="1 of 1 steps"))


async def has_failed(feed: FakeFeed, session: str) -> None:
    await feed.add(session, ev.StateChanged(state="failed", reason="no such model"))


async def is_held_by_the_host(feed: FakeFeed, session: str) -> None:
    await feed.add(session, ev.StateChanged(state="paused", reason="the host was stopped"))


WAITS = {
    asks_and_runs: "asks: Which rate?",
    asks_and_waits: "needs you: Which rate?",
    asks_and_is_paused: "asks: Which rate?",
    has_no_key: "needs you: no key",
    is_at_its_limit: "steps",
    has_failed: "failed: no such model",
    is_held_by_the_host: "paused by the host: the host was stopped",
}


@pytest.mark.parametrize("wait", WAITS)
async def test_what_waits_for_a_person_is_in_table_and_digest_though_all_of_it_was_read(
    feed: FakeFeed, wait: Callable[[FakeFeed, str], Awaitable[None]]
) -> None:
    well = await feed.session("steady")
    session = await feed.session("tune-lr")
    for one in (well, session):
        await feed.step(one, 1, ("run", {"command": "ls"}, "a\n"))
    await wait(feed, session)
    await read_whole(feed, well, session)
    with LogReader(feed.paths.log) as reader:
        (found,) = digests(reader, feed.actor, now_ms())
    assert found.session == session and WAITS[wait] in found.headline[0].words and found.headline[0].places
    said = CliRunner().invoke(apollo, ["--log", str(feed.paths.log), "--as", "ada", "digest"]).output
    assert said.splitlines()[0].startswith(f"2 tune-lr: {found.headline[0].words}")
    async with open_app(feed, (80, 24), clock=later) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, AwayPanel))
        assert [choice.id for choice in app.screen.query_one(ChoiceList)._choices] == [session]
        assert WAITS[wait] in " ".join(screen_text(app).split())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DigestPanel) and WAITS[wait] in screen_text(app))


async def test_what_was_answered_or_may_rest_by_a_persons_word_waits_no_more(feed: FakeFeed) -> None:
    asked, limited, paused, over = [await feed.session(f"s{number}") for number in range(4)]
    await asks_and_waits(feed, asked)
    await is_at_its_limit(feed, limited)
    await feed.add(paused, ev.StateChanged(state="paused", reason="lunch"), actor="human:bob")
    await feed.add(over, ev.StateChanged(state="finished"))
    await read_whole(feed, asked, limited, paused, over)

    def waiting() -> list[str]:
        with LogReader(feed.paths.log) as reader:
            return [found.session for found in digests(reader, feed.actor, now_ms())]

    assert waiting() == [asked, limited]
    state = feed.writer.summary(asked).watch.state_seq  # type: ignore[union-attr]
    await feed.add(asked, ev.SignalJudged(signal=f"needs_human:{state}", verdict="done"), actor=feed.actor)
    limit = feed.writer.summary(limited).watch.state_seq  # type: ignore[union-attr]
    await feed.add(limited, ev.SignalJudged(signal=f"budget_used_up:{limit}", verdict="done"), actor=feed.actor)
    await read_whole(feed, asked, limited)
    assert waiting() == [asked], "a question that is open is not answered by a word on its signal"
    await feed.add(asked, ev.QuestionAnswered(question=1, text="0.1"), ev.StateChanged(state="running"))
    await read_whole(feed, asked)
    assert waiting() == []


async def test_the_worst_is_first_also_where_it_was_read(feed: FakeFeed) -> None:
    _, bad = await night(feed)
    waits = await feed.session("tune-lr")
    await has_no_key(feed, waits)
    await read_whole(feed, waits)
    with LogReader(feed.paths.log) as reader:
        assert [found.session for found in digests(reader, feed.actor, now_ms())][:2] == [waits, bad]


async def test_leave_says_on_the_command_line_what_will_stand_still(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.add(session, ev.StateChanged(state="needs_you", reason="no key", need="key"))
    Drafts(feed.paths.drafts, "human:ada").save(Draft(session, "let it run", 1))
    arguments = ["--log", str(feed.paths.log), "--as", "ada", "leave"]
    found = json.loads(CliRunner().invoke(apollo, [*arguments, "--json"]).output)
    assert [(worry["number"], worry["what"]) for worry in found["worries"]] == [(1, "needs you"), (1, "unsent draft")]
    assert found["sessions"] == 1 and found["morning"] > now_ms()
    assert "1 tune-lr: needs you: no key" in CliRunner().invoke(apollo, arguments).output


@pytest.mark.parametrize("size", SIZES)
async def test_foreign_text_stays_harmless_in_every_panel_of_a_return(feed: FakeFeed, size: tuple[int, int]) -> None:
    evil = "[b]x[/] \x1b]0;owned\x07 \x9b31m \u202e [/a/b] "
    session = await feed.session(evil)
    await feed.add(session, ev.CursorMoved.up_to(1), actor=feed.actor)
    await feed.add(session, ev.AdviceQueued(advice=1, text=evil * 20), actor=evil.replace(" ", ""))
    await feed.add(session, ev.AdviceDelivered(advice=(1,), at_step=1, text=evil), step=1)
    for step in range(1, 6):
        await feed.step(session, step, (evil, {evil: evil}, evil), text=evil)
    await feed.add(session, ev.StateChanged(state="needs_you", reason=evil, need="other"))
    async with open_app(feed, size, clock=later) as (app, pilot):
        for screen, keys in ((AwayPanel, ["enter"]), (DigestPanel, ["enter"]), (SessionScreen, ["escape"] * 3)):
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
            await harmless(app, pilot)
            await pilot.press(*keys)
        await until(pilot, lambda: app.screen is app.view)
        await pilot.press("colon", *"outcome", "enter")
        await until(pilot, lambda: isinstance(app.screen, OutcomePanel))
        await harmless(app, pilot)


async def harmless(app: ApolloApp, pilot: Pilot[None]) -> None:
    await pilot.pause(0.1)
    text = screen_text(app)
    bad = [letter for letter in text if (ord(letter) < 32 and letter != "\n") or 0x7F <= ord(letter) < 0xA0]
    assert bad == [] and "\u202e" not in text
