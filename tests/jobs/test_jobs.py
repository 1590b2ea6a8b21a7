from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tool_testbed import until

from sessions import processes
from sessions.events import JobEnded
from sessions.jobs import files, wait_for_exit
from sessions.jobs.job import Job
from sessions.jobs.manager import NOBODY, JobError, JobManager
from sessions.json_files import write_json

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
async def jobs(tmp_path: Path) -> AsyncIterator[JobManager]:
    manager = JobManager(tmp_path / "session", head=4096, ring=4096)
    yield manager
    await manager.kill_all(grace=0.1)
    assert not any(job.holder.alive() for job in manager.all())


async def start(jobs: JobManager, command: str, **more: object) -> Job:
    cwd = jobs.folder.parent.parent
    return await jobs.start(jobs.next_number(), command, cwd, ENV, **more)  # type: ignore[arg-type]


async def test_a_job_tells_its_exit_code_its_output_and_its_last_line(jobs: JobManager) -> None:
    job = await start(jobs, "echo one; echo two >&2; exit 3")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.exit_code, end.how, end.output_bytes, end.last_line, end.left) == (3, "exited", 8, "two", 0)
    assert jobs.tail(job).text == "one\ntwo\n"
    assert job.state == "ended"


async def test_a_command_runs_in_its_folder_with_exactly_its_environment(jobs: JobManager, tmp_path: Path) -> None:
    job = await jobs.start(1, "pwd; env", tmp_path, {**ENV, "ODD": "a\nb \udcff", "PYTHONPATH": "/users/own"})
    await jobs.wait(job, 10)
    raw = (job.folder / files.OUTPUT).read_bytes()
    assert raw.startswith(f"{tmp_path}\n".encode())
    assert b"ODD=a\nb \xff\n" in raw
    assert b"PYTHONPATH=/users/own\n" in raw
    assert b"PYTHONUNBUFFERED=1\n" in raw
    assert b"/users/own" not in (job.folder / files.SPEC).read_bytes()


async def test_a_users_own_sessions_package_is_never_imported(jobs: JobManager, tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions/__init__.py").write_text("raise SystemExit('the wrong one')")
    job = await jobs.start(1, "echo fine", tmp_path, {**ENV, "PYTHONPATH": str(tmp_path)})
    assert (await jobs.wait(job, 10)) is not None
    assert jobs.tail(job).text == "fine\n"


async def test_a_command_that_never_ends_is_still_running_after_the_wait(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 1000")
    assert await jobs.wait(job, 0.05) is None
    assert job.state == "running"


async def test_a_folder_that_is_gone_and_an_impossible_command_are_exit_codes_and_not_crashes(
    jobs: JobManager, tmp_path: Path
) -> None:
    gone = await jobs.start(1, "true", tmp_path / "nowhere", ENV)
    end = await jobs.wait(gone, 10)
    assert end is not None
    assert end.exit_code == 127
    assert "could not be started" in end.last_line
    long = await jobs.start(2, "#" * 3_000_000, tmp_path, ENV)
    end = await jobs.wait(long, 10)
    assert end is not None
    assert end.exit_code == 127


async def test_a_kill_reaches_the_whole_tree_also_those_that_moved_to_another_session(jobs: JobManager) -> None:
    job = await start(jobs, "(setsid sleep 1001 &) ; sleep 1002 & trap '' TERM; echo up; sleep 1003; sleep 1004")
    await until(lambda: "up" in jobs.tail(job).text and len(processes.descendants(job.holder.pid)) >= 4)
    below = processes.descendants(job.holder.pid)
    end = await jobs.kill(job, grace=0.2)
    assert end is not None
    assert end.how == "killed_by_agent"
    assert not any(_alive(pid) for pid in [job.holder.pid, *below])


async def test_what_a_command_leaves_behind_is_told_held_and_killed(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 1005 & echo done")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.exit_code, end.left) == (0, 1)
    below = processes.descendants(job.holder.pid)
    assert len(below) == 1
    again = await jobs.kill(job, grace=0.1)
    assert again is not None
    assert again.how == "exited"
    await until(lambda: not _alive(below[0]) and not job.holder.alive())


HOP = """
hop() {
    if [ $1 -gt 0 ]; then ( hop $(($1 - 1)) $2 & )
    else sleep 0.2; read -r _ _ _ parent _ < /proc/self/stat; echo $parent > landed.$2; mv landed.$2 landed$2; fi
}
for one in 1 2 3; do hop 400 $one & done
"""
"""Processes that pass their work on to a child and end, hundreds of times: who looks at all processes, one by one, is
always late. The last one says whose child it is."""


@pytest.mark.skipif(not processes.HAS_PROC, reason="orphans are adopted on Linux")
async def test_a_holder_stays_with_what_hops_from_process_to_process(jobs: JobManager) -> None:
    job = await start(jobs, f"setsid -f bash -c {shlex.quote(HOP)}")
    await jobs.wait(job, 30)
    places = [jobs.folder.parent.parent / f"landed{one}" for one in range(1, 4)]
    await until(lambda: all(place.exists() for place in places))
    for place in places:
        assert int(place.read_text()) == job.holder.pid


async def test_a_holder_ends_when_the_last_of_its_processes_has(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 0.3 & true")
    await jobs.wait(job, 10)
    await until(lambda: not job.holder.alive())


async def test_a_job_survives_the_kill_of_its_starter_and_the_end_of_its_terminal(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from sessions.jobs.manager import JobManager
async def main():
    await JobManager(Path({str(tmp_path)!r})).start(1, "read x; echo got $x; exit 7", Path("/"), {ENV!r}, input=True)
    print("started", flush=True)
    await asyncio.sleep(100)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], start_new_session=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        os.killpg(starter.pid, signal.SIGHUP)
        os.killpg(starter.pid, signal.SIGKILL)
    jobs = JobManager(tmp_path)
    job = jobs.find(1)
    assert job is not None
    assert job.state == "running"
    os.kill(job.holder.pid, signal.SIGHUP)
    await jobs.send(job, "it\n")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.exit_code, end.last_line) == (7, "got it")


async def test_a_killed_holder_means_a_lost_job_and_no_orphans(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 1006 & sleep 1007")
    below = await until(lambda: len(found := processes.descendants(job.holder.pid)) >= 3 and found)
    waiting = asyncio.ensure_future(jobs.wait(job, 10))
    os.kill(job.holder.pid, signal.SIGKILL)
    end = await waiting
    assert end is not None
    assert (end.how, end.exit_code) == ("lost", None)
    assert job.state == "lost"
    await until(lambda: not any(_alive(pid) for pid in below))


async def test_a_claimed_job_is_never_started_a_second_time(jobs: JobManager, tmp_path: Path) -> None:
    job = await start(jobs, "echo run >> ran")
    await jobs.wait(job, 10)
    from sessions.jobs.start_holder import start_holder

    holder, ready = start_holder(job.folder, ENV, jobs.space.helper("sessions.jobs.holder", str(job.folder)))
    assert holder.wait(10) == 0
    assert os.read(ready, 10) == b""
    os.close(ready)
    assert (tmp_path / "ran").read_text() == "run\n"


async def test_a_job_that_was_wanted_and_never_claimed_did_not_run_and_never_will(jobs: JobManager) -> None:
    folder = jobs.folder / "1"
    folder.mkdir(parents=True)
    spec = {"number": 1, "command": "touch ran", "argv": ["sh", "-c", "touch ran"], "cwd": "/", "origin": "4.1"}
    write_json(folder / files.SPEC, spec | {"tty": False, "input": False, "created_at": 0})
    assert jobs.find(1) is None
    assert jobs.never_ran("4.1")
    assert json.loads((folder / files.CLAIM).read_text()) == NOBODY
    assert jobs.find(1) is None
    assert jobs.next_number() == 2


async def test_a_job_that_ran_is_not_called_one_that_never_ran(jobs: JobManager) -> None:
    job = await start(jobs, "true", origin="4.1")
    assert not jobs.never_ran("4.1")
    assert jobs.never_ran("4.2")
    assert jobs.by_origin("4.1") == job


async def test_a_number_is_never_used_twice(jobs: JobManager) -> None:
    await start(jobs, "true")
    with pytest.raises(JobError, match="job 1 already"):
        await jobs.start(1, "true", Path("/"), ENV)
    assert jobs.next_number() == 2


async def test_a_holder_that_cannot_start_its_command_says_so(
    jobs: JobManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.containment.spaces.DIRECT", "raise SystemExit('no such luck')")
    with pytest.raises(JobError, match="no such luck"):
        await start(jobs, "true")


async def test_too_much_output_keeps_head_and_tail_and_counts_the_rest(jobs: JobManager) -> None:
    job = await start(jobs, "seq 1 20000")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.output_bytes, end.last_line) == (108_894, "20000")
    head, tail = jobs.ends(job, 1_000_000)
    assert head.data.startswith(b"1\n2\n")
    assert tail is not None
    assert tail.start - head.end == 108_894 - 8192
    later = jobs.since(job, 5000)
    assert later.missing == 108_894 - 4096 - 5000
    assert later.text.endswith("20000\n")


async def test_a_line_of_a_megabyte_and_bytes_that_are_no_text_pass(tmp_path: Path) -> None:
    jobs = JobManager(tmp_path)
    job = await jobs.start(1, r"head -c 1000000 /dev/zero | tr '\0' x; printf '\n\xff\xfe'", tmp_path, ENV)
    end = await jobs.wait(job, 10)
    assert end is not None
    assert end.output_bytes == 1_000_003
    assert jobs.tail(job).text.endswith("x\n\ufffd\ufffd")
    assert (job.folder / files.OUTPUT).read_bytes().endswith(b"\n\xff\xfe")


async def test_input_reaches_the_command_with_its_end(jobs: JobManager) -> None:
    job = await start(jobs, "wc -c", input=True)
    await jobs.send(job, "ä\n" * 50_000)
    await jobs.send(job, "", eof=True)
    assert await jobs.wait(job, 10) is not None
    assert jobs.tail(job).text.strip() == "150000"


async def test_half_a_line_that_a_killed_host_left_swallows_nothing(jobs: JobManager) -> None:
    job = await start(jobs, "read x; echo got $x", input=True)
    handle = os.open(job.folder / files.INPUT, os.O_WRONLY | os.O_NONBLOCK)
    os.write(handle, b'{"text": "torn')
    os.close(handle)
    await jobs.send(job, "whole\n")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert end.last_line == "got whole"


async def test_a_job_without_input_reads_its_end_and_takes_none(jobs: JobManager) -> None:
    job = await start(jobs, "cat; sleep 1008")
    with pytest.raises(JobError, match="without an input"):
        await jobs.send(job, "x")
    ended = await start(jobs, "cat", input=True)
    await jobs.kill(ended, grace=0.1)
    with pytest.raises(JobError, match="not running"):
        await jobs.send(ended, "x")


async def test_a_terminal_is_one_and_adds_nothing_of_its_own(jobs: JobManager) -> None:
    job = await start(jobs, "test -t 0 && test -t 1 && stty size; read x; echo got $x; cat", tty=True)
    await jobs.send(job, "it\n")
    await jobs.send(job, "", eof=True)
    assert await jobs.wait(job, 10) is not None
    assert jobs.tail(job).text == "40 120\ngot it\n"


async def test_sixteen_jobs_at_once_each_have_their_own_end(jobs: JobManager, tmp_path: Path) -> None:
    numbers = range(1, 17)
    made = await asyncio.gather(*(jobs.start(n, f"echo {n}; exit {n}", tmp_path, ENV) for n in numbers))
    ends = await asyncio.gather(*(jobs.wait(job, 20) for job in made))
    assert [end and (end.exit_code, end.last_line) for end in ends] == [(n, str(n)) for n in numbers]


async def test_the_end_of_each_released_or_open_job_is_reported_once(jobs: JobManager) -> None:
    reported: list[JobEnded] = []

    async def note(ended: JobEnded) -> None:
        reported.append(ended)

    before = await start(jobs, "exit 5")
    await jobs.wait(before, 10)
    watching_task = asyncio.create_task(jobs.watch(note, [1, 99]))
    released = await start(jobs, "exit 6")
    attended = await start(jobs, "exit 7")
    jobs.release(released)
    jobs.release(released)
    await jobs.wait(attended, 10)
    await until(lambda: len(reported) >= 3)
    watching_task.cancel()
    await asyncio.gather(watching_task, return_exceptions=True)
    assert sorted((each.job, each.exit_code, each.how) for each in reported) == [
        (1, 5, "exited"),
        (2, 6, "exited"),
        (99, None, "lost"),
    ]
    assert jobs.settle(attended.number)
    assert not jobs.settle(released.number)


async def test_an_end_that_a_watch_was_cut_off_from_telling_is_told_by_the_next_one(jobs: JobManager) -> None:
    told: list[JobEnded] = []

    async def stuck(end: JobEnded) -> None:
        told.append(end)
        await asyncio.Event().wait()

    async def note(end: JobEnded) -> None:
        told.append(end)

    async def watch(callback: Callable[[JobEnded], Awaitable[None]], *open_jobs: int) -> None:
        told.clear()
        watching_task = asyncio.create_task(jobs.watch(callback, open_jobs))
        await until(lambda: told)
        watching_task.cancel()
        await asyncio.gather(watching_task, return_exceptions=True)

    job = await start(jobs, "exit 5")
    await jobs.wait(job, 10)
    await watch(stuck, job.number)
    await watch(stuck, 99)
    await watch(note, job.number)
    assert [(each.job, each.how) for each in told] == [(job.number, "exited")]
    await watch(note, 99)
    assert [(each.job, each.how) for each in told] == [(99, "lost")]


async def test_kill_all_ends_everything_of_the_session_evaluations_too(tmp_path: Path) -> None:
    jobs, evaluations = JobManager(tmp_path), JobManager(tmp_path, kind="evaluations")
    made = [await manager.start(1, "sleep 1009", tmp_path, ENV) for manager in (jobs, evaluations)]
    assert len(await jobs.kill_all(grace=0.1)) == 2
    assert not any(job.holder.alive() for job in made)
    end = made[1].end()
    assert end is not None
    assert end.how == "killed_by_host"


async def test_without_pidfds_the_end_is_noticed_by_looking(jobs: JobManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(wait_for_exit, "POLL", 0.01)
    job = await start(jobs, "sleep 0.05; exit 4")
    end = await jobs.wait(job, 10)
    assert end is not None
    assert end.exit_code == 4
    other = await start(jobs, "sleep 1010")
    assert await jobs.wait(other, 0.05) is None
    assert await jobs.kill(other, grace=0.1) is not None


async def test_no_holder_stays_a_zombie(jobs: JobManager) -> None:
    job = await start(jobs, "true")
    await jobs.wait(job, 10)
    await until(lambda: not Path(f"/proc/{job.holder.pid}").exists())


async def test_a_cancelled_wait_leaves_no_handles(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 1011")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        waiting = asyncio.ensure_future(jobs.wait(job))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert len(os.listdir("/proc/self/fd")) == before


def _alive(pid: int) -> bool:
    try:
        processes.identity(pid)
    except ProcessLookupError:
        return False
    return True


async def test_an_end_that_a_full_disk_keeps_from_being_written_is_written_when_there_is_room(jobs: JobManager) -> None:
    job = await start(jobs, "sleep 0.2; exit 7")
    in_the_way = job.folder / files.EXIT  # a folder, which nothing replaces
    in_the_way.mkdir()
    await until(lambda: job.child is not None and not job.child.alive())
    assert await jobs.wait(job, 1.5) is None
    assert job.state == "running"
    in_the_way.rmdir()
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.how, end.exit_code) == ("exited", 7)


async def test_standard_error_can_be_kept_apart_and_then_has_the_last_line(jobs: JobManager) -> None:
    job = await start(jobs, "echo one; echo two >&2; exit 3", errors=True)
    end = await jobs.wait(job, 10)
    assert end is not None
    assert (end.exit_code, end.output_bytes, end.last_line) == (3, 4, "two")
    assert jobs.tail(job).text == "one\n"
    assert (job.folder / files.ERRORS / files.OUTPUT).read_text() == "two\n"


async def test_what_is_sent_under_a_name_is_had_once(jobs: JobManager) -> None:
    job = await start(jobs, "cat", input=True)
    await jobs.send(job, "one\n", once="request 1")
    await jobs.send(job, "two\n", once="request 2")
    await jobs.send(job, "one again\n", once="request 1")
    await jobs.send(job, "three\n")
    await jobs.send(job, "three\n", eof=True)
    await jobs.wait(job, 10)
    assert jobs.tail(job).text == "one\ntwo\nthree\nthree\n"
