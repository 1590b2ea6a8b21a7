from __future__ import annotations

from typing import Any

from apollo_tui.state.board_order import group_by_task, group_words, next_order, sort_sessions
from sessions import events as ev
from sessions.fold.families import Families
from sessions.fold.summary import Summary


def board(*summaries: Summary) -> tuple[dict[str, Summary], Families]:
    return {one.session: one for one in summaries}, Families.of(summaries)


def summary(session: str, number: int, title: str = "", **more: Any) -> Summary:
    return Summary(session=session, number=number, title=title or session, model="demo:x", **more)


def child_of(session: str) -> ev.Beginning:
    return ev.Beginning(session=session, seq=1, kind="child")


def test_names_stand_as_people_sort_them_and_a_tree_by_its_first_session() -> None:
    known, families = board(
        summary("a", 1, "run 10"), summary("b", 2, "Run 9"), summary("c", 3, "adam"),
        summary("d", 4, "aaa", begins=child_of("a")), summary("e", 5, "run 9"),
    )  # fmt: skip
    assert sort_sessions("name", known, families) == ["c", "b", "e", "a", "d"]


def test_what_did_something_last_stands_first_also_where_a_sub_agent_did_it() -> None:
    known, families = board(
        summary("a", 1, progress_at=10), summary("b", 2, progress_at=30), summary("c", 3, progress_at=20),
        summary("d", 4, progress_at=40, begins=child_of("a")),
    )  # fmt: skip
    assert sort_sessions("activity", known, families) == ["a", "d", "b", "c"]


def test_who_needs_somebody_stands_first_and_equals_by_number() -> None:
    known, families = board(summary("a", 1), summary("b", 2), summary("c", 3))
    assert sort_sessions("need", known, families, ["c", "b", "c"]) == ["c", "b", "a"]
    assert sort_sessions("number", known, families, ["c"]) == ["a", "b", "c"]


def test_sessions_of_a_task_stand_together_where_the_first_of_them_stood() -> None:
    known, families = board(
        summary("a", 1), summary("b", 2, task_id="lr"), summary("c", 3), summary("d", 4, task_id="lr"),
        summary("e", 5, task_id="other", begins=child_of("b")),
    )  # fmt: skip
    rows = group_by_task(families.order(), known, families)
    assert rows == ["a", "c", "b", "e", "d"]
    assert group_words(rows, known, families) == {"a": "no task name (2)", "b": "lr (2)"}
    assert group_words(["d", "a", "b"], known, families) == {"d": "lr", "a": "no task name", "b": "lr"}


def test_one_key_goes_through_all_orders() -> None:
    seen, order = [], next_order("number")
    while order not in seen:
        seen.append(order)
        order = next_order(order)
    assert seen == ["need", "activity", "name", "number"]
