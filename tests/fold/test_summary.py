from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from pathlib import Path

import event_bodies
import log_events as make
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.events.states import STATES, TRANSITIONS, may_change
from sessions.fold.costs import known_cost, say_cost
from sessions.fold.result_status import result_status
from sessions.fold.summary import IllegalTransition, Summary, fold_summary
from sessions.log.errors import BadEvent
from sessions.log.reader import LogReader
from sessions.log.session_heads import fold_summaries, read_heads
from sessions.log.writer import LogWriter

S = make.SESSION


def summary_of(*events: ev.NewEvent) -> Summary:
    return fold_summaries(make.number_events(*events))[S]


def event(body: ev.Body, **more: object) -> ev.NewEvent:
    return ev.NewEvent(S, body, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_the_table_of_transitions_is_what_the_fold_allows(before: str, after: str) -> None:
    (created,) = make.number_events(make.session_created())
    start = msgspec.structs.replace(fold_summary(None, created), state=before)
    (_, change) = make.number_events(make.session_created(), make.state(after))
    if before == after or after in TRANSITIONS[before]:  # type: ignore[index]
        assert fold_summary(start, change).state == after
    else:
        with pytest.raises(IllegalTransition, match=f"cannot go from {before} to {after}"):
            fold_summary(start, change)


def test_nothing_comes_back_to_created_and_every_state_can_be_reached() -> None:
    assert may_change(None, "created")
    assert not may_change(None, "running")
    reached = {"created"}
    while more := {after for state in reached for after in TRANSITIONS[state]} - reached:  # type: ignore[index]
        reached |= more
    assert reached == set(STATES)
    assert all("created" not in after for after in TRANSITIONS.values())


def test_a_session_begins_once_and_with_its_creation() -> None:
    with pytest.raises(IllegalTransition, match="no beginning"):
        fold_summary(None, make.number_events(make.state("running"))[0])
    first, again = make.number_events(make.session_created(), make.session_created())
    with pytest.raises(IllegalTransition, match="exists already"):
        fold_summary(fold_summary(None, first), again)


def test_active_time_runs_in_active_states_only() -> None:
    times = [("running", 1_000), ("on_job", 2_000), ("paused", 4_000), ("running", 9_000), ("finished", 9_500)]
    summary = summary_of(make.session_created(), *(make.state(to) for to, _ in times))
    assert summary.active_at is None
    events = make.number_events(make.session_created(), *(make.state(to) for to, _ in times))
    moved = [events[0], *(msgspec.structs.replace(e, at=at) for e, (_, at) in zip(events[1:], times, strict=True))]
    folded = fold_summaries(moved)[S]
    assert folded.active_ms == 3_000 + 500
    assert folded.active_now(99_999) == 3_500
    assert fold_summaries(moved[:2])[S].active_now(1_700) == 700


def test_no_active_time_passes_while_the_host_is_down() -> None:
    created, running, recovered, paused = make.number_events(
        make.session_created(), make.state("running"), event(ev.SessionRecovered(last_at=5_000)), make.state("paused")
    )
    times = zip((created, running, recovered, paused), (0, 1_000, 60_000, 61_000), strict=True)
    assert fold_summaries(msgspec.structs.replace(e, at=at) for e, at in times)[S].active_ms == 4_000 + 1_000


def test_tokens_money_actions_and_errors_are_counted() -> None:
    said = ev.ModelReplied(request=3, parts=(), finish="stop", usage=Usage(100, 20, 30), cost=0.5)
    summary = summary_of(
        make.session_created(),
        make.state("running"),
        make.request(1)[0],
        event(said, step=1),
        make.action_started(1, 1, "run"),
        make.result(1, 1, outcome="error"),
        make.action_refused(1, 2, "nosuch", "unknown_tool"),
        make.action_refused(1, 3, "run", "skipped_for_advice"),
        make.request(2)[0],
        event(said, step=2),
    )
    assert (summary.input_tokens, summary.output_tokens, summary.cached_tokens, summary.cost) == (200, 40, 60, 1.0)
    assert (summary.step, summary.actions, summary.errors, summary.malformed) == (2, 1, 1, 1)


def test_waiting_advice_jobs_and_questions_come_and_go() -> None:
    body = [
        ev.AdviceQueued(advice=1, text="wait"),
        ev.AdviceQueued(advice=2, text="stop"),
        ev.AdviceEdited(advice=2, text="stop it", now=True),
        ev.JobStarted(job=1, command="sleep", pid=1, start_time="", boot_id="", folder=""),
        ev.QuestionAsked(question=1, text="", until=9),
    ]
    open_ = summary_of(make.session_created(), *map(event, body))
    assert [(a.advice, a.text, a.now) for a in open_.open_advice] == [(1, "wait", False), (2, "stop it", True)]
    assert [job.job for job in open_.open_jobs] == [1]
    assert open_.open_question
    done: list[ev.Body] = [
        *body,
        ev.AdviceWithdrawn(advice=1),
        ev.AdviceDelivered(advice=(2,), at_step=1, text="stop it"),
        ev.JobEnded(job=1, exit_code=0),
        ev.QuestionAnswered(question=1, text="yes"),
    ]
    closed = summary_of(make.session_created(), *map(event, done))
    assert (closed.open_advice, closed.open_jobs, closed.open_question) == ((), (), "")
    assert closed.advice_delivered == 1


def test_advice_that_is_said_again_is_delivered_once_and_what_was_not_delivered_is_taken_off() -> None:
    told = ev.AdviceDelivered(advice=(1, 2), at_step=2, text="t")
    body: list[ev.Body] = [ev.AdviceQueued(advice=1, text="a"), ev.AdviceQueued(advice=2, text="b"), told]

    def counts(*more: ev.Body) -> tuple[int, list[int]]:
        summary = summary_of(make.session_created(), *map(event, [*body, *more]))
        return summary.advice_delivered, [waiting.advice for waiting in summary.open_advice]

    standing = ev.AdviceRequeued(advice=1, text="a", why="standing")
    lost = ev.AdviceRequeued(advice=2, text="b", why="not_delivered")
    assert counts() == (2, [])
    assert counts(standing) == (2, [1])
    assert counts(standing, ev.AdviceWithdrawn(advice=1)) == (2, [])
    assert counts(standing, lost) == (1, [1, 2])
    assert counts(standing, lost, told) == (2, [])


def test_standing_advice_that_is_done_waits_no_more_and_other_advice_does() -> None:
    body: list[ev.Body] = [
        ev.AdviceQueued(advice=1, text="a"),
        ev.AdviceDelivered(advice=(1,), at_step=2, text="t"),
        ev.AdviceRequeued(advice=1, text="a", why="standing"),
        ev.AdviceQueued(advice=2, text="b"),
        *(ev.AdviceStanding(advice=number, standing=False) for number in (1, 2)),
    ]
    summary = summary_of(make.session_created(), *map(event, body))
    assert [waiting.advice for waiting in summary.open_advice] == [2]
    lost = ev.AdviceRequeued(advice=1, text="a", why="not_delivered")
    summary = summary_of(make.session_created(), *map(event, [*body[:2], lost, *body[3:]]))
    assert [waiting.advice for waiting in summary.open_advice] == [1, 2], "what was never delivered waits"


def test_reading_does_not_make_a_session_younger() -> None:
    summary = summary_of(make.session_created(), event(ev.CursorMoved(read_seq=1)), event(ev.EffortSpent(active_ms=5)))
    assert summary.last_at == summary.created_at
    assert summary.last_seq == 3


def test_a_summary_does_not_grow_with_its_session() -> None:
    steps = [make.action_started(1, 1, "run"), make.result(1, 1), event(ev.EvalScored(score=0.5, used=1), step=1)]
    short = summary_of(make.session_created(), make.state("running"), *steps * 100)
    long = summary_of(make.session_created(), make.state("running"), *steps * 1000)
    assert len(msgspec.json.encode(long)) < len(msgspec.json.encode(short)) + 50


KINDS = sorted(set(ev.KINDS) - {"session.created", "host.started", "host.stopped"})
ANY_BODY = st.sampled_from(KINDS).flatmap(lambda kind: event_bodies.bodies(ev.KINDS[kind]))
WRITE_SET = st.lists(st.tuples(st.sampled_from([S, make.OTHER]), ANY_BODY, st.integers(1, 9)), max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(WRITE_SET, max_size=6))
def test_whatever_was_written_stored_live_and_rebuilt_summaries_are_equal(
    write_sets: list[list[tuple[str, ev.Body, int]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        live = asyncio.run(_write(path, write_sets))
        with LogReader(path) as reader:
            assert {summary.session: summary for summary in reader.summaries()} == live
            assert fold_summaries(reader.stream()) == live
            stored = list(reader.stream())
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM sessions")
            connection.commit()
        assert dict(read_heads(path).summaries) == live
        assert [event.seq for event in stored if event.session == S] == list(range(1, live[S].last_seq + 1))
        with LogReader(path) as reader:
            assert list(reader.stream()) == stored


async def _write(path: Path, write_sets: list[list[tuple[str, ev.Body, int]]]) -> dict[str, Summary]:
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created(S, 1), make.session_created(make.OTHER, 2))
        for write_set in write_sets:
            new = [ev.NewEvent(session, body, step=step) for session, body, step in write_set]
            with contextlib.suppress(IllegalTransition, BadEvent):
                await writer.append(*new)
        return writer.summaries()


def test_a_request_that_fails_is_kept_with_its_first_failure_until_a_reply_comes_or_the_session_rests() -> None:
    def failed(attempt: int, reason: str, retry_ms: int | None = 500) -> ev.NewEvent:
        return event(ev.ModelAttemptFailed(request=3, attempt=attempt, reason=reason, retry_ms=retry_ms))  # type: ignore[arg-type]

    said = event(ev.ModelReplied(request=3, parts=(), finish="stop"), step=1)
    until = [
        make.session_created(),
        make.state("running"),
        make.request(1)[0],
        failed(1, "rate_limit"),
        failed(2, "connection"),
    ]
    tried = summary_of(*until).no_reply
    assert tried
    first, second = make.number_events(*until)[-2:]
    assert (tried.reason, tried.attempt, tried.seq, tried.since) == ("connection", 2, first.seq, first.at)
    assert tried.next_at == second.at + 500
    assert tried.words == "retrying: connection, attempt 3"
    assert summary_of(*until, said).no_reply is None
    assert summary_of(*until, failed(3, "connection", None), make.state("needs_you")).no_reply is None
    assert summary_of(*until, make.request(1)[0]).no_reply is None


def test_a_cost_that_nobody_knows_is_not_nothing() -> None:
    free = event(ev.ModelReplied(request=3, parts=(), finish="stop"), step=1)
    paid = event(ev.ModelReplied(request=3, parts=(), finish="stop", cost=0.5), step=2)
    start = [make.session_created(), make.state("running"), make.request(1)[0]]
    costs = [summary_of(*start, *replies) for replies in ((), (free,), (free, paid), (paid,))]
    assert [say_cost(s.cost, s.unpriced) for s in costs] == ["$0.00", "–", "$0.50+", "$0.50"]
    assert [known_cost(s.cost, s.unpriced) for s in costs] == [0, None, 0.5, 0.5]


def test_a_command_that_runs_on_in_the_background_is_no_error() -> None:
    left = ev.ActionResult(
        call_id="c", outcome="timeout", output=ev.LongText(""), data={"job": 1, "background": "timeout"}
    )
    late = msgspec.structs.replace(left, data={})
    start = [make.session_created(), make.state("running"), make.request(1)[0], make.action_started(1, 1, "run")]
    assert summary_of(*start, event(left, step=1, call=1)).errors == 0
    assert summary_of(*start, event(late, step=1, call=1)).errors == 1
    assert (result_status(left), result_status(late)) == ("background", "timeout")
