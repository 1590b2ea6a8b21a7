from __future__ import annotations

from itertools import count

from apollo_tui.acts.undo import act_status, act_to_redo, act_to_undo, list_acts
from sessions import events as ev
from sessions.fold.summary import Summary

ME = "human:ada"
ids = count(1)


def event(body: ev.Body, *, session: str = "s") -> ev.Event:
    number = next(ids)
    return ev.Event(number, session, number, None, None, body.kind, 1, number, ME, f"any-{number}-id", body)


def flag(name: str, step: int = 1) -> ev.Event:
    return event(ev.FlagSet(flag=name, target=ev.Target(step, "call", 1)))


def test_the_last_flag_is_undone_first_and_then_the_one_before() -> None:
    first, second = flag("a"), flag("b")
    act = act_to_undo([first, second], {})
    assert act and act.flag == "b"
    undo = event(ev.FlagRemoved(flag="b", undoes=second.seq))
    act = act_to_undo([first, second, undo], {})
    assert act and act.flag == "a"
    undo2 = event(ev.FlagRemoved(flag="a", undoes=first.seq))
    assert act_to_undo([first, second, undo, undo2], {}) is None


def test_a_flag_taken_back_on_purpose_comes_back_and_then_the_flag_itself_can_be_undone() -> None:
    set_a = flag("a")
    removed = event(ev.FlagRemoved(flag="a"))
    act = act_to_undo([set_a, removed], {})
    assert act and act.event is removed
    restored = event(ev.FlagSet(flag="a2", target=ev.Target(1, "call", 1), undoes=removed.seq))
    act = act_to_undo([set_a, removed, restored], {})
    assert act and act.event is set_a and act.flag == "a2"


def test_delivered_advice_cannot_be_undone_and_what_lies_before_it_has_to_be_shown_first() -> None:
    set_a = flag("a")
    advice = event(ev.AdviceQueued(advice=3, text="wait"), session="t")
    open_act = act_to_undo([set_a, advice], {"t": {3}})
    assert open_act and open_act.event is advice and not open_act.passed
    late = act_to_undo([set_a, advice], {"t": set()})
    assert late and late.event is set_a and late.passed


def test_an_undo_is_done_again_whatever_the_ids_of_the_requests_are() -> None:
    note = event(ev.NoteWritten(text="leaks?"))
    assert act_to_redo([note]) is None
    undo = event(ev.NoteWritten(text="", undoes=note.seq))
    act = act_to_redo([note, undo])
    assert act and act.event is note and act.undo == undo.seq
    redo = event(ev.NoteWritten(text="leaks?", undoes=undo.seq))
    assert act_to_redo([note, undo, redo]) is None
    act = act_to_undo([note, undo, redo], {})
    assert act and act.event is note
    again = event(ev.NoteWritten(text="", undoes=note.seq))
    act = act_to_redo([note, undo, redo, again])
    assert act and act.event is note and act.undo == again.seq


def test_what_was_done_to_several_sessions_at_once_is_one_act() -> None:
    alone = event(ev.SignedOff(verdict="good"), session="s")
    both = [event(ev.SignedOff(verdict="partial", bulk="B"), session=session) for session in ("s", "t")]
    act = act_to_undo([alone, *both], {})
    assert act and act.sessions == ("s", "t") and [part.event for part in act.parts] == both
    back = [event(ev.SignedOff(undoes=one.seq), session=one.session) for one in both]
    half = act_to_undo([alone, *both, back[0]], {})
    assert half and [part.undone for part in half.parts] == [True, False]
    act = act_to_undo([alone, *both, *back], {})
    assert act and act.event is alone
    again = act_to_redo([alone, *both, *back])
    assert again and again.sessions == ("s", "t") and [part.undo for part in again.parts] == [one.seq for one in back]


def test_a_pause_of_several_is_undone_where_it_still_holds_and_a_single_one_never() -> None:
    asked = [event(ev.ControlRequested(verb="pause", bulk="B"), session=session) for session in ("s", "t")]
    single = event(ev.ControlRequested(verb="pause"), session="s")
    how = {
        "s": Summary(session="s", number=1, title="a", model="m", state="paused"),
        "t": Summary(session="t", number=2, title="b", model="m", state="finished"),
    }
    act = act_to_undo([*asked, single], {}, how)
    assert act and act.sessions == ("s", "t") and [part.stuck for part in act.parts] == [False, True]
    how["s"] = Summary(session="s", number=1, title="a", model="m", state="running")
    assert act_to_undo([*asked, single], {}, how) is None
    assert act_status(list_acts(asked, {}, how)[0]) == "gone"


def test_a_tag_or_a_name_that_somebody_changed_since_is_nothing_to_take_back() -> None:
    tagged = event(ev.SessionTagged(added=("keep",)))
    named = event(ev.SessionRenamed(title="tune"))
    how = {"s": Summary(session="s", number=1, title="tune", model="m", tags=("keep",))}
    act = act_to_undo([tagged, named], {}, how)
    assert act and act.event is named
    how = {"s": Summary(session="s", number=1, title="other", model="m", tags=("keep",))}
    act = act_to_undo([tagged, named], {}, how)
    assert act and act.event is tagged
    how = {"s": Summary(session="s", number=1, title="other", model="m")}
    assert act_to_undo([tagged, named], {}, how) is None
