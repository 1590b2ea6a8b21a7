from __future__ import annotations

import log_events as make

from sessions import events as ev
from sessions.fold.advice import AdviceBook, FirstAction

S = make.SESSION


def event(body: ev.Body, actor: str = "human:ada") -> ev.NewEvent:
    return ev.NewEvent(S, body, actor=actor)


def book(*events: ev.NewEvent) -> AdviceBook:
    return AdviceBook(make.number_events(make.session_created(), *events))


QUEUED = event(ev.AdviceQueued(advice=1, text="wait for it", advice_kind="strategy", drafted_at=5, not_before=40))
DELIVERED = event(ev.AdviceDelivered(advice=(1,), at_step=3, text="wait for it", woke=True), "host")


def test_queued_advice_waits_and_keeps_who_said_it_and_when() -> None:
    (record,) = book(QUEUED).waiting
    assert (record.number, record.text, record.kind, record.by) == (1, "wait for it", "strategy", "human:ada")
    assert (record.drafted_at, record.queued_at, record.stage) == (5, 1_020, "queued")


def test_edited_and_withdrawn_advice_says_so() -> None:
    advice = book(QUEUED, event(ev.AdviceEdited(advice=1, text="do wait", now=True)))
    (record,) = advice.waiting
    assert (record.text, record.now, record.edits) == ("do wait", True, 1)
    advice.fold(make.number_events(event(ev.AdviceWithdrawn(advice=1, to_draft=True)))[0])
    (record,) = advice.all
    assert (record.stage, record.to_draft) == ("withdrawn", True)
    assert advice.waiting == advice.delivered == []


def test_who_takes_back_what_was_to_be_said_again_does_not_take_back_what_was_delivered() -> None:
    again = event(ev.AdviceRequeued(advice=1, text="wait for it", why="standing"), "host")
    lost = event(ev.AdviceRequeued(advice=1, text="wait for it", why="not_delivered"), "host")
    back = event(ev.AdviceWithdrawn(advice=1))
    (record,) = book(QUEUED, DELIVERED, again, back).delivered
    assert (record.stage, record.withdrawn_at is not None) == ("delivered", True)
    (record,) = book(QUEUED, DELIVERED, lost, back).all
    assert record.stage == "withdrawn"
    (record,) = book(QUEUED, DELIVERED, again, back, event(ev.AdviceStanding(advice=1, standing=True))).delivered
    assert record.withdrawn_at is None, "a person wants it after all"


def test_delivery_the_first_reply_and_the_first_action_after_it() -> None:
    advice = book(
        QUEUED,
        make.action_started(2, 1, "run"),
        DELIVERED,
        make.action_started(2, 2, "late"),
        make.reply(3, 0),
        make.action_refused(4, 1, "wait"),
        make.action_started(4, 2, "run"),
    )
    (record,) = advice.delivered
    assert (record.at_step, record.woke, record.first_reply) == (3, True, 3)
    assert record.first_action == FirstAction(4, 1, "wait", 7)
    assert record.stage == "delivered"


def test_the_outcome_ends_the_life_of_advice() -> None:
    advice = book(QUEUED, DELIVERED, event(ev.AdviceOutcome(advice=1, outcome="ignored", note="n"), "human:bob"))
    (record,) = advice.all
    assert (record.stage, record.outcome, record.outcome_by) == ("judged", "ignored", "human:bob")


def test_events_about_advice_that_is_not_there_change_nothing() -> None:
    bodies: list[ev.Body] = [
        ev.AdviceEdited(advice=9, text="x"),
        ev.AdviceWithdrawn(advice=9),
        ev.AdviceDelivered(advice=(9,), at_step=1, text="x"),
        ev.AdviceOutcome(advice=9, outcome="followed"),
    ]
    assert book(*map(event, bodies), make.action_started(1, 1, "run")).all == []


def test_of_several_words_the_newest_stands_until_it_is_taken_back() -> None:
    ada = event(ev.AdviceOutcome(advice=1, outcome="followed"), "human:ada")
    bob = event(ev.AdviceOutcome(advice=1, outcome="ignored"), "human:bob")
    back = event(ev.AdviceOutcome(advice=1, outcome=None), "human:bob")
    none = event(ev.AdviceOutcome(advice=1, outcome=None), "human:ada")

    def stands(*said: ev.NewEvent) -> tuple[str | None, str]:
        record = book(QUEUED, DELIVERED, *said).get(1)
        assert record is not None
        return record.outcome, record.outcome_by

    assert stands(ada, bob) == ("ignored", "human:bob")
    assert stands(ada, bob, back) == ("followed", "human:ada")
    assert stands(ada, bob, back, none) == (None, "")
