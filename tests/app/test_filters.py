from __future__ import annotations

import pytest
from fake_feed import FakeFeed
from headless_app import open_app, screen_text, until

from apollo_tui.screens.session import SessionScreen
from apollo_tui.state.filters import EntryFilter, Filter
from sessions import events as ev
from sessions.events.text import long_text
from widgets.models import Anchor


class Log:
    """Events of one session, numbered; anchors as the index has them."""

    def __init__(self) -> None:
        self.events: list[ev.Event] = []

    def add(self, body: ev.Body, step: int | None = None, call: int | None = None) -> int:
        seq = len(self.events) + 1
        self.events.append(ev.Event(seq, "s", seq, step, call, body.kind, 1, seq, "agent", None, body))
        return seq

    def act(self, step: int, name: str = "run", outcome: str = "ok") -> int:
        seq = self.add(ev.ActionStarted(call_id="c", name=name, arguments={}), step, 1)
        result = ev.ActionResult(call_id="c", outcome=outcome, output=long_text("x")[0])  # type: ignore[arg-type]
        self.add(result, step, 1)
        return seq

    def anchors(self) -> list[Anchor]:
        return [Anchor(e.seq, e.step, e.call, e.kind) for e in self.events if e.kind in ev.ANCHORS]

    def shown(self, which: Filter, unread: tuple[int, ...] = (), foreign: bool = False) -> list[int]:
        shown = EntryFilter(which, self.anchors(), unread, foreign=foreign)
        shown.take(self.events)
        return [anchor.seq for anchor in self.anchors() if shown(anchor)]


def flag(target: ev.Target, id: str = "a") -> ev.FlagSet:
    return ev.FlagSet(flag=id, target=target)


def test_an_outline_keeps_what_changed_the_course_and_the_actions_that_did_it() -> None:
    log = Log()
    log.act(1)
    plan = log.add(ev.ActionStarted(call_id="c", name="plan", arguments={}), 2, 1)
    log.add(ev.PlanChanged(items=()), 2, 1)
    edit = log.act(3, "edit_file")
    log.add(ev.FileChanged(path="a.py"), 3, 1)
    job = log.act(4)
    log.add(ev.JobStarted(job=1, command="x", pid=1, start_time="", boot_id="", folder=""), 4, 1)
    score = log.add(ev.EvalScored(score=0.5), 5, 1)
    flagged = log.act(6)
    log.add(flag(ev.Target(6, "call", 1)))
    log.act(7)
    advice = log.add(ev.AdviceQueued(advice=1, text="so"))
    assert log.shown("outline") == [plan, edit, job, score, flagged, advice]


def test_errors_are_failed_results_refused_calls_and_failed_attempts() -> None:
    log = Log()
    log.act(1)
    bad = log.act(2, outcome="error")
    refused = log.add(ev.ActionRefused(call_id="c", name="x", why="malformed"), 3, 1)
    attempt = log.add(ev.ModelAttemptFailed(request=1, attempt=1, reason="server"), 4)
    assert log.shown("errors") == [bad, refused, attempt]


def test_a_command_that_ended_with_a_code_is_an_error_and_one_that_goes_on_in_the_background_is_none() -> None:
    log = Log()

    def call(step: int, name: str, output: str, outcome: str = "ok", **data: object) -> int:
        arguments = {"command": "make"} if name == "run" else {"path": "a"}
        seq = log.add(ev.ActionStarted(call_id="c", name=name, arguments=arguments), step, 1)
        said = ev.LongText(output, chars=len(output))
        log.add(ev.ActionResult(call_id="c", outcome=outcome, output=said, data=data), step, 1)  # type: ignore[arg-type]
        return seq

    failed = call(1, "run", "Exit code 2\nno rule")
    call(2, "read", "Exit code 2")
    call(3, "run", "epoch 1", "timeout", background="timeout")
    assert log.shown("errors") == [failed]


def test_an_outline_of_a_recording_has_edits_and_plans_that_no_event_tells_of() -> None:
    log = Log()
    log.add(ev.ActionStarted(call_id="c", name="view", arguments={"path": "a"}), 1, 1)
    edit = {"path": "a", "old_str": "x", "new_str": "y"}
    seq = log.add(ev.ActionStarted(call_id="c", name="str_replace_editor", arguments=edit), 2, 1)
    plan = {"todos": [{"content": "Read", "status": "pending"}]}
    planned = log.add(ev.ActionStarted(call_id="c", name="TodoWrite", arguments=plan), 3, 1)
    assert log.shown("outline") == []
    assert log.shown("outline", foreign=True) == [seq, planned]


def test_flagged_follows_flags_as_they_are_set_and_taken_back() -> None:
    log = Log()
    first = log.act(1)
    second = log.act(2)
    third = log.act(3)
    log.add(flag(ev.Target(2, "call", 1)))
    assert log.shown("flagged") == [second]
    log.add(flag(ev.Target(1, "span", None, 3), "b"))
    assert log.shown("flagged") == [first, second, third]
    log.add(ev.FlagRemoved(flag="b"))
    assert log.shown("flagged") == [second]
    summary = log.add(ev.SummaryWritten(number=1, from_step=1, to_step=2, text=long_text("so far")[0]))
    other = log.add(ev.SummaryWritten(number=2, from_step=1, to_step=3, text=long_text("so far")[0]))
    log.add(flag(ev.Target(2, "summary"), "c"))
    assert log.shown("flagged") == [second, other] and summary not in log.shown("flagged")


def test_without_polls_and_unread() -> None:
    log = Log()
    one = log.act(1)
    poll = log.act(2, "job_output")
    two = log.act(3)
    assert log.shown("no polls") == [one, two]
    assert log.shown("unread", unread=(poll,)) == [poll, two]
    assert log.shown("all") == [one, poll, two]


def test_more_of_the_index_and_later_events_are_taken_in() -> None:
    log = Log()
    log.act(1)
    shown = EntryFilter("errors", log.anchors())
    assert not shown.take(log.events)
    bad = log.act(2, outcome="error")
    shown.append(log.anchors())
    assert shown.take(log.events[2:])
    assert [anchor.seq for anchor in log.anchors() if shown(anchor)] == [bad]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_outline_and_filters_of_the_session_screen(feed: FakeFeed, size: tuple[int, int]) -> None:
    session = await feed.session("tune-lr")
    for step in range(1, 4):
        await feed.step(session, step, ("job_output", {"job": 1}, "…\n"), text="I look once more, at length. " * 12)
    await feed.step(session, 4, ("run", {"command": "make"}, "built\n"))
    await feed.add(session, ev.EvalScored(score=0.46, used=1), step=4, call=1)
    async with open_app(feed, size) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SessionScreen) and "make" in screen_text(app))
        await pilot.press("O")
        await until(pilot, lambda: "1 tune-lr · outline" in screen_text(app))
        assert "0.46" in screen_text(app) and "job_output" not in screen_text(app) and "make" not in screen_text(app)
        await feed.add(session, ev.AdviceQueued(advice=1, text="use three seeds"), actor="human:ada")
        await feed.step(session, 5, ("run", {"command": "later"}, "x\n"))
        await until(pilot, lambda: "use three seeds" in screen_text(app))
        assert "later" not in screen_text(app)
        await pilot.press("O")
        await until(pilot, lambda: "later" in screen_text(app) and "outline" not in screen_text(app).splitlines()[0])
        await pilot.press("w", "p")
        await until(pilot, lambda: "1 tune-lr · no polls" in screen_text(app))
        assert "make" in screen_text(app) and "job_output" not in screen_text(app)
        await pilot.press("w", "f")
        await until(pilot, lambda: "nothing here is flagged" in screen_text(app))
        await pilot.press("w", "a")
        await until(pilot, lambda: "everything is shown" in screen_text(app))
