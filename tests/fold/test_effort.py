from __future__ import annotations

import log_events as make

from sessions import events as ev
from sessions.fold.effort import effort_of, sum_effort
from sessions.fold.notes import SessionNotes

S = make.SESSION


def said(body: ev.Body, actor: str = "human:ada") -> ev.NewEvent:
    return ev.NewEvent(S, body, actor=actor)


def test_effort_is_summed_per_person_and_what_was_taken_back_does_not_count() -> None:
    events = make.number_events(
        make.session_created(),
        said(ev.EffortSpent(active_ms=60_000, keys=30)),
        said(ev.EffortSpent(active_ms=30_000, keys=5)),
        said(ev.EffortSpent(active_ms=1_000, keys=1), "human:ben"),
        said(ev.FlagSet(flag="a", target=ev.Target(1), label="x/impatience")),
        said(ev.FlagSet(flag="b", target=ev.Target(2), verdict="good")),
        said(ev.FlagSet(flag="c", target=ev.Target(3))),
        said(ev.FlagRemoved(flag="c"), "human:ben"),
        said(ev.FlagSet(flag="d", target=ev.Target(3)), "rule:x"),
        said(ev.AdviceQueued(advice=1, text="wait")),
        said(ev.AdviceQueued(advice=2, text="no")),
        said(ev.AdviceWithdrawn(advice=2)),
        said(ev.SignedOff(verdict="good"), "human:ben"),
    )
    spent = effort_of(events)
    assert set(spent) == {"human:ada", "human:ben"}
    ada = spent["human:ada"]
    assert (ada.active_ms, ada.keys, ada.advice, ada.flags) == (90_000, 35, 1, 2)
    assert dict(ada.labels) == {"x/impatience": 1, "good": 1}
    assert ada.minutes_per_flag == 0.75
    whole = sum_effort(spent.values())
    assert (whole.active_ms, whole.flags, whole.sign_offs) == (91_000, 2, 1)


def test_remarks_are_what_stands_and_each_annotator_has_their_own() -> None:
    events = make.number_events(
        make.session_created(),
        said(ev.NoteWritten(text="first")),
        said(ev.NoteWritten(text="second")),
        said(ev.NoteWritten(text="mine"), "human:ben"),
        said(ev.NoteWritten(text=""), "human:ben"),
        said(ev.BookmarkSet(target=ev.Target(9))),
        said(ev.BookmarkSet(target=ev.Target(2, "call", 1), note="here")),
        said(ev.BookmarkSet(target=ev.Target(9), removed=True)),
        said(ev.SignedOff(verdict="good")),
        said(ev.SignedOff(verdict=None, up_to_step=4), "human:ben"),
        said(ev.SignedOff(verdict=None)),
        said(ev.RecoveryMarked(at_step=5)),
        said(ev.RecoveryMarked(at_step=6)),
        said(ev.RecoveryMarked(at_step=5, removed=True)),
    )
    remarks = SessionNotes(events)
    assert remarks.notes == {"human:ada": "second"}
    assert [(str(mark.target), mark.note) for mark in remarks.bookmarks] == [("2.1", "here")]
    assert remarks.sign_off_lines() == ["judged up to step 4 by ben"]
    assert remarks.recoveries == {6: "human:ada"}
