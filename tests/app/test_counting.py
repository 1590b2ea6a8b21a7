from __future__ import annotations

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.commands import run_command
from apollo_tui.context import ToExport
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
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


async def test_filters_find_sessions_that_nobody_has_gone_to(feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await feed.sessions(60)
    for session in (made[45], made[55]):
        await feed.step(session, 1, ("run", {"command": "ls"}, "a"))
    await feed.add(made[50], ev.NoteWritten(text="odd"), actor="human:bob")
    await feed.add(made[52], ev.SignedOff(up_to_step=1), actor="human:bob")
    async with open_app(feed, (120, 36), all_read=False) as (app, pilot):
        board, state = app.screen, app.context.state
        assert isinstance(board, BoardScreen)
        await until(pilot, lambda: app.context.seeds.begun.is_set())
        assert not state.sessions[made[50]].loaded
        with monkeypatch.context() as patch:
            patch.setattr(board.rows, "sessions", lambda: pytest.fail("all sessions are gone through for the footer"))
            assert not board.key_context().marked
        await pilot.press("slash", *"annotator:bob", "enter")
        await until(pilot, lambda: board.rows.sessions() == [made[50], made[52]])
        board.show_only("is:signed")
        assert board.rows.sessions() == [made[52]], "also who has signed off a part of it"
        assert board.show_only("is:unread").endswith("not looked up yet")
        await until(pilot, lambda: board.rows.sessions() == [made[45], made[55]])
        await until(pilot, lambda: "2 of 60 sessions" in screen_text(app) and "looked up" not in screen_text(app))
        assert not state.sessions[made[30]].loaded, "what is unread is known without the rest"


async def test_an_export_by_what_is_unread_and_letting_all_of_it_go_look_first(feed: FakeFeed) -> None:
    made = await feed.sessions(60)
    for session in (made[45], made[55]):
        await feed.step(session, 1, ("run", {"command": "ls"}, "a"))
    async with open_app(feed, (120, 36), all_read=False) as (app, pilot):
        await until(pilot, lambda: app.context.seeds.begun.is_set())
        app.open(ToExport(None))
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and app.screen.ready)
        screen = app.screen
        assert isinstance(screen, ExportScreen)
        await pilot.press("slash", *"is:unread", "enter")
        await until(pilot, lambda: "only is:unread: 2 sessions of 60 chosen" in screen.receipt)
        assert screen._chosen == {made[45], made[55]}
    async with open_app(feed, (120, 36), all_read=False) as (app, pilot):
        await until(pilot, lambda: app.context.seeds.begun.is_set())
        run_command(app.screen, "letgo all")  # type: ignore[arg-type]  # the board
        await until(pilot, lambda: "2 entries count as unread no more" in screen_text(app))
