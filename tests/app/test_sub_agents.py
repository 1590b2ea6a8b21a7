"""Sub-agents on screen: folded below the session that started them, one key away, and true in every count."""

from __future__ import annotations

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from widgets.picker import ChoiceList


async def family(feed: FakeFeed, children: int = 3, **more: object) -> tuple[str, list[str], str]:
    """A session with sub-agents that work, and a session beside it."""
    parent = await feed.session("tune-lr", **more)
    await feed.step(parent, 1, ("Task", {"prompt": "look"}, "done"))
    alone = await feed.session("poller")
    begins = ev.Beginning(parent, 2, "child")
    made = [
        await feed.session(f"part {at}", begins=begins, child_address=f"1.{chr(96 + at)}")
        for at in range(1, children + 1)
    ]
    for child in made:
        await feed.step(child, 1, ("grep", {"pattern": "lr"}, f"found by {child}"))
    return parent, made, alone


async def test_sub_agents_are_folded_below_their_session_and_a_key_shows_and_folds_them(feed: FakeFeed) -> None:
    parent, children, alone = await family(feed)
    async with open_app(feed) as (app, pilot):
        view = app.view
        assert isinstance(view, BoardScreen)
        assert view.listing.order == (parent, alone)
        assert view.wall.session_ids == (parent, alone), "no pane goes to a sub-agent by itself"
        text = screen_text(app)
        assert "+3 sub-agents" in text and "part 1" not in text
        assert "2 sessions + 3 sub-agents" in text.splitlines()[0]
        await pilot.press("A")
        assert view.listing.order == (parent, *children, alone) and view.session == parent
        await until(pilot, lambda: "part 3" in screen_text(app))
        await pilot.press("down", "down")
        assert view.session == children[1]
        assert view.wall.session_ids == (children[1], alone), "it has the pane of its session while it is looked at"
        await pilot.press("A")
        assert view.listing.order == (parent, alone) and view.session == parent
        assert view.wall.session_ids == (parent, alone)


async def test_a_sub_agent_that_needs_somebody_is_said_on_its_session_and_found_by_the_key(feed: FakeFeed) -> None:
    parent, children, alone = await family(feed)
    await feed.add(children[2], ev.StateChanged(state="needs_you", need="key", reason="no key"))
    async with open_app(feed) as (app, pilot):
        view = app.view
        assert isinstance(view, BoardScreen)
        text = screen_text(app)
        assert "+3, 1 needs you" in text
        assert "1 needs you: part 3" in text.splitlines()[0]
        await pilot.press("exclamation_mark")
        assert view.session == children[2] and children[2] in view.listing.order
        assert view.wall.session_ids == (children[2], alone)
        await pilot.press("ctrl+o")
        assert view.session == parent


async def test_a_new_sub_agent_leaves_the_row_under_the_cursor_where_it_is(feed: FakeFeed) -> None:
    parent, _, alone = await family(feed, 12)
    async with open_app(feed, (120, 24)) as (app, pilot):
        view = app.view
        assert isinstance(view, BoardScreen)
        await pilot.press("A", "G")
        assert view.session == alone

        def row() -> int:
            return next(y for y in range(24) if view.listing.row_selected(y))

        before = row()
        await feed.session("part 13", begins=ev.Beginning(parent, 2, "child"))
        await until(pilot, lambda: len(view.listing.order) == 15)
        assert (view.session, row()) == (alone, before)


@pytest.mark.parametrize("count", [1, 3])
async def test_one_key_leads_from_a_session_to_its_sub_agents_and_back(feed: FakeFeed, count: int) -> None:
    parent, children, _ = await family(feed, count)
    async with open_app(feed, (140, 40)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "sub-agents" in screen_text(app))
        await pilot.press("A")
        if count > 1:
            await until(pilot, lambda: "sub-agents of 1 tune-lr" in screen_text(app))
            assert "1.c part 3" in screen_text(app) and "running · step 1" in screen_text(app)
            await pilot.press("d")
        wanted = children[count - 1]
        await until(pilot, lambda: app.view is not None and app.view.session == wanted)
        await until(pilot, lambda: f"found by {wanted}" in screen_text(app) and "child of 1" in screen_text(app))
        await pilot.press("A")
        await until(pilot, lambda: app.view is not None and app.view.session == parent)


async def test_the_panes_of_a_session_go_past_its_sub_agents_and_those_of_one_past_others(feed: FakeFeed) -> None:
    _, children, alone = await family(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("enter", "tab")
        await until(pilot, lambda: app.view is not None and app.view.session == alone)
        await pilot.press("4")
        await until(pilot, lambda: "there is no session 4" in screen_text(app))
        await pilot.press("apostrophe", *"1.b", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == children[1])
        await until(pilot, lambda: "1.b part 2" in screen_text(app))
        await pilot.press("tab")
        await until(pilot, lambda: app.view is not None and app.view.session == children[2])


async def test_the_export_menu_folds_sub_agents_under_their_session_and_takes_them_with_it(feed: FakeFeed) -> None:
    parent, children, alone = await family(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen) and "+3 sub-agents" in screen_text(app))
        menu = app.screen
        assert isinstance(menu, ExportScreen)
        listing = menu.query_one("#export-sessions", ChoiceList)
        assert [choice.id for choice in listing.choices] == [parent, alone]
        assert menu._chosen == {parent, *children}
        await pilot.press("x")
        assert menu._chosen == frozenset()
        await pilot.press("A")
        assert [choice.id for choice in listing.choices] == [parent, *children, alone]
        assert "[ ] 1.b part 2" in screen_text(app) and "+3" not in screen_text(app)
        await pilot.press("down", "down", "x")
        assert menu._chosen == {children[1]}
        await pilot.press("A")
        assert [choice.id for choice in listing.choices] == [parent, alone]
        await until(pilot, lambda: menu.session == parent)


async def test_an_archived_session_takes_its_sub_agents_out_of_sight(feed: FakeFeed) -> None:
    parent, children, alone = await family(feed)
    await feed.add(parent, ev.StateChanged(state="stopped"), ev.StateChanged(state="archived"))
    async with open_app(feed) as (app, _):
        assert app.context.state.order() == [alone]
        app.context.state.show_archived = True
        assert app.context.state.order() == [parent, *children, alone]


async def test_the_key_says_where_it_finds_nobody(feed: FakeFeed) -> None:
    await feed.session("alone")
    async with open_app(feed) as (app, pilot):
        await pilot.press("A")
        assert "has no sub-agents, and is none" in screen_text(app)
