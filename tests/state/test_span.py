from __future__ import annotations

from apollo_tui.state.judged_place import Place, seq_of_step
from apollo_tui.state.span import OpenSpan, span_of_loop, words
from sessions.events import Target
from sessions.fold.repeats import Loop


def test_a_span_goes_from_where_it_was_begun_to_what_is_selected_forwards_and_backwards() -> None:
    span = OpenSpan("s", 5, 6)
    assert span.steps(9, 12) == (5, 12) and span.steps(2, 2) == (2, 6)


def test_digits_say_how_many_steps_it_has() -> None:
    span = OpenSpan("s", 5, 5)
    assert span.counted(8).end == 12 and span.counted(1).counted(2).end == 16


def test_a_loop_is_as_long_as_it_is_and_means_nothing_elsewhere() -> None:
    loop = span_of_loop("s", Loop(Target(3, "call", 1), 62), ended=False)
    assert loop.going_on and loop.steps(30, 30) == (3, 62) and loop.steps(63, 63) is None
    assert not span_of_loop("s", Loop(Target(3, "call", 1), 62), ended=True).going_on
    assert not span_of_loop("s", Loop(Target(3, "call", 1), 62, 63), ended=False).going_on


def test_a_step_leads_to_its_first_call_else_its_reply_else_to_the_last_one_before_it() -> None:
    places = [Place(1, 1, None, True, False), Place(2, 1, 1, True, False), Place(3, 1, 2, True, False),
              Place(4, 2, None, True, False), Place(5, 4, None, False, True)]  # fmt: skip
    assert [seq_of_step(places, step) for step in (1, 2, 3, 9)] == [2, 4, 4, 4]
    assert seq_of_step(places, 0) is None


def test_a_call_and_the_whole_reply_differ_by_more_than_their_number() -> None:
    assert words(Target(4, "call", 1)) == "the call 4.1" and words(Target(4)) == "the whole reply of step 4"
    assert words(Target(4, "span", to_step=9)) == "steps 4 to 9" and words(Target(1, "summary")) == "the summary S1"
