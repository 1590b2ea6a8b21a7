from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tool_testbed import Bench, until

from sessions.events import EvalScored, EvaluateSpec
from sessions.jobs.manager import JobManager
from sessions.tools.base import ToolResult
from sessions.workspace import keep_scorer

SCORER = """
import os, pathlib
work = pathlib.Path(os.environ["APOLLO_WORKSPACE"])
(work / "trace").write_text("x")
(pathlib.Path.cwd() / "trace").write_text("x")
print("judging")
print(float((work / "answer").read_text()) * 2)
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench.at(tmp_path)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "score.py").write_text(SCORER)
    bench.evaluate = EvaluateSpec(command="python3 score.py", better="lower", timeout=30, files=("score.py",))
    keep_scorer(bench.evaluate, tasks, bench.folder)
    bench.budget = 2
    yield bench
    await bench.jobs.kill_all(grace=0.1)
    assert not list((bench.folder / "scoring").glob("*"))


def scored(result: ToolResult) -> EvalScored:
    (event,) = result.events
    assert isinstance(event, EvalScored)
    return event


async def test_the_scorer_judges_a_copy_and_its_last_line_is_the_score(bench: Bench) -> None:
    (bench.workspace / "answer").write_text("0.25")
    result = await bench.do("evaluate")
    event = scored(result)
    assert (event.score, event.better, event.used, event.budget, event.problem) == (0.5, "lower", 1, 2, "")
    assert result.output == "judging\n0.5\n[score 0.5 (lower is better), evaluation 1 of 2]"
    assert sorted(path.name for path in bench.workspace.iterdir()) == ["answer"]
    assert sorted(path.name for path in (bench.folder / "scorer").iterdir()) == ["score.py"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("echo 0.9; exit 1", "ended with exit code 1"),
        ("echo fine", "printed no number on its last line: 'fine'"),
        ("true", "printed nothing"),
        ("echo nan", "no finite number"),
        ("kill -9 $$", "ended with exit code 137"),
    ],
)
async def test_a_scorer_that_fails_costs_no_budget(bench: Bench, command: str, problem: str) -> None:
    bench.evaluate = EvaluateSpec(command=command)
    result = await bench.do("evaluate")
    event = scored(result)
    assert event.score is None
    assert problem in event.problem
    assert event.used == 0
    assert result.outcome == "error"
    assert "does not count" in result.output


async def test_a_scorer_that_takes_too_long_is_ended(bench: Bench) -> None:
    bench.evaluate = EvaluateSpec(command="echo 1; sleep 1000", timeout=0.2)
    event = scored(await bench.do("evaluate"))
    assert event.score is None
    assert "did not end within 0.2 s" in event.problem
    (job,) = JobManager(bench.folder, kind="evaluations").all()
    await until(lambda: not job.holder.alive())


async def test_a_used_up_budget_and_a_task_without_scorer_are_failures(bench: Bench) -> None:
    bench.used = 2
    assert "used up: 2 of 2" in await bench.failure("evaluate")
    bench.evaluate = None
    assert "no scorer" in await bench.failure("evaluate")


@pytest.mark.parametrize("when", ["copying", "starting", "running"])
async def test_an_interrupted_evaluation_ends_its_scorer(bench: Bench, when: str) -> None:
    bench.evaluate = EvaluateSpec(command="sleep 1000")
    runs = JobManager(bench.folder, kind="evaluations")
    call = asyncio.ensure_future(bench.do("evaluate"))
    reached = {
        "copying": lambda: (bench.folder / "scoring").exists(),
        "starting": lambda: runs.next_number() == 2,
        "running": lambda: runs.all() and runs.all()[0].child,
    }
    await until(reached[when])
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    assert not runs.all()[0].holder.alive()


async def test_of_a_scorer_that_writes_very_much_the_whole_is_kept_with_its_hash(bench: Bench) -> None:
    bench.evaluate = EvaluateSpec(command="yes | head -c 9000000; echo 0.5", timeout=30)
    result = await bench.do("evaluate")
    event = scored(result)
    assert event.score == 0.5
    assert event.output is not None
    assert result.file is not None
    assert event.output.file == result.file
    whole = (bench.folder / result.file).read_bytes()
    assert len(whole) == 9_000_004
    assert result.data["file_sha256"] == hashlib.sha256(whole).hexdigest()


async def test_evaluations_have_numbers_of_their_own(bench: Bench) -> None:
    (bench.workspace / "answer").write_text("1")
    await bench.do("evaluate")
    assert bench.jobs.next_number() == 1
    assert "no job was started" in await bench.failure("job_output", job=1)
