from __future__ import annotations

import msgspec
from fake_feed import FakeFeed
from headless_app import open_app, until

from apollo_tui.acts.annotator_time import COALESCE_MS, IDLE_MS, EffortClock, Sight
from sessions import events as ev
from sessions.host import protocol


def test_time_counts_from_key_to_key_and_an_hour_away_counts_a_minute() -> None:
    clock = EffortClock()
    clock.look("a", 0)
    clock.key(1_000)
    clock.key(11_000)
    clock.key(3_611_000)
    spent = clock.due(all_of_it=True)
    assert spent == {"a": ev.EffortSpent(active_ms=10_000 + IDLE_MS, keys=3)}
    assert clock.due(all_of_it=True) == {}


def test_time_goes_to_the_session_that_is_looked_at_and_to_none_without_one() -> None:
    clock = EffortClock()
    clock.look("a", 0)
    clock.key(0)
    clock.look("b", 4_000)
    clock.look(None, 9_000)
    clock.look("a", 30_000)
    clock.look("a", 40_000)
    spent = clock.due(all_of_it=True)
    assert {session: one.active_ms for session, one in spent.items()} == {"a": 14_000, "b": 5_000}


def test_events_are_rare_and_what_could_not_be_told_is_not_lost() -> None:
    clock = EffortClock()
    clock.look("a", 0)
    for second in range(59):
        clock.key(second * 1000)
    assert clock.due() == {}
    clock.key(COALESCE_MS)
    told = clock.due()
    assert told["a"].active_ms == COALESCE_MS and told["a"].keys == 60
    clock.put_back("a", told["a"])
    assert clock.due() == told


def test_ticks_without_keys_cost_nothing() -> None:
    clock = EffortClock()
    for second in range(7200):
        clock.look("a", second * 1000)
    assert clock.due(all_of_it=True) == {}


def test_what_is_on_screen_is_known_with_how_long_it_has_been_there() -> None:
    sight = Sight()
    sight.show({"a": 5, "b": 0}, 1_000)
    sight.show({"a": 5}, 3_000)
    assert sight.evidence("a", 4_500) == ev.Seen(5, 3_500)
    sight.show({"a": 9}, 5_000)
    assert sight.evidence("a", 5_200) == ev.Seen(9, 200)
    assert sight.evidence("b", 5_000) is None
    sight.show({}, 6_000)
    assert sight.evidence("a", 6_000) is None


async def test_a_flag_keeps_what_stood_on_the_screen_and_not_what_came_below_it(feed: FakeFeed) -> None:
    session = await feed.session("long")
    for number in range(1, 60):
        await feed.step(session, number, ("run", {"command": f"echo {number}"}, f"out {number}"))
    now = [1_000_000]
    async with open_app(feed, (100, 24), clock=lambda: now[0]) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.__class__.__name__ == "SessionScreen")
        screen = app.screen
        await until(pilot, lambda: screen.transcript.in_sight())  # type: ignore[attr-defined]
        await pilot.press("g", "j", "j", "j")
        await until(pilot, lambda: max(screen.transcript.in_sight()) < 100)  # type: ignore[attr-defined]
        app._tick()
        last = max(screen.transcript.in_sight())  # type: ignore[attr-defined]
        now[0] += 7_000
        await pilot.press("f")
        await until(pilot, lambda: any(isinstance(call, protocol.Annotate) and call.kind == "flag.set"
                                       for call in feed.calls))  # fmt: skip
    sent = next(call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "flag.set")
    flag = msgspec.convert(sent.body, ev.FlagSet)
    assert flag.seen is not None and flag.seen.seq == last < 100
    assert flag.seen.visible_ms >= 7_000


async def test_leaving_tells_the_log_what_was_worked(feed: FakeFeed) -> None:
    session = await feed.session("one")
    now = [1_000_000]
    async with open_app(feed, clock=lambda: now[0]) as (app, pilot):
        await pilot.press("j")
        now[0] += 20_000
        await pilot.press("j")
        app._tick()
        app.leave()
        await until(pilot, lambda: any(isinstance(call, protocol.Annotate) and call.kind == "effort.spent"
                                       for call in feed.calls))  # fmt: skip
    sent = next(call for call in feed.calls if isinstance(call, protocol.Annotate) and call.kind == "effort.spent")
    assert sent.session == session and sent.body["active_ms"] == 20_000 and sent.body["keys"] >= 1


async def test_who_else_is_here_is_said_and_command_lines_are_nobody(feed: FakeFeed) -> None:
    from apollo_tui.backend.feed import ClientsChanged

    await feed.session("one")
    async with open_app(feed) as (app, pilot):
        clients = [protocol.ClientInfo(actor, client, 0) for actor, client in
                   (("human:ada", "app"), ("human:ben", "app"), ("human:cid", "cli"))]  # fmt: skip
        app.post_message(ClientsChanged(clients))
        await until(pilot, lambda: app.context.state.others() == ["ben"])
