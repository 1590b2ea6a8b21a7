"""Jobs of ended sessions are listed and ended; orphans and old output go, never without a look first."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import log_events as make
import pytest
from click.testing import CliRunner
from tool_testbed import until

from apollo_tui.cli.root import apollo
from sessions.host.lock import HostLock
from sessions.jobs import files
from sessions.jobs.manager import JobManager
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
async def paths(tmp_path: Path) -> AsyncIterator[LogPaths]:
    """A log with one session that has stopped, and its folder."""
    made = log_paths(tmp_path / "apollo.db")
    made.prepare()
    async with await LogWriter.open(made.log) as writer:
        await writer.append(make.session_created(), make.state("running"), make.state("stopped"))
    made.session_folder(make.SESSION).mkdir()
    yield made
    for folder in made.sessions.iterdir():
        await JobManager(folder).kill_all(grace=0.1)


def run(paths: LogPaths, *words: str) -> str:
    """What a command prints; it must succeed."""
    done = CliRunner().invoke(apollo, ["--log", str(paths.log), *words])
    assert done.exit_code == 0, done.output
    return done.output


def doctor_on_leftovers(paths: LogPaths, what: str = "leftovers") -> tuple[str, str]:
    """What ``doctor`` says of them."""
    told = CliRunner().invoke(apollo, ["--log", str(paths.log), "doctor", "--json"]).stdout
    return next((one["verdict"], one["said"]) for one in json.loads(told) if one["id"] == what)


async def test_a_job_of_an_ended_session_is_listed_and_ended_by_a_command(paths: LogPaths) -> None:
    folder = paths.session_folder(make.SESSION)
    job = await JobManager(folder).start(1, "exec sleep 1031", Path("/"), ENV)
    scorer = await JobManager(folder, kind="evaluations").start(1, "exec sleep 1032", Path("/"), ENV)
    (row, other) = json.loads(run(paths, "jobs", "--json"))
    assert (row["number"], row["state"], row["command"]) == (1, "stopped", "exec sleep 1031")
    assert other["id"] == f"{make.SESSION}/e1"
    assert "2 jobs of sessions that have ended" in run(paths, "jobs")
    said = await asyncio.to_thread(run, paths, "jobs", "end", "1", "1")
    assert said == "job 1 of session 1 has ended\n"
    await until(lambda: not job.holder.alive())
    assert scorer.holder.alive()
    await asyncio.to_thread(run, paths, "jobs", "end", make.SESSION[-8:], "e1")
    await until(lambda: not scorer.holder.alive())
    assert run(paths, "jobs") == "no job of this log runs\n"
    done = CliRunner().invoke(apollo, ["--log", str(paths.log), "jobs", "end", "1", "1"])
    assert done.exit_code == 1
    assert "no job 1 of session 1 runs" in done.output


async def test_a_copy_that_a_killed_host_left_is_named_first_and_goes_with_yes(paths: LogPaths) -> None:
    orphan = paths.session_folder("01ORPHANORPHANORPHANORPHAN")
    (orphan / "workspace").mkdir(parents=True)
    (orphan / "workspace" / "big").write_bytes(b"x" * 2_000_000)
    (orphan / "workspace").chmod(0o555)
    said = run(paths, "gc")
    assert str(orphan) in said
    assert "its host was killed while it made one" in said
    assert "2.0 MB in 1 place would be removed" in said
    assert orphan.exists()
    assert doctor_on_leftovers(paths) == ("warn", "2.0 MB in 1 place serve nobody: orphans, and output above the quota")
    assert "removed 2.0 MB in 1 place" in run(paths, "gc", "--yes")
    assert not orphan.exists()
    assert paths.session_folder(make.SESSION).exists()
    assert run(paths, "gc") == "nothing to remove\n"
    assert doctor_on_leftovers(paths) == ("ok", "none")


@pytest.mark.parametrize("kind", ["jobs", "evaluations"])
async def test_what_ran_and_is_not_in_the_log_is_named_and_never_removed(paths: LogPaths, kind: str) -> None:
    """A log that was restored from a backup knows nothing of what was done since."""
    lost = paths.session_folder("01LOSTLOSTLOSTLOSTLOSTLOST")
    (lost / "workspace").mkdir(parents=True)
    (lost / "workspace" / "work").write_text("three days of it")
    jobs = JobManager(lost, kind=kind)
    job = await jobs.start(1, "true", Path("/"), ENV)
    await until(lambda: not job.holder.alive())
    said = run(paths, "gc")
    assert f"{lost}: this log does not know the session, which ran 1 job: is the log an older copy?" in said
    assert "nothing to remove" in said
    assert [one["what"] for one in json.loads(run(paths, "gc", "--json").splitlines()[0])] == ["unknown"]
    assert "removed 0.0 MB in 0 places" in run(paths, "gc", "--yes")
    assert (lost / "workspace" / "work").read_text() == "three days of it"
    assert doctor_on_leftovers(paths) == ("ok", "none")
    assert doctor_on_leftovers(paths, "unknown")[1].startswith("1 folder of sessions that ran jobs")


async def test_a_session_that_a_running_host_is_making_is_no_orphan(paths: LogPaths) -> None:
    before = paths.session_folder("01BEFOREBEFOREBEFOREBEFORE")
    before.mkdir()
    os.utime(before, (1_000_000_000, 1_000_000_000))
    host = HostLock.acquire(paths.lock)
    paths.session_folder("01MAKINGMAKINGMAKINGMAKING").mkdir()
    found = json.loads(run(paths, "gc", "--json").splitlines()[0])
    host.release()
    assert [one["id"] for one in found] == [str(before)]


async def test_the_oldest_output_of_ended_sessions_goes_above_the_quota_and_living_jobs_keep_theirs(
    paths: LogPaths,
) -> None:
    jobs = JobManager(paths.session_folder(make.SESSION))
    made = []
    for number in (1, 2, 3):
        job = await jobs.start(number, f"head -c 1000000 /dev/zero; echo {number}", Path("/"), ENV)
        await jobs.wait(job, 30)
        os.utime(job.folder / files.OUTPUT, (number, number))
        made.append(job)
    living = await jobs.start(4, "head -c 1000000 /dev/zero; exec sleep 1033", Path("/"), ENV)
    await until(lambda: living.reader.total() >= 1_000_000)
    os.utime(living.folder / files.OUTPUT, (0, 0))
    assert "nothing to remove" in run(paths, "gc")  # the default is far above
    assert "in 2 places would be removed" in run(paths, "gc", "--quota", "0.0025")
    run(paths, "gc", "--quota", "0.0025", "--yes")
    assert [(job.folder / files.OUTPUT).exists() for job in (*made, living)] == [False, False, True, True]
    assert jobs.tail(made[0]).text == ""  # and who reads it is told nothing wrong
    assert (end := made[0].end()) is not None
    assert end.exit_code == 0
