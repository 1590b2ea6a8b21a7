from __future__ import annotations

import msgspec
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.state.board import SLOT_MS, SLOTS, Activity
from apollo_tui.state.session_facts import facts_of
from sessions import events as ev
from widgets.cells import text_of
from widgets.facts import facts_lines
from widgets.models import SessionView


def test_replies_are_counted_by_quarter_hours_and_the_present_one_is_last() -> None:
    activity = Activity()
    now = 1_000 * SLOT_MS
    for at in (now - 9 * SLOT_MS, now - 2 * SLOT_MS, now - 2 * SLOT_MS + 5, now, now + 1):
        activity.note(at)
    assert activity.slots(now) == (0, 0, 0, 0, 0, 2, 0, 2)
    assert activity.slots(now + SLOTS * SLOT_MS) == ()


async def test_active_time_is_told_within_the_time_up_to_the_end_and_stands_then(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.step(session, 1, ("run", {"command": "ls"}, "x"))
    hour = 3_600_000
    for state, finishes in (("running", True), ("finished", False)):
        summary = feed.writer.summary(session)
        assert summary is not None and summary.state == state
        facts = facts_of(summary, SessionView(session, 1, "tune-lr", summary.state), {}, summary.last_at + hour)
        told = next(text for line in facts_lines(facts, 40) if (text := text_of(line)).startswith("active"))
        assert told.split() == ["active", "0h00", "in", "1h00" if finishes else "0h00"]
        if finishes:
            await feed.add(session, ev.StateChanged(state="finished"))


async def test_facts_show_remarks_jobs_with_their_last_line_and_scores_over_steps(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    await feed.add(
        session,
        ev.JobStarted(job=1, command="python train.py", pid=1, start_time="1", boot_id="b", folder="/tmp/x"),
        step=1,
        call=1,
    )
    looked = ev.ActionResult(call_id="c1.1", outcome="ok", output=ev.LongText("epoch 1\nloss 0.31\n"), data={"job": 1})
    await feed.step(session, 1, ("job_output", {"job": 1}, "x"))
    await feed.add(session, looked, step=1, call=2)
    await feed.add(session, ev.JobStarted(job=2, command="ls", pid=1, start_time="1", boot_id="b", folder="/tmp/y"))
    await feed.add(session, ev.JobEnded(job=2, exit_code=3, duration_ms=2_000, last_line="no such file"))
    for step, score in ((2, 0.4), (3, 0.46), (9, 0.31)):
        await feed.add(session, ev.EvalScored(score=score, used=step), step=step)
    await feed.add(session, ev.NoteWritten(text="leaks the answer?"), actor="human:ben")
    await feed.add(session, ev.SignedOff(verdict="partial"), actor="human:ben")
    await feed.add(session, ev.BookmarkSet(target=ev.Target(1, "call", 1)), actor="human:ada")
    async with open_app(feed, (160, 60)) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: "loss 0.31" in screen_text(app) and "remarks" in screen_text(app))
        text = screen_text(app)
        assert "partial by ben" in text and "ben: leaks the answer?" in text and "bookmarks 1.1" in text
        assert "exit 3 after 2" in text and "no such file" in text
        assert "last 0.31 at step 9, best 0.46" in text and "step 2" in text
        assert any("\u2801" <= cell <= "\u28ff" for cell in text)


async def test_a_limit_says_about_where_a_part_of_what_was_used_is_our_own_count(feed: FakeFeed) -> None:
    session = await feed.session("tune-lr")
    for name, value in (("tokens", 50_000), ("money", 2)):
        await feed.add(session, ev.LimitChanged(name=name, value=value))  # type: ignore[arg-type]
    summary = feed.writer.summary(session)
    assert summary is not None
    exact = msgspec.structs.replace(summary, input_tokens=1_000, output_tokens=200, cost=0.5)
    guessed = msgspec.structs.replace(exact, estimated_tokens=800, estimated_cost=0.25)
    for one, wanted in (
        (exact, [("tokens", "1.2k", "50.0k"), ("money", "$0.50", "$2.00")]),
        (guessed, [("tokens", "about 2.0k", "50.0k"), ("money", "about $0.75", "$2.00")]),
    ):
        facts = facts_of(one, SessionView(session, 1, "tune-lr", one.state), {}, one.last_at)
        assert [limit for limit in facts.limits if limit[0] in ("tokens", "money")] == wanted
