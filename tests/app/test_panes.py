from __future__ import annotations

from pathlib import Path
from stat import S_IMODE

import pytest
from fake_feed import FakeFeed
from headless_app import Running, open_app, screen_text, until

import apollo_train.export.training_view  # noqa: F401 - or the first `m` waits for it
from apollo_tui.acts.pane_memory import PaneMemory
from apollo_tui.app import ApolloApp
from apollo_tui.context import ToSession
from apollo_tui.screens.board import BoardScreen
from apollo_tui.screens.session import SessionScreen
from apollo_tui.state.pane_choice import KeptPanes
from sessions import events as ev
from sessions.events.messages import CallPart, TextPart
from sessions.events.text import long_text

FAR = 4_000_000_000_000
WORDS = "the loss is above two so the schedule comes first and a shorter trial with warmup after it "


async def log_of_long_sessions(feed: FakeFeed, count: int = 5, steps: int = 50) -> list[str]:
    """The first one only waits from its twelfth step on."""
    made = await feed.sessions(count)
    for at, session in enumerate(made):
        story: list[ev.NewEvent] = []
        for step in range(1, steps + 1):
            waits = at == 0 and step > 11
            name, arguments = ("wait", {"seconds": 60}) if waits else ("run", {"command": f"train {step}"})
            asked = ev.ModelRequested(adapter="demo", adapter_version=1, envelope={}, sha256="0" * 64)
            parts = (TextPart(WORDS * (0 if waits else step % 3)), CallPart(f"c{step}", name, "{}"))
            replied = ev.ModelReplied(request=3 + len(story), parts=parts, finish="calls")
            story += [ev.NewEvent(session, asked, step), ev.NewEvent(session, replied, step, actor="agent")]
            started = ev.ActionStarted(call_id=f"c{step}", name=name, arguments=arguments)
            ended = ev.ActionResult(call_id=f"c{step}", outcome="ok", output=long_text("ok")[0], duration_ms=900)
            story += [ev.NewEvent(session, body, step, 1) for body in (started, ended)]
        await feed.writer.append(*story)
    return made


async def paint(running: Running) -> None:
    app, pilot = running
    await pilot.pause()
    app._tick()
    await pilot.pause()


def blank_rows(app: ApolloApp) -> int:
    """Rows of all panes, or of the transcript, that nothing stands in."""
    screen = app.screen
    if isinstance(screen, SessionScreen):
        return screen.transcript.size.height - len(screen.transcript._shown)
    assert isinstance(screen, BoardScreen)
    return sum(not row.line for shown in screen.wall._on_screen.values() for row in shown.rows)


@pytest.mark.parametrize(("size", "panes"), [((80, 24), 4), ((120, 36), 5), ((200, 50), 5)])
async def test_every_row_is_full_on_opening_as_steps_come_on_resize_and_after_a_change_of_view(
    feed: FakeFeed, size: tuple[int, int], panes: int
) -> None:
    _, second, *_ = await log_of_long_sessions(feed)
    async with open_app(feed, size) as running:
        app, pilot = running
        board = app.screen
        assert isinstance(board, BoardScreen) and len(board.wall.session_ids) == panes
        await until(pilot, lambda: blank_rows(app) == 0)
        for step in range(51, 54):
            await feed.step(second, step, ("run", {"command": "make"}, "ok"), text=WORDS)
            await until(pilot, lambda step=step: app.context.state.sessions[second].summary.step == step)  # type: ignore[misc]
            await paint(running)
            assert blank_rows(app) == 0
        for width, height in ((size[0] - 12, size[1] - 5), size):
            await pilot.resize_terminal(width, height)
            await paint(running)
            assert blank_rows(app) == 0
        app.open(ToSession(second))
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and not app.screen.opening)
        await until(pilot, lambda: blank_rows(app) == 0)
        for on in (True, False):
            await pilot.press("m")
            await until(pilot, lambda on=on: (app.screen.training.view is not None) == on)  # type: ignore[misc]
            await paint(running)
            assert blank_rows(app) == 0, "after m"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is board)
        await paint(running)
        assert blank_rows(app) == 0, "after coming back"


async def test_panes_are_chosen_by_need_and_P_says_how_many_and_whose_also_after_a_restart(
    feed: FakeFeed, tmp_path: Path
) -> None:
    made = await feed.sessions(20)
    asks = (ev.QuestionAsked(question=1, text="Which?", until=FAR), ev.StateChanged(state="needs_you"))
    await feed.add(made[18], *asks)
    async with open_app(feed, (200, 50)) as running:
        app, pilot = running
        board = app.screen
        assert isinstance(board, BoardScreen)
        assert board.wall.session_ids == (*made[:15], made[18])
        assert board.listing.size.width == 34
        await feed.add(
            made[19], ev.QuestionAsked(question=1, text="Now?", until=FAR), ev.StateChanged(state="needs_you")
        )
        await until(pilot, lambda: app.context.state.sessions[made[19]].summary.open_question)
        await paint(running)
        assert board.wall.session_ids == (*made[:15], made[18]), "no event changes them"
        await pilot.press("P", "n")
        await until(pilot, lambda: board.wall.session_ids == (*made[:14], made[18], made[19]))
        await pilot.press("P", "4")
        await until(pilot, lambda: "4 panes" in board.receipt)
        assert board.wall.session_ids == (made[0], made[1], made[18], made[19])
        await pilot.press("apostrophe", "7", "enter")
        await until(pilot, lambda: board.session == made[6])
        assert board.wall.session_ids == (made[0], made[6], made[18], made[19])
        await pilot.press("P", "p")
        await until(pilot, lambda: "7 task-7 is always in a pane" in board.receipt)
    kept = next(feed.paths.drafts.parent.glob("panes.*.json"))
    assert S_IMODE(kept.stat().st_mode) == 0o600
    async with open_app(feed, (200, 50)) as (app, _):
        board = app.screen
        assert isinstance(board, BoardScreen)
        assert board.wall.session_ids == (made[0], made[6], made[18], made[19])
    kept.write_text("{")
    assert PaneMemory(app.context.drafts).load() == KeptPanes()


async def test_the_list_is_as_wide_as_names_need_within_bounds(feed: FakeFeed) -> None:
    await feed.session("a-task-with-a-long-name-indeed")
    async with open_app(feed, (200, 50)) as running:
        app, pilot = running
        board = app.screen
        assert isinstance(board, BoardScreen) and board.listing.size.width == 48
        assert "1 a-task-with-a-long-name-indeed ● running" in " ".join(screen_text(app).split())
        await pilot.resize_terminal(80, 24)
        await paint(running)
        await until(pilot, lambda: board.listing.size.width == 28)
