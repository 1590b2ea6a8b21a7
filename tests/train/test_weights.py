from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_log import MANY, Teller, rows_of

from apollo_train.export.run import run_export
from apollo_train.policy import FilterPolicy, WeightRules, parse_policy
from apollo_train.runtime import BadPolicy
from apollo_train.samples.weights import Copies
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


async def tasks(writer: LogWriter, *of_tasks: tuple[int, ...]) -> None:
    """For each task its sessions, of so many steps each."""
    names = iter(MANY)
    for task, sessions in enumerate(of_tasks):
        for steps in sessions:
            told = await Teller(writer, next(names)).begin(f"Task {task}.", task_id=f"t{task}")
            for step in range(steps):
                await told.act(str(step))


def weights(reader: LogReader, folder: Path, name: str = "steps", **rules: Any) -> dict[str, list[float]]:
    """The weights of the rows of each session."""
    policy = FilterPolicy(weights=WeightRules(apply="column", **rules))
    found: dict[str, list[float]] = {name: [] for name in MANY}
    for row in rows_of(run_export(reader, None, policy, name, folder / "o.jsonl", overwrite=True).path):
        found[row["meta"]["session"]].append(row["meta"]["weight"])
    return {session: each for session, each in found.items() if each}


async def test_both_caps_hold_at_once_and_no_lower(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    await tasks(writer, (20, 2), (4,))
    found = weights(reader, tmp_path, session_cap=4, task_cap=5)
    assert [sum(each) for each in found.values()] == pytest.approx([4 * 5 / 6, 2 * 5 / 6, 4])


async def test_a_normalised_task_weighs_one_and_a_cap_only_shares_it_otherwise(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    await tasks(writer, (20, 2), (4,))
    assert [sum(e) for e in weights(reader, tmp_path, normalise="task").values()] == pytest.approx([20 / 22, 2 / 22, 1])
    found = weights(reader, tmp_path, normalise="task", session_cap=6)
    assert [sum(each) for each in found.values()] == pytest.approx([6 / 8, 2 / 8, 1])
    for name in ("steps", "openai"):
        found = weights(reader, tmp_path, name, normalise="session")
        assert [sum(each) for each in found.values()] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    "rules",
    [
        "normalise = 'session'\nsession_cap = 2",
        "normalise = 'session'\ntask_cap = 2",
        "normalise = 'task'\ntask_cap = 2",
    ],
)
def test_a_cap_that_would_do_nothing_is_refused(rules: str) -> None:
    with pytest.raises(BadPolicy, match="all weigh the same already"):
        parse_policy(f"version = 1\n[weights]\n{rules}\n")


@pytest.mark.parametrize("normalise", ["session", "task"])
async def test_segments_are_not_written_over_and_over_because_their_replies_share_a_weight(
    writer: LogWriter, reader: LogReader, tmp_path: Path, normalise: Any
) -> None:
    await tasks(writer, (12,), (3,), (1,))
    policy = FilterPolicy(weights=WeightRules(normalise=normalise))
    report = run_export(reader, None, policy, "openai", tmp_path / "o.jsonl")
    assert [row["meta"]["session"] for row in rows_of(report.path)] == MANY[:3]
    assert report.counts.resampled == 0


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([1.0, 0.5, 0.25, 0.1, 1 / 3, 0.013]), min_size=1, max_size=300))
def test_any_stretch_of_rows_is_seen_as_often_as_it_weighs(found: list[float]) -> None:
    copies = Copies.of(found)
    times = [copies.next(weight) for weight in found]
    for start in range(0, len(found), 7):
        owed = sum(found[start:]) * copies.scale
        assert abs(sum(times[start:]) - owed) <= 1 + 1e-6


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([1.0, 0.5]), min_size=1, max_size=200))
def test_twins_and_all_else_are_said_exactly(found: list[float]) -> None:
    copies = Copies.of(found)
    times = [copies.next(weight) for weight in found]
    assert times == [round(weight / min(found)) for weight in found]
