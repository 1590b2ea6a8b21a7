from __future__ import annotations

from typing import Any

import msgspec

from apollo_tui.state.comparison import ComparedSession, ComparedStep, best_score, compare, pair_rows
from sessions import events as ev
from sessions.fold.preferences import Preference
from sessions.fold.summary import Score, Summary
from widgets import cells
from widgets.models import PairRow


def step(number: int, act: str, seq: int = 0) -> ComparedStep:
    return ComparedStep(number, seq or number * 10, act, (((act, "text"),),))


def session(name: str, *acts: str, first: int = 1, **more: Any) -> ComparedSession:
    found = Summary(session=name, number=ord(name) - 96, title=f"way {name}", model="m", step=len(acts), **more)
    return ComparedSession(found, tuple(step(first + at, act) for at, act in enumerate(acts)))


def lines(rows: list[PairRow]) -> list[tuple[str, str]]:
    return [(cells.text_of(row.whole or row.left), cells.text_of(row.right)) for row in rows]


def test_what_is_equal_at_the_beginning_is_one_row_and_then_each_step_stands_beside_the_other() -> None:
    found = compare(session("a", "ls", "cat x", "kill 7", "finish"), session("b", "ls", "cat x", "wait"))
    assert found.equal == 2
    rows = pair_rows(found, [], 0)
    shown = lines(rows)
    at = shown.index(("steps 1 to 2 are the same", ""))
    assert shown[at + 1 :] == [("   3 kill 7", "   3 wait"), ("   4 finish", "")]
    assert [(row.left_seq, row.right_seq) for row in rows[at + 1 :]] == [(30, 30), (40, 0)]


def test_two_that_do_the_same_say_so() -> None:
    shown = lines(pair_rows(compare(session("a", "ls"), session("b", "ls")), [], 0))
    assert shown[-2:] == [("step 1 is the same", ""), ("they do not part: every step is the same", "")]


def test_a_branch_stands_beside_what_its_parent_did_after_it() -> None:
    parent = session("a", "ls", "cat x", "kill 7", "kill 8")
    branch = session("b", "wait", first=3, begins=ev.Beginning("a", 20, "branch"))
    for found in (compare(parent, branch), compare(branch, parent)):
        sides = {side.summary.session: [one.act for one in side.steps] for side in (found.one, found.other)}
        assert sides == {"a": ["kill 7", "kill 8"], "b": ["wait"]}


def test_scores_plans_and_what_people_said_of_the_two_stand_above() -> None:
    one = session("a", "x", scores=(Score(1, 0.2), Score(4, 0.5)), plan=(ev.PlanItem("train", "done"),))
    other = session("b", "y", scores=(Score(2, 0.4),))
    words = [
        Preference("b", "a", "human:ada", "it waited"),
        Preference("a", "b", "human:ben", equal=True),
        Preference("a", "c", "human:ben"),
    ]
    shown = lines(pair_rows(compare(one, other), words, 0))
    assert any(left.startswith("best 0.5 of 2") and right.startswith("best 0.4 of 1") for left, right in shown)
    assert (" ✓ train", "") in shown
    assert ("ada: 2 way b is better: it waited", "") in shown
    assert ("ben: both are equally good", "") in shown
    assert sum("is better" in left for left, _ in shown) == 1


def test_a_score_that_is_better_the_lower_it_is() -> None:
    found = session("a", scores=(Score(1, 0.2), Score(4, 0.5))).summary
    assert best_score(msgspec.structs.replace(found, better="lower")) == 0.2
    assert best_score(session("a").summary) is None
