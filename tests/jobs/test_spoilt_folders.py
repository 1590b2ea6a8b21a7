"""Commands write where the host reads of their jobs: it is not led elsewhere, does not wait, and ends nobody else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tool_testbed import Bench, until

from sessions import processes
from sessions.events import JobStarted
from sessions.jobs import files, manager
from sessions.jobs.job import Job
from sessions.jobs.manager import JobError, JobManager
from sessions.jobs.ring_buffer import Piece, RingReader, RingWriter
from sessions.processes import Identity
from sessions.queries.leftovers import Leftover, remove, size_of
from sessions.tools.job_text import collect_output

ENV = {"PATH": os.environ["PATH"]}
GONE = {"pid": 2**22, "start_time": "1", "boot_id": processes.boot_id()}


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobManager]:
    made = JobManager(tmp_path / "session", head=4096, ring=4096)
    yield made
    await made.kill_all(grace=0.1)


@pytest.fixture
def stranger() -> Iterator[Identity]:
    """A process that is none of a job's, and leads a session of its own."""
    with subprocess.Popen(["sleep", "1040"], start_new_session=True) as process:
        yield processes.identity(process.pid)
        process.kill()


async def ended(jobs: JobManager, command: str) -> Job:
    """A job that has ended, as a host finds it that knows of it only what its folder says."""
    job = await jobs.start(jobs.next_number(), command, Path("/"), ENV)
    await jobs.wait(job, 10)
    await until(lambda: not job.holder.alive())
    found = JobManager(jobs.folder.parent).find(job.number)
    assert found is not None
    return found


def lie(folder: Path, name: str, value: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value))


def claim_of(who: Identity) -> dict[str, Any]:
    return {"pid": who.pid, "start_time": who.start_time, "boot_id": who.boot_id}


async def test_a_link_in_the_place_of_the_output_is_not_followed_and_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("SECRET\n")
    bench = Bench.at(tmp_path)
    jobs = bench.folder / "jobs"
    result = await bench.do("run", command=f"cd {jobs}/1; rm output; ln -s {tmp_path}/secret output; echo mine")
    assert "SECRET" not in result.output
    assert "a command has spoilt the folder of its job: output is a link and no file of ours" in result.output
    shown = await bench.do("job_output", job=1)
    assert "SECRET" not in shown.output
    assert "output is a link and no file of ours" in shown.output


async def test_the_folder_of_a_job_that_has_become_a_link_is_not_followed(jobs: JobManager, tmp_path: Path) -> None:
    job = await ended(jobs, "echo mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/output").write_text("SECRET\n")
    job.folder.rename(tmp_path / "was")
    job.folder.symlink_to(tmp_path / "elsewhere")
    assert jobs.tail(job).text == ""
    assert collect_output(jobs, job).text == (
        "[no output: a command has spoilt the folder of its job: 1 is a link and no folder]\n"
    )
    assert JobManager(jobs.folder.parent).all() == []
    with pytest.raises(OSError, match="no folder"):
        remove(Leftover("output", job.folder / files.OUTPUT, "s", 1, 0))
    assert (tmp_path / "elsewhere/output").exists()
    assert size_of(job.folder) == 0


@pytest.mark.parametrize("name", [files.SPEC, files.CLAIM, files.CHILD, files.EXIT, files.OUTPUT, files.TAIL])
@pytest.mark.parametrize("what", ["fifo", "endless", "device"])
async def test_nothing_in_the_place_of_a_file_has_the_host_wait_or_take_all_memory(
    jobs: JobManager, name: str, what: str
) -> None:
    job = await ended(jobs, "echo mine")
    (job.folder / name).unlink(missing_ok=True)
    if what == "fifo":
        os.mkfifo(job.folder / name)
    elif what == "device":
        (job.folder / name).symlink_to("/dev/zero")
    else:
        with (job.folder / name).open("wb") as file:
            file.truncate(2**40)
    began = time.monotonic()
    later = JobManager(jobs.folder.parent)
    assert later.never_ran("no.such")
    for one in (job, *later.all()):
        assert one.state in ("ended", "lost")
        assert collect_output(jobs, one).size <= 2**53
    end = job.end()
    assert end is not None
    if name == files.EXIT:
        assert end.how == "lost"
        assert end.why.startswith("a command has spoilt the folder of its job: exit.json")
    assert time.monotonic() - began < 5


async def test_numbers_that_a_command_wrote_are_taken_for_what_they_can_be(jobs: JobManager) -> None:
    job = await ended(jobs, "echo mine")
    lie(job.folder, files.EXIT, {"code": 1, "how": "exited", "duration_ms": 2**70, "output_bytes": 1, "left": 0})
    lie(job.folder, files.SPEC, {"number": 77, "head": 2**60, "ring": 0})
    end = job.end()
    assert end is not None and end.how == "lost"
    assert JobManager(jobs.folder.parent).all() == []
    (jobs.folder / "²").mkdir()
    (jobs.folder / "007").mkdir()
    (jobs.folder / ("9" * 30)).mkdir()
    assert jobs.next_number() == 2
    (jobs.folder / f"{2**31}").mkdir()
    with pytest.raises(JobError, match="no job can have the number"):
        await jobs.start(jobs.next_number(), "true", Path("/"), ENV)


def test_a_ring_whose_counts_are_a_lie_ends_a_read_all_the_same(tmp_path: Path) -> None:
    RingWriter(tmp_path, head=10, ring=4).write(b"0123456789abcdefgh")
    (tmp_path / files.TAIL).write_bytes(b"\xff" * 16 + b"abcd")
    reader = RingReader(tmp_path, 10, 4)
    assert reader.total() == 10
    assert reader.ends(100) == (Piece(b"0123456789", 0, 10, 10), None)


async def test_a_process_that_a_claim_only_names_is_not_ended_and_nothing_waits_for_it(
    jobs: JobManager, stranger: Identity
) -> None:
    job = await ended(jobs, "echo mine")
    (job.folder / files.EXIT).unlink()
    lie(job.folder, files.CLAIM, claim_of(stranger))
    lie(jobs.folder / "2", files.SPEC, {"command": "made up", "origin": "4.2"})
    lie(jobs.folder / "2", files.CLAIM, claim_of(stranger))
    later = JobManager(jobs.folder.parent)
    assert [one.state for one in later.all()] == ["lost", "lost"]
    assert await later.kill_all(grace=0.1) == []
    for one in later.all():
        end = await later.kill(one, grace=0.1)
        assert end is not None
        assert end.why == "a command has spoilt the folder of its job: claim.json names a process that does not hold it"
        await later._end_holder(one)
    assert stranger.alive()


@pytest.mark.parametrize("space", ["", processes.pid_space()])
async def test_what_a_lost_job_left_is_told_from_others_by_its_mark(
    jobs: JobManager, stranger: Identity, space: str
) -> None:
    folder = jobs.folder / "1"
    lie(folder, files.SPEC, {"command": "made up"})
    lie(folder, files.CLAIM, {**GONE, "space": space})
    lie(folder, files.CHILD, {"pid": stranger.pid, "start_time": stranger.start_time, "started_at": 0})
    marked = {**ENV, files.MARK: f"other/jobs/9 {files.mark_of(folder)}"}
    with subprocess.Popen(["sleep", "1041"], start_new_session=True, env=marked) as own:
        for who in (stranger, processes.identity(own.pid)):
            lie(folder, files.CHILD, {"pid": who.pid, "start_time": who.start_time, "started_at": 0})
            found = jobs.find(1)
            assert found is not None
            found.sweep()
        assert own.wait(10) == -9
    assert stranger.alive()


async def test_the_holder_that_the_log_knows_is_ended_whatever_its_folder_says(
    jobs: JobManager, stranger: Identity
) -> None:
    job = await jobs.start(1, "exec sleep 1042", Path("/"), ENV)
    lie(job.folder, files.CLAIM, claim_of(stranger))
    (job.folder / files.SPEC).unlink()
    told: list[JobStarted] = [job.start_event()]
    later = JobManager(jobs.folder.parent, started=lambda: told)
    found = later.find(1)
    assert found is not None
    assert (found.holder, found.command, found.state) == (job.holder, "exec sleep 1042", "running")
    await later.kill_all(grace=0.1)
    await until(lambda: not job.holder.alive())
    assert stranger.alive()


async def test_a_holder_of_another_host_is_known_by_its_command_line(jobs: JobManager) -> None:
    job = await jobs.start(1, "exec sleep 1043", Path("/"), ENV)
    later = JobManager(jobs.folder.parent)
    assert [one.state for one in later.all()] == ["running"]
    # The same holder, named by another job: it does not hold that one.
    lie(jobs.folder / "2", files.SPEC, {"command": "made up"})
    lie(jobs.folder / "2", files.CLAIM, claim_of(job.holder))
    assert [one.state for one in later.all()] == ["running", "lost"]
    await later.kill_all(grace=0.1)
    await until(lambda: not job.holder.alive())


async def test_a_holder_cannot_be_said_to_be_somebody_else(
    jobs: JobManager, stranger: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that runs beside a new holder could write into its pipe before it does."""

    async def forged(handle: int, seconds: float) -> bytes:
        os.close(handle)
        child = {"pid": 1, "start_time": "1", "started_at": 0}
        return manager.READY + json.dumps({"claim": claim_of(stranger), "child": child}).encode()

    monkeypatch.setattr(manager, "read_first_bytes", forged)
    async with asyncio.timeout(20):
        with pytest.raises(JobError, match="could not be started"):
            await jobs.start(1, "exec sleep 1044", Path("/"), ENV)
    assert stranger.alive()


async def test_input_is_written_to_a_fifo_and_to_nothing_that_a_link_leads_to(jobs: JobManager, tmp_path: Path) -> None:
    job = await jobs.start(1, "cat", Path("/"), ENV, input=True)
    (tmp_path / "mine").write_text("kept")
    for spoil in (lambda path: path.symlink_to(tmp_path / "mine"), lambda path: path.write_text("")):
        (job.folder / files.INPUT).unlink()
        spoil(job.folder / files.INPUT)
        with pytest.raises(JobError, match="spoilt its input"):
            await jobs.send(job, "theirs")
    assert (tmp_path / "mine").read_text() == "kept"


async def test_a_kill_writes_nothing_where_a_link_leads_to(jobs: JobManager, tmp_path: Path) -> None:
    job = await jobs.start(1, "exec sleep 1045", Path("/"), ENV)
    (tmp_path / "elsewhere").mkdir()
    job.folder.rename(tmp_path / "was")
    job.folder.symlink_to(tmp_path / "elsewhere")
    await jobs.kill(job, grace=0.1)
    assert not job.holder.alive()
    assert not list((tmp_path / "elsewhere").glob("*kill.json*"))


@pytest.mark.parametrize("what", ["fifo", "link"])
async def test_a_log_that_lies_in_wait_for_a_holder_keeps_it_from_starting(
    jobs: JobManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    start = manager.start_holder

    def lies_in_wait(folder: Path, *rest: Any) -> object:
        log = folder / files.HOLDER_LOG
        os.mkfifo(log) if what == "fifo" else log.symlink_to(tmp_path / "made")
        return start(folder, *rest)

    monkeypatch.setattr(manager, "start_holder", lies_in_wait)
    async with asyncio.timeout(20):
        with pytest.raises(JobError, match="job 1 could not be started"):
            await jobs.start(1, "true", Path("/"), ENV)
    assert not (tmp_path / "made").exists()


async def test_a_link_around_standard_error_that_is_kept_apart_is_not_followed(
    jobs: JobManager, tmp_path: Path
) -> None:
    job = await jobs.start(1, "exit 3", Path("/"), ENV, errors=True)
    await jobs.wait(job, 10)
    await until(lambda: not job.holder.alive())
    (tmp_path / "elsewhere/errors").mkdir(parents=True)
    (tmp_path / "elsewhere/errors/output").write_text("SECRET\n")
    (job.folder / files.ERRORS).rename(tmp_path / "was errors")
    (job.folder / files.ERRORS).symlink_to(tmp_path / "elsewhere/errors")
    end = job.end()
    assert end is not None and (end.exit_code, end.last_line) == (3, "")
    job.folder.rename(tmp_path / "was")
    job.folder.symlink_to(tmp_path / "elsewhere")
    end = job.end()
    assert end is not None and (end.how, end.last_line) == ("lost", "")
