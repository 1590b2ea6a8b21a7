from __future__ import annotations

import log_events as make

from sessions import events as ev
from sessions.events import Target
from sessions.fold.review import Item, ReviewBook, SignalCause
from sessions.fold.review_worth import add_evidence, worth_of

S = make.SESSION
ADA, BEN = "human:ada", "human:ben"


def said(body: ev.Body, actor: str = ADA) -> ev.NewEvent:
    return ev.NewEvent(S, body, actor=actor)


def flag(id: str, target: Target, actor: str = ADA, **more: object) -> ev.NewEvent:
    return said(ev.FlagSet(flag=id, target=target, **more), actor)  # type: ignore[arg-type]


def step(number: int, tool: str = "run", outcome: ev.Outcome = "ok") -> list[ev.NewEvent]:
    return [
        make.reply(number, 1, (tool, "{}")),
        make.action_started(number, 1, tool),
        make.result(number, 1, outcome=outcome),
    ]


def items(*events: ev.NewEvent, actor: str = ADA, causes: tuple[SignalCause, ...] = ()) -> list[Item]:
    return ReviewBook(S, make.number_events(make.session_created(), *events)).items(actor, causes)


def told(found: list[Item]) -> list[tuple[str, str]]:
    return [(item.why, str(item.target)) for item in found]


def test_what_nobody_has_read_is_in_the_queue_and_leaves_it_when_anybody_reads_or_judges_it() -> None:
    events = [*step(1), *step(2), *step(3)]
    assert told(items(*events)) == [("unseen", "1"), ("unseen", "2"), ("unseen", "3")]
    assert told(items(*events, said(ev.CursorMoved.up_to(4), BEN))) == [("unseen", "2"), ("unseen", "3")]
    newest = said(ev.CursorMoved(read_seq=9, read=(ev.SeqRange(9, 9),)), BEN)
    assert told(items(*events, newest)) == [("unseen", "1"), ("unseen", "2")], "the call of step 3 was read, no more"
    assert told(items(*events, flag("a", Target(2), verdict="good"))) == [("unseen", "1"), ("unseen", "3")]
    assert told(items(*events, said(ev.SignedOff(verdict=None, up_to_step=2)))) == [("unseen", "3")]
    assert items(*events, said(ev.SignedOff(verdict="discard"))) == []


def test_errors_and_malformed_calls_stay_until_a_person_judges_them_even_when_they_were_read() -> None:
    refused = [make.reply(2, 1, ("nope", "{")), make.action_refused(2, 1, "nope")]
    events = [*step(1, outcome="error"), *refused, *step(3), said(ev.CursorMoved.up_to(100))]
    assert told(items(*events)) == [("malformed", "2.1"), ("error", "1.1")]
    assert told(items(*events, flag("a", Target(1), verdict="unsure"))) == [("malformed", "2.1")]
    assert told(items(*events, flag("r", Target(1), actor="rule:x"))) == [("proposed", "1"), ("malformed", "2.1"),
                                                                         ("error", "1.1")]  # fmt: skip


def test_an_error_of_the_environment_is_no_suspicion() -> None:
    broken = make.result(1, 1, outcome="error")
    body = ev.ActionResult(call_id="c1.1", outcome="error", output=ev.LongText("x"), environment=True)
    events = [make.reply(1, 1, ("run", "{}")), make.action_started(1, 1, "run"),
              ev.NewEvent(S, body, step=1, call=1)]  # fmt: skip
    read = said(ev.CursorMoved.up_to(100))
    assert items(*events, read) == []
    assert told(items(*events[:2], broken, read)) == [("error", "1.1")]


def test_annotators_who_disagree_are_a_dispute_until_one_has_had_the_last_word() -> None:
    call = Target(1, "call", 1)
    events = [*step(1), flag("a", call, ADA), flag("b", call, BEN, verdict="good")]
    (item,) = items(*events, actor="human:cid")
    assert item.why == "disputed" and item.reason == "annotators disagree: ada bad, ben good"
    assert told(items(*events, actor=ADA)) == [("disputed", "1.1")]
    assert items(*events, actor=BEN) == []
    assert items(*events, flag("c", call, "human:cid", verdict="good"), actor="human:cid") == []
    assert items(*events, said(ev.FlagRemoved(flag="b"), BEN), actor=ADA) == []


def test_what_another_annotator_is_unsure_of_is_there_to_be_decided() -> None:
    call = Target(1, "call", 1)
    events = [*step(1), flag("a", call, ADA, verdict="unsure")]
    (item,) = items(*events, actor=BEN)
    assert item.why == "disputed" and item.reason == "nobody is sure: ada unsure"
    assert items(*events, actor=ADA) == items(*events, flag("b", call, BEN, verdict="bad"), actor=BEN) == []


def test_a_proposal_leaves_when_a_person_agrees_or_not() -> None:
    events = [*step(1), flag("j", Target(1, "call", 1), "judge:m", label="x/impatience", note="too early"),
              said(ev.CursorMoved.up_to(100))]  # fmt: skip
    (item,) = items(*events)
    assert (item.why, item.reason) == ("proposed", "judge m says x/impatience: too early")
    assert items(*events, flag("a", Target(1, "call", 1), verdict="good")) == []


def test_a_signal_points_at_the_entry_that_caused_it_and_one_target_is_one_item() -> None:
    events = [*step(1), *step(2, outcome="error"), said(ev.CursorMoved.up_to(100))]
    (item,) = items(*events, causes=(SignalCause(7, 2, "killed a healthy job"), SignalCause(7, 2, "again")))
    assert (item.why, str(item.target), item.reason) == ("signal", "2.1", "killed a healthy job")


def test_steps_that_only_wait_are_one_item_and_other_steps_end_the_run() -> None:
    events = [*step(1), *step(2, "job_output"), *step(3, "wait"), *step(4, "job_output"), *step(5), *step(6, "wait")]
    assert told(items(*events)) == [("unseen", "1"), ("unseen", "2-4"), ("unseen", "5"), ("unseen", "6")]


def test_a_reply_without_a_call_is_never_folded_away_as_waiting() -> None:
    events = [make.reply(number, 1, text="I think.") for number in range(1, 5)]
    assert told(items(*events)) == [("unseen", str(number)) for number in range(1, 5)]


def failing(number: int, output: str = "error 1") -> list[ev.NewEvent]:
    return [make.reply(number, 1, ("run", "{}")), make.action_started(number, 1, "run"),
            make.result(number, 1, output, "error")]  # fmt: skip


def test_the_same_failure_over_and_over_is_one_item_and_so_is_a_signal_within_it() -> None:
    events = [*failing(1), *failing(2, "error 2"), *failing(3, "error 3"), *failing(4, "no such file")]
    read = said(ev.CursorMoved.up_to(100))
    assert told(items(*events, read)) == [("error", "1-3"), ("error", "4.1")]
    (loop, _) = items(*events, read, causes=(SignalCause(9, 3, "3 times the same error", "repeated_error:9"),))
    assert (loop.why, str(loop.target), loop.source) == ("signal", "1-3", "repeated_error")
    assert told(items(*events, read, flag("a", Target(1, "span", to_step=3)))) == [("error", "4.1")]
    assert told(items(*events, read, flag("a", Target(2, "call", 1)))) == [
        ("error", "1.1"), ("error", "3.1"), ("error", "4.1")]  # fmt: skip


def test_what_people_said_is_the_evidence_for_a_rule_a_judge_and_an_error() -> None:
    events = [*step(1), *failing(2), *failing(3, "other"), flag("j", Target(1, "call", 1), "judge:m"),
              flag("k", Target(2, "call", 1), "judge:m"), flag("a", Target(1, "call", 1), verdict="good"),
              flag("b", Target(2), verdict="bad")]  # fmt: skip
    words = [("killed_healthy_job:7", "done"), ("polling_streak:9", "false_alarm"), ("polling_streak:3", "snoozed"),
             ("polling_streak:4", "done"), ("polling_streak:4", "reopened")]  # fmt: skip
    judged = [said(ev.SignalJudged(signal=signal, verdict=word)) for signal, word in words]  # type: ignore[arg-type]
    book = ReviewBook(S, make.number_events(make.session_created(), *events, *judged))
    assert book.find_evidence() == {
        ("signal", "killed_healthy_job"): (1, 0),
        ("signal", "polling_streak"): (0, 1),
        ("proposed", "judge:m"): (1, 1),
        ("error", ""): (1, 0),
    }


def test_a_rule_that_was_mostly_wrong_comes_after_what_is_worth_more_and_one_word_does_not_silence_it() -> None:
    assert worth_of("signal", "x", {}) > worth_of("proposed", "judge:m", {}) > worth_of("error", "", {})
    once, often = {("signal", "x"): (0, 1)}, {("signal", "x"): (0, 20)}
    assert worth_of("malformed", "", {}) < worth_of("signal", "x", once) < worth_of("signal", "x", {})  # type: ignore[arg-type]
    assert worth_of("signal", "x", often) < worth_of("error", "", {})  # type: ignore[arg-type]
    whole = add_evidence([{("signal", "x"): (1, 0)}, {("signal", "x"): (2, 5)}])
    assert whole == {("signal", "x"): (3, 5)}
