"""A session whose agent is a harness, on screen: what its calls are for, what it asks beside its work, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.commands import commands_for
from apollo_tui.screens.session import SessionScreen
from sessions import events as ev
from sessions.events.messages import TextPart

TOOLS: dict[str, Any] = {"Bash": "run", "BashOutput": "wait", "Edit": "edit"}
MODEL = ev.ModelSpec("openai", "big", base_url="https://me:secret@models.example:8000/v1")


async def harness_session(feed: FakeFeed, title: str = "tune-lr") -> str:
    harness = ev.Harness(name="claude-code", version="2.1.197", tools=TOOLS)
    contained = ev.Containment(inside="bwrap")
    return await feed.session(title, harness=harness, model=MODEL, contained=contained)


async def side_call(feed: FakeFeed, session: str, said: str, cost: float | None) -> None:
    asked = ev.ModelRequested(purpose="side", adapter="gateway", adapter_version=1, envelope={}, sha256="0" * 64)
    request = await feed.add(session, asked)
    reply = ev.ModelReplied(request=request.seq, parts=(TextPart(said),), finish="stop", cost=cost)
    await feed.add(session, reply, actor="agent")


async def open_session(app: Any, pilot: Any) -> None:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, SessionScreen) and not app.screen.opening)


async def test_calls_of_a_harness_read_like_ours_and_its_looks_are_folded(feed: FakeFeed) -> None:
    session = await harness_session(feed)
    await feed.step(session, 1, ("Bash", {"command": "make test", "description": "Run the tests"}, "3 passed"))
    edit = {"file_path": "src/a.py", "old_string": "x = 1\ny = 2", "new_string": "x = 1\ny = 3"}
    await feed.step(session, 2, ("Edit", edit, "done"))
    for step in range(3, 7):
        await feed.step(session, step, ("BashOutput", {"bash_id": "b1"}, f"epoch {step}"))
    async with open_app(feed, (120, 30)) as (app, pilot):
        await open_session(app, pilot)
        await until(pilot, lambda: "BashOutput ×4" in screen_text(app))
        text = screen_text(app)
        assert "Bash  make test" in text and "description" not in text
        assert "Edit  src/a.py  +1 −1" in text
        await pilot.press("O")
        await until(pilot, lambda: "outline" in screen_text(app).splitlines()[0])
        assert "Edit  src/a.py" in screen_text(app) and "make test" not in screen_text(app)


async def test_an_edit_of_a_harness_is_a_diff_on_the_action_screen(feed: FakeFeed) -> None:
    session = await harness_session(feed)
    edit = {"file_path": "src/a.py", "old_string": "x = 1\ny = 2", "new_string": "x = 1\ny = 3"}
    await feed.step(session, 1, ("Edit", edit, "done"))
    async with open_app(feed, (120, 30)) as (app, pilot):
        await open_session(app, pilot)
        await pilot.press("left_square_bracket", "enter")
        await until(pilot, lambda: "-y = 2" in screen_text(app))
        text = screen_text(app)
        assert "src/a.py  +1 −1" in text and "+y = 3" in text and " x = 1" in text
        assert "old_string" not in text


async def test_side_calls_are_one_row_below_their_step_with_what_they_cost(feed: FakeFeed) -> None:
    session = await harness_session(feed)
    await feed.step(session, 1, ("Bash", {"command": "ls"}, "a"))
    for said, cost in (("Tune the rate", 0.25), ("yes", 0.5)):
        await side_call(feed, session, said, cost)
    await feed.step(session, 2, ("Bash", {"command": "pwd"}, "/w"))
    await side_call(feed, session, "a title", None)
    async with open_app(feed, (120, 30)) as (app, pilot):
        await open_session(app, pilot)
        await until(pilot, lambda: "side call ×2" in screen_text(app))
        rows = screen_text(app).splitlines()
        at = next(y for y, row in enumerate(rows) if "side call ×2" in row)
        assert "$0.75" in rows[at]
        assert any("Bash  ls" in row for row in rows[:at]) and any("Bash  pwd" in row for row in rows[at:])
        assert any("side call  a title" in row and "cost not known" in row for row in rows)
        await side_call(feed, session, "another one", 0.1)
        await until(pilot, lambda: screen_text(app).count("side call ×2") == 2)


async def test_the_facts_name_the_agent_and_its_server_and_leave_out_what_cannot_be_had(feed: FakeFeed) -> None:
    session = await harness_session(feed)
    wire = ev.WireFrame(dialect="messages", before=(), after=(), chain="c")
    asked = ev.ModelRequested(
        adapter="gateway", adapter_version=1, envelope={}, sha256="0" * 64, wire=wire, estimate_tokens=18_200
    )
    await feed.add(session, asked, step=1)
    started = ev.JobStarted(job=1, command="claude -p x", pid=1, start_time="1", boot_id="b", folder="/tmp/x")
    await feed.add(session, started)
    summary = ev.SummaryWritten(number=1, from_step=1, to_step=1, text=ev.LongText("so far"))
    await feed.add(session, summary)
    async with open_app(feed, (160, 40)) as (app, pilot):
        await open_session(app, pilot)
        await until(pilot, lambda: "upstream" in screen_text(app))
        text = screen_text(app)
        assert "claude-code, 2.1.197, speaks" in text and "inside bwrap, network off" in text
        assert "models.example:8000" in text and "secret" not in text
        assert "segment   2, from step 2" in text and "program   runs for" in text
        for absent in ("malformed", "jobs", "plan", "scores", "/100k", "evals"):
            assert absent not in text.split("│", 1)[1], absent
        assert not {"drop", "shorten", "retry"} & {command.name for command in commands_for(app.screen)}


async def test_a_session_that_hands_replies_over_as_they_come_says_why_none_can_be_held(feed: FakeFeed) -> None:
    harness = ev.Harness(name="claude-code", stream="pass")
    session = await feed.session("as they come", harness=harness, model=MODEL)
    await feed.step(session, 1, ("Bash", {"command": "ls"}, "a"))
    async with open_app(feed, (120, 30)) as (app, pilot):
        await open_session(app, pilot)
        (hold,) = (command for command in commands_for(app.screen) if command.name == "hold")
        assert hold.help.endswith("nothing can be held")
        await pilot.press("h")
        await until(pilot, lambda: "nothing can be held" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_held_reply_says_what_it_would_do_and_the_footer_names_the_key_that_lets_it_go(
    feed: FakeFeed, size: tuple[int, int]
) -> None:
    session = await harness_session(feed)
    await feed.step(session, 1, ("Bash", {"command": "ls"}, "a"))
    command = "python train.py --lr 3e-4 --epochs 40 --out runs/with-a-name-that-is-long --resume from-the-last"
    reason = f'the reply of step 2 is held: Bash {{"command": "{command}", "description": "Train"}}'
    await feed.add(session, ev.StateChanged(state="needs_you", need="gate", reason=reason))
    async with open_app(feed, size) as (app, pilot):
        await until(pilot, lambda: "held: Bash" in screen_text(app))
        assert "h let it go" in screen_text(app).splitlines()[-1] and "p pause" not in screen_text(app)
        await open_session(app, pilot)
        # Not in the title, which may say so, too.
        await until(pilot, lambda: "the reply of step 2 is held" in screen_text(app).split("\n", 1)[1])
        rows = [row.split("│")[0].strip() for row in screen_text(app).splitlines()]
        at = next(y for y, row in enumerate(rows) if y and "the reply of step 2 is held" in row)
        assert command in " ".join(rows[at + 1 : at + 4])
        assert "h let it go" in rows[-1]
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: "`h` lets it go on" in screen_text(app))
