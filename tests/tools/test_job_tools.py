from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tool_testbed import Bench, until

from sessions.events import JobBackgrounded, JobEnded, JobStarted
from sessions.tools.registry import TOOLS
from sessions.tools.run import RunArguments


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench.at(tmp_path)
    yield bench
    await bench.jobs.kill_all(grace=0.1)


async def test_a_command_returns_its_output_and_its_exit_code(bench: Bench) -> None:
    result = await bench.do("run", command="echo hi; echo oops >&2; exit 3")
    assert result.output.startswith("hi\noops\n[exit code 3 after ")
    assert result.outcome == "error"
    assert result.data["exit_code"] == 3
    started, ended = bench.committed[0], result.events[0]
    assert isinstance(started, JobStarted)
    assert isinstance(ended, JobEnded)
    assert (started.job, ended.job, ended.exit_code, ended.last_line) == (1, 1, 3, "oops")


async def test_a_command_runs_in_the_workspace_without_our_variables_and_without_input(bench: Bench) -> None:
    bench.env |= {"APOLLO_LOG": "/secret/log", "APOLLO_KEYS": "k", "TERM": "xterm-256color"}
    result = await bench.do("run", command="pwd; env; cat; echo end")
    assert result.output.startswith(f"{bench.workspace}\n")
    assert set(re.findall(r"^APOLLO\w*", result.output, re.M)) == {"APOLLO_JOB"}, "it names the job, and nothing else"
    assert "TERM=dumb\n" in result.output
    assert "PAGER=cat\n" in result.output
    assert "GIT_TERMINAL_PROMPT=0\n" in result.output
    assert "end\n" in result.output


async def test_a_command_that_never_ends_becomes_a_job_after_its_time_out(bench: Bench) -> None:
    result = await bench.do("run", command="echo begun; sleep 1000", timeout=0.3)
    assert result.output.startswith("begun\n[Still running after ")
    assert result.output.endswith("it goes on in the background as job 1.]")
    assert result.outcome == "timeout"
    assert result.events == (JobBackgrounded(job=1, why="timeout"),)
    job = bench.jobs.find(1)
    assert job is not None
    assert job.state == "running"


async def test_advice_now_puts_a_command_into_the_background(bench: Bench) -> None:
    running = asyncio.ensure_future(bench.do("run", command="sleep 1000"))
    await until(lambda: bench.committed)
    assert not running.done()
    bench.hurry.set()
    result = await running
    assert "job 1" in result.output
    assert "Advice has arrived" in result.output
    assert result.events == (JobBackgrounded(job=1, why="advice"),)
    assert result.outcome == "ok"


async def test_a_background_job_says_its_number_or_that_it_failed_at_once(bench: Bench) -> None:
    result = await bench.do("run", command="sleep 1000", background=True)
    assert result.output == "[Started as job 1.]"
    failed = await bench.do("run", command="exit 9", background=True)
    assert "exit code 9" in failed.output
    assert isinstance(failed.events[0], JobEnded)


async def test_the_end_of_a_background_job_is_reported_by_the_watch_and_only_there(bench: Bench) -> None:
    reported: list[JobEnded] = []

    async def note(ended: JobEnded) -> None:
        reported.append(ended)

    watch = asyncio.create_task(bench.jobs.watch(note))
    result = await bench.do("run", command="read x; echo $x", timeout=0.05, background=True)
    assert result.data["background"] == "asked"
    await bench.do("job_input", job=1, text="bye\n")
    await until(lambda: reported)
    assert (reported[0].job, reported[0].exit_code, reported[0].last_line) == (1, 0, "bye")
    quick = await bench.do("run", command="true")
    assert isinstance(quick.events[0], JobEnded)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    assert [ended.job for ended in reported] == [1]


async def test_an_interrupted_command_goes_on_as_a_job_and_is_in_the_log(bench: Bench) -> None:
    arguments = RunArguments(command="sleep 1000")
    call = asyncio.ensure_future(TOOLS["run"].run(arguments, bench.context()))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    started = [body for body in bench.committed if isinstance(body, JobStarted)]
    running = [job.number for job in bench.jobs.all() if job.state == "running"]
    assert [body.job for body in started] == running


async def test_output_that_is_no_utf_8_is_shown_replaced_and_kept_raw(bench: Bench) -> None:
    result = await bench.do("run", command=r"printf '\xff\xfe ok\n'")
    assert result.output.startswith("\ufffd\ufffd ok\n")
    assert result.blobs[0].data == b"\xff\xfe ok\n"
    assert result.data["raw"] == result.blobs[0].hash


async def test_of_an_output_beyond_the_log_the_file_is_named_with_its_size_and_hash(bench: Bench) -> None:
    size = 9 * 1024 * 1024
    result = await bench.do("run", command=f"head -c {size} /dev/zero | tr '\\0' a")
    assert "bytes of output in the middle are not kept" in result.output
    assert result.file == "jobs/1/output"
    data = (bench.context().folder / result.file).read_bytes()
    assert (result.data["output_bytes"], len(data)) == (size, size)
    assert result.data["file_sha256"] == hashlib.sha256(data).hexdigest()
    short = await bench.do("run", command="echo short")
    assert (short.file, "file_sha256" in short.data) == (None, False)


async def test_a_nul_in_a_command_and_an_unknown_job_are_failures_in_words(bench: Bench) -> None:
    assert "NUL" in await bench.failure("run", command="echo \0")
    assert await bench.failure("job_output", job=7) == "there is no job 7; no job was started yet"
    await bench.do("run", command="exit 2")
    assert "jobs: 1 (ended, exit code 2" in await bench.failure("job_kill", job=7)


async def test_processes_that_outlive_their_command_are_told(bench: Bench) -> None:
    result = await bench.do("run", command="sleep 1001 & echo up")
    assert "1 process that it started still run as part of job 1" in result.output
    killed = await bench.do("job_kill", job=1)
    assert "had ended already" in killed.output
    assert "left over are ended too" in killed.output


async def test_job_output_shows_the_newest_lines_or_goes_on_from_an_offset(bench: Bench) -> None:
    await bench.do("run", command="seq 1 100; printf '10%%\\r50%%\\r'; exec cat", background=True)
    await until(lambda: "50%" in bench.jobs.tail(bench.jobs.all()[0]).text)
    result = await bench.do("job_output", job=1, lines=2)
    assert result.output.startswith("100\n50%\n[job 1: running for ")
    since = result.data["end"]
    assert (await bench.do("job_output", job=1, since=since)).output.startswith("[job 1: running")
    await bench.do("job_input", job=1, text="more\n", eof=True)
    await until(lambda: bench.jobs.all()[0].state == "ended")
    later = await bench.do("job_output", job=1, since=since)
    assert later.output.startswith("more\n[job 1: ended, exit code 0 after ")


async def test_job_input_is_refused_where_there_is_none(bench: Bench) -> None:
    await bench.do("run", command="sleep 1000", timeout=0.05)
    assert "without an input" in await bench.failure("job_input", job=1, text="x")


async def test_a_terminal_is_given_on_request(bench: Bench) -> None:
    result = await bench.do("run", command="test -t 0 && echo a terminal", tty=True)
    assert result.output.startswith("a terminal\n")


async def test_job_kill_ends_a_job_and_says_what_it_last_wrote(bench: Bench) -> None:
    await bench.do("run", command="echo loss 0.4; sleep 1000", background=True)
    result = await bench.do("job_kill", job=1)
    assert result.output.startswith("Job 1: killed after ")
    assert result.output.endswith("Its last line was: loss 0.4")
    (event,) = result.events
    assert isinstance(event, JobEnded)
    assert event.how == "killed_by_agent"


async def test_sixteen_sessions_run_commands_at_once(tmp_path: Path) -> None:
    benches = []
    for number in range(16):
        place = tmp_path / str(number)
        place.mkdir()
        benches.append(Bench.at(place))
    results = await asyncio.gather(*(bench.do("run", command=f"echo {n}") for n, bench in enumerate(benches)))
    assert [result.output.split("\n")[0] for result in results] == [str(n) for n in range(16)]


# --- wait ---


async def test_a_wait_for_seconds_sleeps_until_then(bench: Bench) -> None:
    result = await bench.do("wait", seconds=0.05)
    assert result.data["why"] == "time"
    ((state, more),) = bench.states
    assert state == "sleeping"
    assert more["until"] > 0


async def test_a_wait_for_a_job_ends_with_it(bench: Bench) -> None:
    await bench.do("run", command="read x; exit 4", background=True)
    waiting = asyncio.ensure_future(bench.do("wait", job=1))
    await until(lambda: bench.states)
    await bench.do("job_input", job=1, text="\n")
    result = await waiting
    assert result.output.startswith("Job 1 has ended: exit code 4 after ")
    assert bench.states[0][0] == "on_job"
    assert bench.states[0][1]["job"] == 1
    bench.states.clear()
    again = await bench.do("wait", job=1, seconds=1800)
    assert again.data["why"] == "job"
    assert bench.states == []


async def test_advice_wakes_a_wait_and_the_job_goes_on(bench: Bench) -> None:
    await bench.do("run", command="echo epoch 3; sleep 1000", background=True)
    waiting = asyncio.ensure_future(bench.do("wait", job=1, seconds=1800))
    await until(lambda: bench.states)
    bench.wake.set()
    result = await waiting
    assert result.output.startswith("Woken after ")
    assert result.output.endswith("Job 1 is still running. Its newest line is: epoch 3")
    assert result.data["why"] == "advice"


async def test_a_wait_for_nothing_is_refused(bench: Bench) -> None:
    assert "say how long" in await bench.failure("wait")
    assert "no job 3" in await bench.failure("wait", job=3)
