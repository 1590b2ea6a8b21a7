"""A holder that dies, hangs or loses its folder at any moment: no process stays, no pipe stays open, the call ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tool_testbed import Bench, until

from sessions import processes
from sessions.containment import spaces
from sessions.jobs import files, manager
from sessions.jobs.manager import JobError, JobManager
from sessions.jobs.start_holder import start_holder
from sessions.json_files import read_json

ENV = {"PATH": os.environ["PATH"]}
DIES = "os.kill(os.getpid(), 9)"
HANGS = "os.kill(os.getpid(), 19)"
MOMENTS = {
    "before its claim": "holder.create_json = lambda *_: {end}",
    "after its claim": "holder.processes.adopt_orphans = lambda: {end}",
    "before the fork": "holder.processes.identity = holder.processes.identity; os.fork = lambda: {end}",
    "between fork and go": "holder.write_json = lambda *_: {end}",
    "after go, before its word": (
        "write = os.write\n"
        "def say(handle, data): {end} if data.startswith(holder.READY) else write(handle, data)\n"
        "os.write = say"
    ),
}


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobManager]:
    made = JobManager(tmp_path / "session", head=4096, ring=4096)
    yield made
    await made.kill_all(grace=0.1)


def spoil(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have every holder run ``code`` before it begins."""
    before = spaces.DIRECT.replace("importlib.import_module", f"exec({code!r}); importlib.import_module", 1)
    monkeypatch.setattr(spaces, "DIRECT", before)


def naming(folder: Path) -> list[int]:
    """The processes that still run and name ``folder``: holders, and children at their gate."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if os.fsencode(folder) in line and int(entry) != os.getpid():
            found.append(int(entry))
    return found


@pytest.mark.parametrize("end", [DIES, HANGS], ids=["dies", "hangs"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_holder_that_ends_at_any_moment_of_its_start_leaves_nothing_and_the_call_ends(
    jobs: JobManager, monkeypatch: pytest.MonkeyPatch, moment: str, end: str
) -> None:
    spoil(monkeypatch, "import os; from sessions.jobs import holder\n" + MOMENTS[moment].replace("{end}", end))
    if end == HANGS:
        monkeypatch.setattr(manager, "START_SECONDS", 1.0)
    pipes = len(os.listdir("/proc/self/fd"))
    async with asyncio.timeout(20):
        with pytest.raises(JobError, match="job 1 could not be started"):
            await jobs.start(1, f"exec sleep 1020 # {jobs.folder}", Path("/"), ENV)
    await until(lambda: not naming(jobs.folder))
    assert len(os.listdir("/proc/self/fd")) == pipes
    assert jobs.next_number() == 2


async def test_a_holder_whose_child_json_cannot_be_written_says_so_at_once(jobs: JobManager) -> None:
    """As a full disk would, a folder lies in the place of the file."""
    start = start_holder

    def start_in_the_way(folder: Path, *more: object) -> object:
        (folder / files.CHILD).mkdir()
        return start(folder, *more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(JobError, match=r"child\.json"):
        patch.setattr(manager, "start_holder", start_in_the_way)
        async with asyncio.timeout(20):
            await jobs.start(1, "true", Path("/"), ENV)
    await until(lambda: not naming(jobs.folder))


async def test_the_command_of_a_holder_that_is_killed_ends_with_it_also_where_no_host_looks(jobs: JobManager) -> None:
    job = await jobs.start(1, "exec sleep 1021", Path("/"), ENV)
    assert job.child is not None
    os.kill(job.holder.pid, signal.SIGKILL)
    await until(lambda: job.child is not None and not job.child.alive())


async def test_a_command_that_removes_the_folder_of_its_job_ends_at_once_with_words(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    async with asyncio.timeout(20):
        result = await bench.do("run", command=f"rm -r {bench.folder}/jobs; echo unseen", timeout=1000)
    assert result.outcome == "unknown"
    assert "the folder of its job was removed while it ran" in result.output
    await until(lambda: not naming(bench.folder / "jobs"))


async def test_the_wait_for_a_command_that_removed_its_folder_and_left_a_process_ends_too(tmp_path: Path) -> None:
    bench = Bench.at(tmp_path)
    async with asyncio.timeout(20):
        result = await bench.do("run", command=f"sleep 1022 & rm -r {bench.folder}/jobs", timeout=1000)
    assert result.outcome == "unknown"
    holders = naming(bench.folder / "jobs")
    assert len(holders) == 1  # it holds what is left, and ends with it
    processes.send_all(processes.descendants(holders[0]), signal.SIGKILL)
    await until(lambda: not naming(bench.folder / "jobs"))


@pytest.mark.parametrize("name", [files.SPEC, files.CLAIM, files.CHILD, files.EXIT])
@pytest.mark.parametrize("text", ["no json", "[]", "{}", "[" * 5000, '{"pid": "x", "code": [], "number": {}}'])
async def test_files_of_a_job_that_its_command_wrote_over_are_no_error_of_ours(
    jobs: JobManager, name: str, text: str
) -> None:
    job = await jobs.start(1, "read x; exit 3", Path("/"), ENV, input=True)
    (job.folder / name).write_text(text)
    assert jobs.never_ran("no.such") in (True, False)
    jobs.all()
    await jobs.send(job, "go\n")
    async with asyncio.timeout(20):
        end = await jobs.wait(job)
    assert end is not None
    assert (end.how, end.exit_code) == ("exited", 3)  # the holder, which cannot be spoilt, has the last word


async def test_a_holder_that_is_stopped_is_ended_by_a_kill_with_all_that_it_holds(jobs: JobManager) -> None:
    job = await jobs.start(1, "setsid sleep 1023 & sleep 1024", Path("/"), ENV)
    below = await until(lambda: len(found := processes.descendants(job.holder.pid)) >= 3 and found)
    os.kill(job.holder.pid, signal.SIGSTOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "END_SECONDS", 0.2)
        async with asyncio.timeout(20):
            end = await jobs.kill(job, grace=0.1)
    assert end is not None
    assert end.how == "lost"
    await until(lambda: not any(alive(pid) for pid in below))


async def test_input_that_a_command_never_reads_is_given_up(jobs: JobManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "INPUT_SECONDS", 0.5)
    job = await jobs.start(1, "sleep 1025", Path("/"), ENV, input=True)
    with pytest.raises(JobError, match="has taken no input"):
        await jobs.send(job, "x" * 8_000_000)


async def test_a_command_that_removes_the_folder_before_its_start_is_told_is_a_job_all_the_same(
    jobs: JobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = (
        "import os, time; from sessions.jobs import holder\n"
        "write = os.write\n"
        "def say(handle, data):\n"
        f"    while data.startswith(holder.READY) and os.path.exists({str(jobs.folder)!r}): time.sleep(0.01)\n"
        "    return write(handle, data)\n"
        "os.write = say"
    )
    spoil(monkeypatch, waits)
    async with asyncio.timeout(20):
        job = await jobs.start(1, f"rm -r {jobs.folder}; exec sleep 1027", Path("/"), ENV)
        assert job.child is not None
        assert job.child.alive()
        assert await jobs.kill(job, grace=0.1) is not None
    await until(lambda: not naming(jobs.folder))


async def test_a_kill_reaches_a_job_whose_folder_is_gone(jobs: JobManager) -> None:
    job = await jobs.start(1, f"rm -r {jobs.folder}; exec sleep 1026", Path("/"), ENV)
    await until(lambda: not jobs.folder.exists())
    async with asyncio.timeout(20):
        assert await jobs.kill(job, grace=0.1) is not None
    await until(lambda: not job.holder.alive())
    assert read_json(job.folder / files.EXIT) is None


def alive(pid: int) -> bool:
    """Whether it still runs."""
    try:
        processes.identity(pid)
    except ProcessLookupError:
        return False
    return True
