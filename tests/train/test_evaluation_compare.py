from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apollo_train.evaluation.apollo_cli import ACTOR
from apollo_train.evaluation.compare import compare, interval, mean_over_tasks
from apollo_train.evaluation.outcome import Result, find_ending
from apollo_train.evaluation.plan import BadEvaluation, Plan, find_contenders, find_tasks, sessions_of
from apollo_train.evaluation.report import Report
from sessions import events as ev


def made(
    task: str, model: str, best: float | None, *, repeat: int = 1, better: str = "higher", how: str = "finished"
) -> Result:
    return Result(
        task=task, model=model, repeat=repeat, session="S", number=1, how=how, reason="a | b <c> \x1b[31m",
        better=better, best=best, last=best, evaluations=1, steps=2, actions=2, malformed=0, errors=0, input_tokens=10,
        output_tokens=5, cost=None, active_seconds=1.0, served_model="m",
    )  # fmt: skip


def test_every_task_weighs_the_same_and_lower_scores_are_turned_round() -> None:
    results = [
        made("many", "base", 0.0, repeat=1), made("many", "new", 1.0, repeat=1),
        made("many", "base", 0.0, repeat=2), made("many", "new", 1.0, repeat=2),
        made("one", "base", 5.0, better="lower"), made("one", "new", 8.0, better="lower", how="limit"),
    ]  # fmt: skip
    best, _, finished = compare(results, "base", "new")
    assert (best.mean, best.tasks, best.pairs, best.better, best.worse) == ((1.0 - 3.0) / 2, 2, 3, 2, 1)
    assert (finished.mean, finished.equal, finished.worse) == (-0.5, 2, 1)


def test_a_pair_without_a_score_is_left_out_and_counted_unless_a_score_stands_for_it() -> None:
    results = [made("a", "base", 0.4), made("a", "new", None), made("b", "base", 0.4), made("b", "new", 0.5)]
    best = compare(results, "base", "new")[0]
    assert (best.mean, best.pairs, best.left_out) == (pytest.approx(0.1), 1, 1)
    assert (best.low, best.high) == (None, None)
    counted = compare(results, "base", "new", missing=0.0)[0]
    assert (counted.mean, counted.pairs, counted.left_out) == (pytest.approx(-0.15), 2, 0)


@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_interval_lies_within_the_gains_around_the_mean_and_is_the_same_each_time(gains: list[list[float]]) -> None:
    low, high = interval(gains, 200)
    if sum(map(len, gains)) < 2:
        assert (low, high) == (None, None)
        return
    assert low is not None and high is not None
    values = [gain for of_task in gains for gain in of_task]
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert interval(gains, 200) == (low, high)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(7)
    covered = 0
    for _ in range(120):
        gains = [[chance.gauss(centre, 1) for _ in range(3)] for centre in (chance.gauss(0.5, 1) for _ in range(20))]
        low, high = interval(gains, 200)
        assert low is not None and high is not None
        assert low <= mean_over_tasks(gains) <= high
        covered += low <= 0.5 <= high
    assert 0.85 <= covered / 120 <= 1.0


def state(name: str, actor: str = "agent", need: str = "", reason: str = "") -> ev.Event:
    body = ev.StateChanged(state=name, need=need, reason=reason)  # type: ignore[arg-type]  # any state by its name
    return ev.Event(1, "S", 1, None, None, "session.state", 1, 0, actor, None, body)


@pytest.mark.parametrize(
    ("states", "how"),
    [
        ([state("running"), state("finished")], "finished"),
        ([state("running"), state("paused", "host", "limit"), state("stopped", ACTOR)], "limit"),
        ([state("needs_you", need="nudges"), state("stopped", ACTOR)], "needs_you (nudges)"),
        ([state("running"), state("stopped", ACTOR)], "timeout"),
        ([state("running"), state("stopped", "human:anna")], "stopped by human:anna"),
        ([state("running"), state("paused", "human:anna")], "paused by human:anna"),
        ([state("failed", "host"), state("stopped", ACTOR)], "failed"),
        ([state("failed", "host"), state("archived", "human:anna"), state("failed", "human:anna")], "failed"),
        (
            [state("stopped", "host"), state("archived", "human:anna"), state("stopped", "human:anna")],
            "stopped by host",
        ),
        (
            [state("paused", "host", "limit"), state("archived", "human:anna"), state("paused", "human:anna")],
            "paused by human:anna",
        ),
        ([], "timeout"),
    ],
)
def test_how_a_session_ended_is_not_told_by_our_own_stop(states: list[ev.Event], how: str) -> None:
    assert find_ending(states).how == how


def a_task(path: Path, text: str = "Do it.\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def plan(*paths: Path, limits: tuple[str, ...] = ()) -> Plan:
    return Plan(find_tasks(paths), find_contenders(["openai:a", "openai:b"], ["http://x/v1"]), 2, limits)


def test_a_cells_key_changes_with_all_that_is_played_and_with_nothing_else(tmp_path: Path) -> None:
    path = a_task(tmp_path / "t.md")
    before = [cell.key for cell in plan(path).cells()]
    assert len(set(before)) == 4 and before == [cell.key for cell in plan(path).cells()]
    assert not {cell.key for cell in plan(path, limits=("steps=3",)).cells()} & set(before)
    (tmp_path / "w").mkdir()
    a_task(path, "---\nworkspace: w\n---\nDo it.\n")
    one = {cell.key for cell in plan(path).cells()}
    a_task(tmp_path / "w" / "file", "1")
    two = {cell.key for cell in plan(path).cells()}
    assert not one & two and not one & set(before)
    assert all(sessions_of({"S": cell.title}) == {cell.key: "S"} for cell in plan(path).cells())


def test_two_tasks_of_one_name_and_addresses_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEvaluation, match="two tasks are called t"):
        find_tasks([a_task(tmp_path / "one" / "t.md"), a_task(tmp_path / "two" / "t.md")])
    with pytest.raises(BadEvaluation, match="2 addresses for 3 models"):
        find_contenders(["openai:a"] * 3, ["http://x", "http://y"])
    labels = [each.label for each in find_contenders(["openai:a"] * 2, ["http://u:secret@x/v1", "http://y/v1"])]
    assert labels == ["openai:a at http://x/v1", "openai:a at http://y/v1"]


def test_the_report_holds_no_password_and_foreign_text_ends_no_cell(tmp_path: Path) -> None:
    a = a_task(tmp_path / "t.md")
    contenders = find_contenders(["openai:a"], ["http://user:hunter2hunter2@x/v1"])
    results = (made("t", "openai:a", 0.5, how="failed"),)
    report = Report(Plan(find_tasks([a]), contenders, 1, ()), results, tmp_path / "log", 7, 60.0)
    report.write(tmp_path)
    said = (tmp_path / "evaluation.json").read_text() + (tmp_path / "evaluation.md").read_text()
    assert "hunter2" not in said and "\x1b" not in (tmp_path / "evaluation.md").read_text()
    assert "a \\| b &lt;c> " in said
    assert report.differences == []
