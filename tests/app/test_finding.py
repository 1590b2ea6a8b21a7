"""Finding sessions, acting on several, the command line's words, help, and templates: as keys and screens show them."""

from __future__ import annotations

from pathlib import Path

from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until
from textual.widgets import Input

from apollo_tui.acts.recent_commands import RecentCommands
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.export import ExportScreen
from apollo_tui.screens.panels.bulk import BulkPanel
from apollo_tui.screens.panels.filter_prompt import FilterPrompt
from apollo_tui.screens.panels.help import HelpPanel
from apollo_tui.screens.panels.prompt import CommandPrompt
from apollo_tui.screens.panels.searchable import SearchablePanel
from sessions import events as ev
from sessions.config import Config
from sessions.host import protocol
from widgets.composer import Composer
from widgets.picker import ChoiceList


async def four(feed: FakeFeed) -> list[str]:
    made = [await feed.session(title, task_id=task, tags=tags) for title, task, tags in (
        ("tune-lr", "lr", ("keep",)), ("poller", "poll", ()), ("adam", "lr", ("keep",)), ("steady", "poll", ()),
    )]  # fmt: skip
    await feed.add(made[3], ev.StateChanged(state="finished"))
    for session in made:
        await feed.step(session, 1, ("run", {"command": "ls"}, "a\n"))
    return made


async def test_the_list_follows_what_is_typed_and_nobody_acts_on_what_it_hides(feed: FakeFeed) -> None:
    first, second, third, fourth = await four(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        board.set_panes(1)  # what is undone out of sight is shown first
        await pilot.press("2", "asterisk", "slash", *"tag:keep")
        assert isinstance(app.screen, FilterPrompt)
        await until(pilot, lambda: board.listing.order == (first, third))
        assert set(board.wall.session_ids) <= {first, third}
        assert "only tag:keep: 2 of 4" in screen_text(app) and "tag:keep" in screen_text(app)
        await pilot.press(*"x")
        await until(pilot, lambda: "tag:keepx: no session is that" in screen_text(app))
        await pilot.press("escape")
        assert board.listing.order == (first, second, third, fourth) and not board.rows.filter.words
        await pilot.press("slash", *"tag:k", "tab", "enter")
        await until(pilot, lambda: "only tag:keep  2 of 4 sessions · 1 marked is out of sight" in screen_text(app))
        await pilot.press("asterisk", "X")
        await until(pilot, lambda: isinstance(app.screen, BulkPanel))
        assert "1 more marked, out of sight" in screen_text(app)
        await pilot.press("asterisk")
        await until(pilot, lambda: "2 marked: 1 tune-lr, 3 adam" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "2 sessions, 1 tune-lr, 3 adam pause" in screen_text(app))
        asked = [call for call in feed.calls if isinstance(call, protocol.Control)]
        assert [call.session for call in asked] == [first, third] and len({call.bulk for call in asked}) == 1
        # A session that somebody goes to comes into sight.
        await pilot.press("4")
        await until(pilot, lambda: "4 steady was out of sight" in screen_text(app))
        assert board.session == fourth and len(board.listing.order) == 4
        await pilot.press("u")
        await until(pilot, lambda: "u again undoes: pause of 2 sessions" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: "undone: pause of 2 sessions" in screen_text(app))
        await pilot.press("slash", *"state:run", "enter")
        await until(pilot, lambda: board.listing.order == (first, second, third))
        await pilot.press("escape")
        assert len(board.listing.order) == 4 and not board.rows.filter.words
    assert not app.crash


async def test_sessions_of_a_task_stand_together_and_archived_ones_come_back_by_a_word(feed: FakeFeed) -> None:
    first, second, third, fourth = await four(feed)
    async with open_app(feed, (200, 50)) as (app, pilot):
        board = app.screen
        assert isinstance(board, BoardScreen)
        await pilot.press("O")
        assert board.listing.order == (first, third, second, fourth)
        await until(pilot, lambda: "lr (2)" in screen_text(app) and "poll (2)" in screen_text(app))
        await pilot.press("o", "o", "o")
        assert board.listing.order == (third, first, second, fourth), "by name, a task in the place of its first"
        await pilot.press("O", "colon", *"order number", "enter")
        await until(pilot, lambda: board.listing.order == (first, second, third, fourth))
        await pilot.press("4", "colon", *"archive", "enter")
        await until(pilot, lambda: len(board.listing.order) == 3)
        await pilot.press("slash", *"archived", "enter")
        await until(pilot, lambda: board.listing.order == (fourth,))
        await pilot.press("X")
        await until(pilot, lambda: "bring back from the archive" in screen_text(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, ExportScreen))
        assert app.screen.query_one("#export-sessions", ChoiceList)._ticked == {fourth}
        await pilot.press("escape", "X", "b")
        await until(pilot, lambda: app.context.state.sessions[fourth].summary.state == "finished")
    assert not app.crash


async def test_the_command_line_completes_words_begins_with_what_was_done_last_and_says_why_not(feed: FakeFeed) -> None:
    _, second, third, _ = await four(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("colon", *"tag -")
        await until(pilot, lambda: "-keep" in screen_text(app) and "takes it away" in screen_text(app))
        await pilot.press("escape", "2", "colon", *"tag ke", "tab", "enter")
        await until(pilot, lambda: app.context.state.sessions[second].summary.tags == ("keep",))
        await until(pilot, lambda: "2 poller is tagged keep" in screen_text(app))
        await pilot.press("colon", *"goto ada", "down", "up", "enter")
        await until(pilot, lambda: app.view is not None and app.view.session == third)
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPrompt))
        rows = [choice.id for choice in app.screen.query_one(ChoiceList)._choices]
        assert rows[:2] == ["goto 3", "tag keep"]
        await pilot.press(*"skip")
        await until(pilot, lambda: "works in the review queue" in " ".join(screen_text(app).split()))
        await pilot.press("escape", "colon", *"rename third", "enter")
        await until(pilot, lambda: "3 adam is called third now" in screen_text(app))
    lines = RecentCommands(feed.paths.folder, feed.actor).lines()
    assert lines == ["rename third", "goto 3", "tag keep"]
    assert (feed.paths.folder / "commands.human%3aada.recent").stat().st_mode & 0o077 == 0


async def test_help_begins_with_what_one_does_here_and_typing_narrows_it_down(feed: FakeFeed) -> None:
    await four(feed)
    async with open_app(feed, (80, 24)) as (app, pilot):
        await pilot.press("left_square_bracket", "question_mark")
        await until(pilot, lambda: "what one does here" in screen_text(app))
        await pilot.press(*"label")
        assert isinstance(app.screen, HelpPanel)
        listing = app.screen.query_one(ChoiceList)
        await until(pilot, lambda: len(listing._choices) < 6)
        assert listing.highlighted is not None and listing.highlighted.id == "label"
        await pilot.press("escape", "question_mark", *"queue")
        await until(pilot, lambda: app.screen.query(Input) and app.screen.query_one(Input).value == "queue")
        await pilot.press("escape", "question_mark", *"only some", "enter")
        await until(pilot, lambda: isinstance(app.screen, FilterPrompt))


async def test_a_template_is_taken_from_the_composer_and_its_fields_are_walked_and_missed(
    feed: FakeFeed, tmp_path: Path
) -> None:
    first, *_ = await four(feed)
    (tmp_path / "advice.toml").write_text(
        '[[advice]]\nname = "lr"\ntext = "Set {lr} to\\n{value}."\nreach = "here"\n'
        '[[advice]]\nname = "wait"\ntext = "Wait."\n'
    )
    async with open_app(feed, (80, 24), config=Config(path=tmp_path / "config.toml")) as (app, pilot):
        await feed.add(first, ev.AdviceQueued(advice=1, text="be patient"), actor="human:ada")
        await feed.add(first, ev.AdviceDelivered(advice=(1,), at_step=2, text="be patient"))
        composer = app.screen.query_one(Composer)
        await pilot.press("i", "tab")
        await until(pilot, lambda: isinstance(app.screen, SearchablePanel))
        assert "be patient" in screen_text(app) and "said before" in screen_text(app)
        await pilot.press(*"lr", "enter")
        await until(pilot, lambda: composer.text == "Set {lr} to\n{value}.")
        assert composer.target is not None and composer.target.reach == "here"
        await pilot.press(*"the rate", "tab", *"3e-4")
        assert composer.text == "Set the rate to\n3e-4."
        await pilot.press("ctrl+u", "escape", "i")
        await pilot.press(*" {lr}", "enter")
        await until(pilot, lambda: "not filled in: {lr}" in screen_text(app))
        assert not [call for call in feed.calls if isinstance(call, protocol.QueueAdvice)]
        await pilot.pause(0.05)
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(call, protocol.QueueAdvice) for call in feed.calls))
        (tmp_path / "advice.toml").write_text("[[advice]")
        await pilot.press("i", "tab")
        await until(pilot, lambda: "no valid TOML" in " ".join(screen_text(app).replace("│", " ").split()))
        await pilot.press(*"patient", "enter")
        await until(pilot, lambda: composer.text == "be patient")
    assert not app.crash


async def test_a_text_is_typed_into_the_field_of_a_panel_that_narrows_down(feed: FakeFeed) -> None:
    await four(feed)
    async with open_app(feed) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpPanel))
        await pilot.press(*"q")
        assert app.screen.query_one(Input).value == "q"
