"""Commands and file tools inside a space do what they do without one, and a space lives as long as its session."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tool_testbed import Bench

from sessions.containment.choice import works_here
from sessions.containment.keeper import Keeper, end_idle_spaces
from sessions.containment.session_spaces import session_space
from sessions.events import Containment, EvaluateSpec
from sessions.jobs.manager import JobManager
from sessions.workspace import SCORER


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


WORKS = works_here()
KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(bool(WORKS[kind]), reason=f"{kind}: {WORKS[kind]}"))
    for kind in ("bwrap", "landlock")
]


@pytest.fixture(params=KINDS)
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench.at(tmp_path)
    space = session_space(Containment(inside=request.param), made.folder, made.workspace)
    made.jobs = JobManager(made.folder, space=space)
    yield made
    await made.jobs.kill_all()
    await space.close()


async def test_a_command_writes_the_workspace_and_what_it_leaves_is_found_by_the_next(bench: Bench) -> None:
    first = await bench.do(
        "run", command="echo one > file; echo two > $TMPDIR/kept; sleep 60 & echo $! > $HOME/pid; pwd"
    )
    assert first.data["exit_code"] == 0, first.output
    assert first.output.startswith(f"{bench.workspace}\n")
    second = await bench.do("run", command="cat $TMPDIR/kept; kill $(cat $HOME/pid) && echo ended")
    assert second.output.startswith("two\nended\n"), second.output
    assert (bench.workspace / "file").read_text() == "one\n"


async def test_file_tools_see_what_commands_see(bench: Bench) -> None:
    await bench.do("write_file", path="a/b.txt", content="needle\n")
    assert (await bench.do("run", command="cat a/b.txt")).output.startswith("needle\n")
    await bench.do("edit_file", path="a/b.txt", old="needle", new="pin")
    assert "pin" in (await bench.do("read_file", path="a/b.txt")).output
    assert "a/b.txt:1: pin" in (await bench.do("search", pattern="p.n")).output
    assert "there is no file 'a/c.txt' in the workspace; near names: b.txt" in await bench.failure(
        "read_file", path="a/c.txt"
    )


async def test_another_host_finds_space_and_job_again(bench: Bench) -> None:
    await bench.do("run", command="while [ ! -e go ]; do sleep 0.01; done; echo done", background=True)
    kind = bench.jobs.space.kind
    later = JobManager(bench.folder, space=session_space(Containment(inside=kind), bench.folder, bench.workspace))
    job = later.find(1)
    assert job is not None and job.state == "running" and job.child is not None and job.child.alive()
    (bench.workspace / "go").touch()
    end = await later.wait(job, 10)
    assert end is not None and (end.how, end.exit_code, end.last_line) == ("exited", 0, "done")


async def test_a_kill_ends_all_that_a_job_left(bench: Bench) -> None:
    await bench.do("run", command="setsid sleep 60 & sleep 60", background=True)
    job = bench.jobs.find(1)
    assert job is not None
    end = await bench.jobs.kill(job)
    assert end is not None and end.how == "killed_by_agent"
    assert not job.holder.alive()


async def test_a_holder_that_is_killed_leaves_a_lost_job_and_no_process(bench: Bench) -> None:
    await bench.do("run", command="sleep 60", background=True)
    job = bench.jobs.find(1)
    assert job is not None and job.child is not None
    os.kill(job.holder.pid, signal.SIGKILL)
    end = await bench.jobs.wait(job, 10)
    assert end is not None and end.how == "lost"
    child = job.child
    await until(lambda: not child.alive())


async def test_the_scorer_has_a_space_of_its_own_and_cannot_change_its_files(bench: Bench) -> None:
    bench.contained = Containment(inside=bench.jobs.space.kind)
    bench.evaluate = EvaluateSpec(
        command="touch mine 2> /dev/null && echo 1 || { echo made > $APOLLO_WORKSPACE/file && bash score.sh; }",
        files=("score.sh",),
    )
    (bench.folder / SCORER).mkdir()
    (bench.folder / SCORER / "score.sh").write_text("cat $APOLLO_WORKSPACE/score\n")
    await bench.do("run", command="echo 42 > score; cat ../session/scorer/score.sh || echo hidden")
    result = await bench.do("evaluate")
    assert result.data["score"] == 42, result.output
    assert not (bench.workspace / "file").exists()
    assert not list((bench.folder / "scoring").iterdir()), "nothing is left of it, and nothing runs in it"


async def test_a_space_in_which_a_job_runs_is_not_ended_as_idle(bench: Bench) -> None:
    await bench.do("run", command="sleep 60", background=True)
    end_idle_spaces(bench.folder.parent)
    job = bench.jobs.find(1)
    assert job is not None and job.state == "running"
    await bench.jobs.kill(job)
    await until(lambda: end_idle_spaces(bench.folder.parent) is None and Keeper(bench.folder / "space").find() is None)
