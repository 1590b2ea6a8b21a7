from __future__ import annotations

from typing import Any

import pytest

from sessions import events as ev
from sessions.fold.preferences import Preference, can_compare, standing_preferences
from sessions.fold.summary import Summary


def word(seq: int, by: str, verdict: Any, other: str = "b", session: str = "a", note: str = "") -> ev.Event:
    body = ev.PreferenceStated(other=other, verdict=verdict, note=note)
    return ev.Event(seq, session, seq, None, None, body.kind, 1, seq, by, None, body)


def test_the_newest_word_of_each_person_on_each_two_sessions_stands() -> None:
    told = [
        word(1, "human:ada", "better", note="it waited"),
        word(2, "human:ben", "worse"),
        word(3, "human:ada", "better", other="c"),
        word(4, "human:ada", "equal"),
    ]
    assert standing_preferences(told) == [
        Preference("b", "a", "human:ben", at=2),
        Preference("a", "c", "human:ada", at=3),
        Preference("a", "b", "human:ada", equal=True, at=4),
    ]


def test_a_word_that_is_taken_back_stands_no_more() -> None:
    assert standing_preferences([word(1, "human:ada", "better"), word(2, "human:ada", None)]) == []


def summary(session: str, **more: Any) -> Summary:
    return Summary(session=session, number=1, title="t", model="m", **more)


@pytest.mark.parametrize(
    ("one", "other", "can"),
    [
        (summary("a", task_id="x"), summary("b", task_id="x"), True),
        (summary("a", task_id="x"), summary("b", task_id="y"), False),
        (summary("a"), summary("b"), False),
        (summary("a", task_id="x"), summary("a", task_id="x"), False),
        (summary("a"), summary("b", begins=ev.Beginning("a", 7, "branch")), True),
        (summary("b", begins=ev.Beginning("a", 7, "branch")), summary("a"), True),
        (summary("a"), summary("b", begins=ev.Beginning("a", 7, "child")), False),
    ],
)
def test_two_sessions_of_one_task_or_a_branch_and_what_it_left_can_be_compared(
    one: Summary, other: Summary, can: bool
) -> None:
    assert can_compare(one, other) is can
