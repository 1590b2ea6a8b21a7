"""What app and command line both make of a person's words."""

from __future__ import annotations

import pytest

from apollo_tui.acts.new_session import BadLimit, limits_with
from apollo_tui.acts.requests import find_budget, is_limit_change, limit_request
from sessions.events import Limits


@pytest.mark.parametrize(
    ("change", "value", "delta"), [("200", 200, None), ("2.5", 2.5, None), ("+50", None, 50), ("-50", None, -50)]
)
def test_a_number_sets_a_limit_and_a_sign_changes_it(change: str, value: float | None, delta: float | None) -> None:
    assert is_limit_change(change)
    params = limit_request("r", "s", "money", change)
    assert (params.value, params.delta) == (value, delta)


def test_none_lifts_a_limit() -> None:
    params = limit_request("r", "s", "steps", "none")
    assert is_limit_change("none") and (params.value, params.delta) == (None, None)


@pytest.mark.parametrize("change", ["", "many", "+", "1e3", "5 ", "none!"])
def test_nothing_else_is_a_change(change: str) -> None:
    assert not is_limit_change(change)


def test_a_budget_is_known_by_its_whole_name() -> None:
    assert find_budget("steps") == "steps" and find_budget("step") is None


def test_what_is_named_changes_and_the_rest_is_the_task_files() -> None:
    limits = limits_with(Limits(steps=9, money=2.0), ["steps=20", "active_hours=1.5"])
    assert limits == Limits(steps=20, money=2.0, active_hours=1.5)


@pytest.mark.parametrize("item", ["steps", "steps=", "steps=many", "steps=-1", "bread=2", "steps=nan", "money=inf"])
def test_a_limit_that_is_none_is_named(item: str) -> None:
    with pytest.raises(BadLimit, match="write NAME=NUMBER with a name of"):
        limits_with(Limits(), [item])
