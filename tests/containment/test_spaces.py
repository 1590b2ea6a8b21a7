"""Commands and file tools inside a space do what they do without one, and a space lives as long as its session."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from apollo_process import wait_for
from tool_testbed import Bench

from sessions import processes
from sessions.containment.choice import works_here
from sessions.containment.file_access import FileTrouble
from sessions.containment.keeper import LOOK_SECONDS, Keeper, end_idle_spaces
from sessions.containment.session_spaces import session_space
from sessions.containment.spaces import Space
from sessions.containment.workspace_files import WorkspaceFiles
from sessions.events import Containment, EvaluateSpec
from sessions.jobs.manager import JobManager
from sessions.workspace import SCORER


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
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


async def test_a_job_has_a_terminal_of_its_own_inside(bench: Bench) -> None:
    result = await bench.do("run", command="test -t 0 && echo a terminal > /dev/tty && stty size", tty=True)
    assert result.output.startswith("a terminal\n40 120\n"), result.output
    without = await bench.do("run", command="ls /proc/self/fd | wc -l; : < /dev/tty || echo none")
    assert without.output.startswith("4\n") and "none\n" in without.output, "no handle of it is left"


async def test_processes_that_share_memory_work_inside(bench: Bench) -> None:
    lock = "python3 -c 'import multiprocessing as m; m.Lock(); print(1)'"
    result = await bench.do("run", command=lock)
    assert result.data["exit_code"] == 0, result.output


@pytest.mark.parametrize("said", ["exec cat /dev/zero", "echo '['", "echo 1", "echo '{}'; exec cat /dev/zero"])
async def test_what_a_command_says_in_the_place_of_a_helper_is_told_and_has_an_end(said: str, tmp_path: Path) -> None:
    class Meddled(Space):
        kind = "meddled"

        def helper(self, module: str, *arguments: str, detach: bool = False) -> list[str]:
            return ["sh", "-c", said]

    files = WorkspaceFiles(Meddled(), tmp_path)
    async with asyncio.timeout(20):
        with pytest.raises(FileTrouble, match="a command has meddled with it"):
            await files.read("file", 100)


async def test_the_files_of_a_space_are_looked_for_where_no_command_writes(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1049"]) as outside:
        who = processes.identity(outside.pid)
        for place in ("jobs", "workspace"):
            (tmp_path / "session" / place).mkdir(parents=True)
            Keeper(tmp_path / "session" / place).record(who, own=0)
        end_idle_spaces(tmp_path)
        assert who.alive()
        outside.kill()


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


async def test_what_a_killed_holder_leaves_is_still_known_as_the_spaces(bench: Bench) -> None:
    left = "env -i setsid -f sh -c 'echo $$ > pid.part; mv pid.part pid; while [ ! -e go ]; do sleep 0.02; done'"
    await bench.do("run", command=f"{left}; while [ ! -e pid ]; do sleep 0.02; done; sleep 60", background=True)
    await until((bench.workspace / "pid").exists)
    job, keeper = bench.jobs.find(1), Keeper(bench.folder / "space").find()
    assert job is not None and keeper is not None
    below = processes.descendants(keeper.pid) + [one.pid for one in processes.processes_of(job.space)]
    orphan = next(pid for pid in below if "pid.part" in " ".join(processes.command_line(pid)))
    job.holder.send(signal.SIGKILL)
    await until(lambda: not job.holder.alive())
    assert keeper.pid in [one.pid for one in processes.ancestry(orphan) or []]
    (bench.workspace / "go").touch()


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


async def test_a_space_that_its_host_has_left_ends_by_itself_once_nothing_runs_there(bench: Bench) -> None:
    await bench.do("run", command="while [ ! -e go ]; do sleep 0.01; done", background=True)
    end_idle_spaces(bench.folder.parent)
    job, keeper = bench.jobs.find(1), Keeper(bench.folder / "space").find()
    assert job is not None and keeper is not None
    assert keeper.alive() and job.state == "running", "what runs there goes on"
    (bench.workspace / "go").touch()
    await until(lambda: not keeper.alive(), seconds=30)


async def test_a_space_that_a_host_has_come_back_to_stays(bench: Bench) -> None:
    await bench.do("run", command="while [ ! -e go ]; do sleep 0.01; done", background=True)
    end_idle_spaces(bench.folder.parent)
    keeper = Keeper(bench.folder / "space").find()
    assert keeper is not None
    kind = bench.jobs.space.kind
    await session_space(Containment(inside=kind), bench.folder, bench.workspace).open()
    (bench.workspace / "go").touch()
    await asyncio.sleep(1.5 * LOOK_SECONDS)  # that it stays can only be seen by waiting
    assert keeper.alive()
    end_idle_spaces(bench.folder.parent)
    assert not keeper.alive(), "now nothing runs there"


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_is_killed_while_it_makes_a_space_leaves_none_that_nobody_finds(kind: str, tmp_path: Path) -> None:
    draw = random.Random(7)
    for number in range(12):
        folder, workspace = tmp_path / str(number), tmp_path / f"workspace{number}"
        made = f"session_space(Containment(inside={kind!r}), Path({str(folder)!r}), Path({str(workspace)!r}))"
        code = f"{MAKING}asyncio.run({made}.open())\nprint(flush=True)\ntime.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as host:
            assert host.stdout is not None
            host.stdout.readline()
            time.sleep(draw.uniform(0, 0.12))
            host.kill()
        _end_space(folder)


def _end_space(folder: Path) -> None:
    keeper = Keeper(folder / "space")
    wait_for("what nobody finds to end", lambda: keeper.find() is not None or not _naming(folder), seconds=10)
    keeper.end()
    wait_for("the space to end", lambda: not _naming(folder), seconds=10)


MAKING = """
import asyncio, time
from pathlib import Path
from sessions.containment.session_spaces import session_space
from sessions.events import Containment
print(flush=True)
"""


def _naming(folder: Path) -> list[int]:
    """The processes whose command line names ``folder``."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if any(str(folder) in word for word in processes.command_line(pid))]
