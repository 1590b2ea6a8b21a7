from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tool_testbed import Bench, until

from sessions.clock import now_ms
from sessions.events import ActionStarted, Body, EvalScored, EvaluateSpec, Event, JobEnded, JobStarted
from sessions.jobs.manager import JobManager
from sessions.tools import registry
from sessions.tools.base import Arguments, ToolFailure, ToolResult
from sessions.tools.recovery import recover_action


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench.at(tmp_path)
    yield bench
    await bench.jobs.kill_all(grace=0.1)


def event(body: Body, *, at: int | None = None, seq: int = 1) -> Event:
    return Event(seq, "s", seq, 1, 1, body.kind, 1, now_ms() if at is None else at, "agent", None, body)


def started(name: str, at: int | None = None, **arguments: Any) -> Event:
    decode_piece = registry.decode(name, __import__("json").dumps(arguments))
    assert isinstance(decode_piece, Arguments)
    return event(ActionStarted(call_id="c", name=name, arguments=registry.as_json(decode_piece)), at=at)


async def recover(bench: Bench, action: Event, *since: Body) -> ToolResult:
    """As a new host does: nothing of the old one is left but the folder and the log."""
    bench.jobs = JobManager(bench.folder)
    return await recover_action(action, [event(body, seq=n) for n, body in enumerate(since, 2)], bench.context(step=1))


async def crash_during(bench: Bench, name: str, **arguments: Any) -> None:
    """Begin a call and forget it, as a host that dies does, once its command runs."""
    bench.step = 0
    runs = JobManager(bench.folder, kind="evaluations" if name == "evaluate" else "jobs")
    decode_piece = registry.decode(name, __import__("json").dumps(arguments))
    if name == "evaluate":
        assert bench.evaluate is not None
        await runs.start(1, bench.evaluate.command, bench.workspace, bench.env, origin="1.1")
    else:
        assert isinstance(decode_piece, registry.TOOLS["run"].arguments)
        await runs.start(1, arguments["command"], bench.workspace, bench.env, origin="1.1", input=True)


async def test_a_command_that_goes_on_is_followed_and_not_started_again(bench: Bench) -> None:
    command = "echo once >> ran; read x; exit 5"
    await crash_during(bench, "run", command=command)
    recovering = asyncio.ensure_future(recover(bench, started("run", command=command)))
    await until(lambda: bench.committed)
    job = bench.jobs.find(1)
    assert job is not None
    await bench.jobs.send(job, "\n")
    result = await recovering
    assert result.data["exit_code"] == 5
    assert (bench.workspace / "ran").read_text() == "once\n"
    assert isinstance(result.events[0], JobEnded)
    assert isinstance(bench.committed[0], JobStarted)


async def test_a_job_that_is_in_the_log_is_not_put_there_twice(bench: Bench) -> None:
    await crash_during(bench, "run", command="echo hi")
    job = bench.jobs.find(1)
    assert job is not None
    result = await recover(bench, started("run", command="echo hi"), job.start_event())
    assert result.output.startswith("hi\n[exit code 0")
    assert bench.committed == []


async def test_a_command_whose_time_is_over_goes_on_in_the_background(bench: Bench) -> None:
    await crash_during(bench, "run", command="sleep 1000")
    result = await recover(bench, started("run", at=now_ms() - 200_000, command="sleep 1000"))
    assert "in the background as job 1" in result.output


async def test_a_command_that_was_never_started_did_not_run(bench: Bench) -> None:
    result = await recover(bench, started("run", command="touch ran"))
    assert result.outcome == "interrupted"
    assert "did not run" in result.output
    assert bench.jobs.all() == []


async def test_a_job_whose_holder_died_too_has_an_unknown_outcome(bench: Bench) -> None:
    await crash_during(bench, "run", command="echo some; sleep 1000")
    job = bench.jobs.find(1)
    assert job is not None
    await until(lambda: "some" in bench.jobs.tail(job).text)
    job.holder.send(9)
    await until(lambda: not job.holder.alive())
    result = await recover(bench, started("run", command="echo some; sleep 1000"))
    assert result.outcome == "unknown"
    assert result.output == "some\n[lost: its exit code is not known]"
    assert job.child is not None
    await until(lambda: job.child and not job.child.alive())


async def test_a_wait_lasts_until_when_it_would_have(bench: Bench) -> None:
    result = await recover(bench, started("wait", at=now_ms() - 60_000, seconds=60))
    assert result.data["why"] == "time"
    assert result.data["waited_ms"] >= 60_000


@pytest.mark.parametrize("name", ["write_file", "edit_file", "read_file", "search", "job_kill", "job_input"])
async def test_of_everything_else_the_outcome_is_unknown(bench: Bench, name: str) -> None:
    arguments: dict[str, dict[str, Any]] = {
        "write_file": {"path": "f", "content": "x"},
        "edit_file": {"path": "f", "old": "a", "new": "b"},
        "read_file": {"path": "f"},
        "search": {"pattern": "x"},
        "job_kill": {"job": 1},
        "job_input": {"job": 1, "text": "x"},
    }
    result = await recover(bench, started(name, **arguments[name]))
    assert result.outcome == "unknown"
    assert f"`{name}`" in result.output
    assert list(bench.workspace.iterdir()) == []


async def test_an_open_question_is_asked_on_and_a_finish_finishes(bench: Bench) -> None:
    bench.answer = lambda question, timeout: ("yes", False)
    assert (await recover(bench, started("ask_human", question="ok?"))).output == "yes"
    assert (await recover(bench, started("finish", summary="done"))).finish


async def test_a_scorer_that_goes_on_is_followed(bench: Bench) -> None:
    bench.evaluate = EvaluateSpec(command="echo 0.75")
    await crash_during(bench, "evaluate")
    result = await recover(bench, started("evaluate"))
    (scored,) = result.events
    assert isinstance(scored, EvalScored)
    assert scored.score == 0.75


async def test_a_scorer_that_was_never_started_is_for_the_model_to_call_again(bench: Bench) -> None:
    bench.evaluate = EvaluateSpec(command="echo 0.75")
    with pytest.raises(ToolFailure, match="call it again"):
        await recover(bench, started("evaluate"))


async def test_a_tool_that_is_gone_by_now_has_an_unknown_outcome(bench: Bench) -> None:
    action = event(ActionStarted(call_id="c", name="old_tool", arguments={"x": 1}))
    assert (await recover(bench, action)).outcome == "unknown"
    changed = event(ActionStarted(call_id="c", name="run", arguments={"cmd": "x"}))
    assert (await recover(bench, changed)).outcome == "unknown"
