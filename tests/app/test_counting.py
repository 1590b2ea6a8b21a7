from __future__ import annotations

from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from sessions import events as ev


async def test_the_header_counts_what_waits_for_a_verdict_and_nothing_that_is_merely_unread(feed: FakeFeed) -> None:
    session, other = await feed.session("tune"), await feed.session("old")
    for number in range(1, 4):
        await feed.step(session, number, ("run", {"command": "ls"}, "a"))
    proposed = ev.FlagSet(flag="r1", target=ev.Target(2), verdict="bad", label="x/loop")
    await feed.add(session, proposed, actor="judge:night")
    await feed.add(other, ev.FlagSet(flag="r2", target=ev.Target(1), verdict="unsure"), actor="human:ben")
    async with open_app(feed, (120, 36)) as (app, pilot):
        await until(pilot, lambda: "to judge 2" in screen_text(app))
        header = screen_text(app).splitlines()[0]
        assert "unread" not in header and "review" not in header
        await feed.add(session, ev.FlagSet(flag="a", target=ev.Target(2), verdict="good"), actor="human:ada")
        await until(pilot, lambda: "to judge 1" in screen_text(app))
        await feed.add(other, ev.StateChanged(state="stopped"), ev.StateChanged(state="archived"))
        await until(pilot, lambda: "to judge" not in screen_text(app))


async def test_where_sessions_are_many_only_those_in_sight_are_read_and_others_as_somebody_goes_there(
    feed: FakeFeed,
) -> None:
    made = await feed.sessions(60)
    await feed.step(made[59], 1, ("run", {"command": "ls"}, "a"))
    async with open_app(feed, (120, 36), all_read=False) as (app, pilot):
        state = app.context.state
        await until(pilot, lambda: state.sessions[made[0]].loaded and state.sessions[made[11]].loaded)
        await until(pilot, lambda: not app.context.seeds._due)
        assert not state.sessions[made[50]].loaded
        await pilot.press("apostrophe", "6", "0", "enter")
        await until(pilot, lambda: state.sessions[made[59]].loaded and "ls" in screen_text(app))
        assert not state.sessions[made[30]].loaded
