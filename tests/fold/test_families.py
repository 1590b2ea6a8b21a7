from __future__ import annotations

import msgspec
import pytest

from sessions import events as ev
from sessions.fold import budget
from sessions.fold.families import Families, count_together, next_child_address
from sessions.fold.summary import Summary


def session(name: str, number: int, parent: str = "", **more: object) -> Summary:
    begins = ev.Beginning(parent, 1, "child") if parent else None
    return msgspec.structs.replace(Summary(name, number, name, "demo:x"), begins=begins, **more)


TREE = (session("a", 1), session("b", 2), session("a1", 3, "a"), session("a2", 4, "a"), session("a11", 5, "a1"))


def test_sub_agents_stand_below_the_session_that_started_them() -> None:
    families = Families.of(reversed(TREE))
    assert families.order() == ["a", "a1", "a11", "a2", "b"]
    assert families.roots() == ("a", "b")
    assert (families.root("a11"), families.level("a11"), families.parent("a")) == ("a", 2, "")
    assert list(families.below("a")) == ["a1", "a11", "a2"]
    assert families.siblings("a2") == ("a1", "a2") and families.siblings("b") == ("a", "b")
    assert families.has_relatives("a11") and not families.has_relatives("b")


def test_a_session_ranks_as_the_worst_below_it() -> None:
    assert Families.of(TREE).order({"a11": 2, "b": 1}) == ["b", "a", "a1", "a11", "a2"]
    assert Families.of(TREE).order({"a2": 0, "b": 1}) == ["a", "a2", "a1", "a11", "b"]


def test_nobody_is_lost_where_a_recording_says_that_sessions_started_each_other() -> None:
    families = Families.of([session("a", 1, "b"), session("b", 2, "a"), session("c", 3, "c"), session("d", 4, "gone")])
    assert sorted(families.order()) == ["a", "b", "c", "d"]


def test_a_branch_is_no_sub_agent() -> None:
    branch = msgspec.structs.replace(session("b", 2), begins=ev.Beginning("a", 4, "branch"))
    assert Families.of([session("a", 1), branch]).roots() == ("a", "b")


@pytest.mark.parametrize(
    ("reason", "limits", "stays"),
    [
        ("budget used up: 12 of 12 steps", ev.Limits(steps=12), True),
        ("budget used up: 12 of 12 steps", ev.Limits(steps=13), False),
        ("budget used up: 1,330 of 1,250 tokens", ev.Limits(tokens=1300), True),
        ("budget used up: about 1,330 of 1,250 tokens", ev.Limits(tokens=1331), False),
        ("budget used up: 1,330 of 1,250 tokens", ev.Limits(), False),
        ("budget used up: 2 of 2 evaluations", ev.Limits(steps=12), False),
        ("budget used up: 1,2,3.. of them", ev.Limits(steps=1), False),
    ],
)
def test_what_a_tree_has_used_up_keeps_its_root_paused_until_the_limit_is_above_it(
    reason: str, limits: ev.Limits, stays: bool
) -> None:
    root = session("a", 1, state="paused", need="limit", reason=reason, limits=limits)
    assert bool(budget.reason_to_stay_paused(root)) is stays
    assert (budget.exhausted_budget(root) != "") is stays


def test_what_a_sub_agent_is_called_by_goes_on_from_the_last_letter_of_its_parent() -> None:
    known = ["1.a", "1.b", "12.d", "1.b.c"]
    assert [next_child_address(parent, known) for parent in ("1", "12", "1.b", "2")] == ["1.c", "12.e", "1.b.d", "2.a"]
    assert next_child_address("1", ["1.z"]) == "1.aa" and next_child_address("1", ["1.az"]) == "1.ba"


def test_steps_tokens_and_money_are_counted_together_and_hours_are_not() -> None:
    used = {"step": 2, "input_tokens": 10, "cost": 0.5, "active_ms": 7}
    together = count_together(session("a", 1, **used), [session("b", 2, "a", **used), session("c", 3, "b", **used)])
    assert (together.step, together.tokens, together.spent, together.active_ms) == (6, 30, 1.5, 7)
