from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import log_events as make

from sessions import events as ev
from sessions.fold.trajectory import StepRecord, Trajectory, steps

S = make.SESSION


def event(body: ev.Body, **more: object) -> ev.NewEvent:
    return ev.NewEvent(S, body, **more)  # type: ignore[arg-type]


def trajectory(*events: ev.NewEvent) -> list[StepRecord]:
    return list(steps(make.number_events(make.session_created(), make.state("running"), *events)))


def test_a_step_is_its_request_its_reply_and_what_became_of_each_call() -> None:
    job = ev.JobStarted(job=7, command="x", pid=1, start_time="", boot_id="", folder="")
    (one,) = trajectory(
        make.request(1)[0],
        make.reply(1, 3, ("run", '{"a":1}'), ("nosuch", "{"), ("wait", "{}"), text="let us", reasoning="hm"),
        make.action_refused(1, 2, "nosuch", "unknown_tool"),
        make.action_started(1, 1, "run"),
        event(job, step=1, call=1),
        make.result(1, 1, "out", "error"),
        make.action_started(1, 3, "wait"),
    )
    assert (one.step, one.text, one.reasoning) == (1, "let us", "hm")
    assert one.request is not None
    assert one.request.seq == 3
    assert [(c.number, c.name, c.fate, c.jobs) for c in one.calls] == [
        (1, "run", "error", (7,)),
        (2, "nosuch", "refused", ()),
        (3, "wait", "running", ()),
    ]
    assert one.calls[0].part is not None
    assert one.calls[0].part.arguments == '{"a":1}'
    assert one.calls[0].result is not None
    assert one.calls[0].result.output.text == "out"
    assert [c.malformed for c in one.calls] == [False, True, False]
    assert [e.kind for e in one.side_events] == ["job.started"]
    assert one.seqs == (3, 9)


def test_a_call_that_has_not_begun_waits() -> None:
    (one,) = trajectory(make.request(1)[0], make.reply(1, 3, ("run", "{}")))
    assert [c.fate for c in one.calls] == ["waiting"]


def test_advice_belongs_to_the_step_whose_prompt_first_held_it() -> None:
    advice = event(ev.AdviceDelivered(advice=(1,), at_step=2, text="wait"))
    one, two, three = trajectory(
        make.request(1)[0], make.reply(1, 3), advice, make.request(2)[0], make.reply(2, 6), make.request(3)[0]
    )
    assert [e.kind for e in two.advice] == ["advice.delivered"]
    assert one.advice == three.advice == ()


def test_advice_for_a_request_that_is_made_again_belongs_to_the_same_step() -> None:
    (one,) = trajectory(
        make.request(1)[0],
        event(ev.ReplyInterrupted(request=3, why="advice"), step=1),
        event(ev.AdviceDelivered(advice=(1,), at_step=1, text="stop")),
        make.request(1)[0],
        make.reply(1, 6),
    )
    assert len(one.interrupted) == len(one.advice) == 1
    assert [e.seq for e in one.requests] == [3, 6]
    assert one.request is not None
    assert one.request.seq == 6


def test_the_host_s_nudge_and_failed_attempts_belong_to_the_step_they_follow() -> None:
    failed = ev.ModelAttemptFailed(request=3, attempt=1, reason="rate_limit", retry_ms=5)
    one, two = trajectory(
        make.request(1)[0], event(failed, step=1), make.reply(1, 3), event(ev.NudgeSent(text="go on")),
        make.request(2)[0],
    )  # fmt: skip
    assert len(one.attempts_failed) == 1
    assert one.nudge is not None
    assert two.nudge is None


def test_a_request_for_a_summary_is_no_step() -> None:
    summary = ev.SummaryWritten(number=1, from_step=1, to_step=1, text=ev.LongText("was"), request=5)
    one, two = trajectory(
        make.request(1)[0],
        make.reply(1, 3),
        make.request(None, purpose="summary")[0],
        event(ev.ModelAttemptFailed(request=5, attempt=1, reason="server"), step=2),
        event(ev.ModelReplied(request=5, parts=(), finish="stop"), step=2),
        event(summary),
        make.request(2)[0],
        make.reply(2, 9),
    )
    assert (one.summaries, one.attempts_failed) == ((), ())
    assert [e.seq for e in two.summaries] == [8]
    assert two.reply is not None
    assert two.reply.seq == 10
    assert two.attempts_failed == ()


def test_imported_sessions_have_steps_without_requests() -> None:
    one, two = trajectory(make.reply(1, 0, ("run", "{}")), make.result(1, 1), make.reply(2, 0))
    assert one.request is None
    assert [c.fate for c in one.calls] == ["ok"]
    assert two.step == 2


def test_news_of_an_old_job_is_told_where_it_came_in() -> None:
    _, two = trajectory(
        make.request(1)[0], make.reply(1, 3), make.request(2)[0], event(ev.JobEnded(job=1), step=1)
    )  # fmt: skip
    assert [e.kind for e in two.side_events] == ["job.ended"]


def test_the_incremental_fold_and_the_stream_say_the_same() -> None:
    events = make.number_events(
        make.session_created(),
        *(e for n in range(1, 6) for e in (make.request(n)[0], make.reply(n, 0, ("run", "{}")), make.result(n, 1))),
    )
    fold = Trajectory()
    ended = [record for e in events if (record := fold.fold(e)) is not None]
    assert fold.current is not None
    assert [*ended, fold.current] == list(steps(events))
    assert [record.step for record in ended] == [1, 2, 3, 4]


def test_a_stream_of_steps_keeps_no_step_that_it_has_handed_out() -> None:
    alive: list[weakref.ref[ev.NewEvent]] = []

    class Tracked(ev.Event, frozen=True, weakref=True):
        pass

    def events() -> Iterator[ev.Event]:
        for made in make.number_events(
            make.session_created(), *(make.reply(n, 0, ("run", "{}")) for n in range(1, 200))
        ):
            tracked = Tracked(**{name: getattr(made, name) for name in made.__struct_fields__})
            alive.append(weakref.ref(tracked))  # type: ignore[arg-type]
            yield tracked

    most = 0
    for number, _ in enumerate(steps(events())):
        if number % 50 == 49:
            gc.collect()
            most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 4
