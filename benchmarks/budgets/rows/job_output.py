"""While a job prints a hundred megabytes a second and its output is followed: a key's way to the screen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.budgets.figures import Figure, listed, median, percentile
from benchmarks.budgets.load import stop_host
from benchmarks.budgets.machine import Contention
from benchmarks.budgets.pty_program import Program
from benchmarks.budgets.rows.stream import APP, UNPAINTED, latencies
from sessions import events as ev
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths, log_paths
from sessions.ulid import new_ulid

RATE: Final = 100_000_000
"""Bytes a second that the job prints."""
PRINTS: Final = f"""
import os, time
line = "step {{:09d}}  loss 2.4974  lr 0.003  tokens/s 51234  grad norm 0.8123\\n"
block = "".join(line.format(n) for n in range(4000)).encode()
began, done = time.monotonic(), 0
while True:
    done += os.write(1, block[done % len(block):])
    ahead = done / {RATE} - (time.monotonic() - began)
    if ahead > 0.002:
        time.sleep(ahead)
"""


def keys(folder: Path, quick: bool) -> Iterator[Figure]:
    """Letters into the search field over an output that is followed, against the app that does not paint it."""
    count, runs = (150, 3) if quick else (500, 5)
    painted: list[list[float]] = []
    control: list[list[float]] = []
    others, rates = [], []
    with _printing(folder) as (paths, job):
        try:
            for _ in range(runs):
                for found, unpainted in ((control, True), (painted, False)):
                    command = [*UNPAINTED, str(paths.log)] if unpainted else [*APP, "--log", str(paths.log)]
                    with Program(command) as program:
                        program.until("printer")
                        program.pump(3.0)
                        program.send("J")
                        program.until("pid ")
                        program.type("J", pause=1.5)
                        busy = Contention([program.pid, *_pids(job)])
                        before, began = job.reader.total(), time.monotonic()
                        found.append(latencies(program, count, "/"))
                        rates.append((job.reader.total() - before) / (time.monotonic() - began) / 1e6)
                        others.append(busy.percent())
        finally:
            stop_host(paths.log)
    tops = [[percentile(run, 0.99) for run in side] for side in (painted, control)]
    middles = [median(percentile(run, 0.5) for run in side) for side in (painted, control)]
    worst = [max(max(run) for run in side) for side in (painted, control)]
    raw = (
        f"p99 {listed(tops[0])} against {listed(tops[1])} ms; p50 {middles[0]:.1f} against {middles[1]:.1f}; "
        f"max {worst[0]:.0f} against {worst[1]:.0f}; {runs} runs of {count} keys; {listed(rates)} MB/s"
    )
    ratio = median(tops[0]) / median(tops[1])
    what = "job output of 100 MB/s followed live: key to paint, p99, against no painting"
    yield Figure(what, ratio, "×", 1.6, 1.3, raw, median(others))


@contextlib.contextmanager
def _printing(folder: Path) -> Iterator[tuple[LogPaths, Job]]:
    """A log with one paused session, whose job prints; the job is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["APOLLO_CONFIG"] = str(folder / "no-config.toml")
    paths = log_paths(folder / "output.sqlite")
    paths.prepare()
    session = new_ulid()
    jobs = JobManager(paths.session_folder(session))
    job = asyncio.run(_begin(paths, session, jobs, folder))
    try:
        yield paths, job
    finally:
        asyncio.run(_end(jobs, job))


async def _begin(paths: LogPaths, session: str, jobs: JobManager, folder: Path) -> Job:
    script = folder / "printer.py"
    script.write_text(PRINTS)
    command = f"exec {sys.executable} {script}"
    job = await jobs.start(1, command, folder, {"PATH": os.environ["PATH"]}, origin="1.1")
    writer = await LogWriter.open(paths.log)
    model = ev.ModelSpec(provider="demo", name="steady")
    made = ev.SessionCreated(number=1, title="printer", task="Print.", model=model)
    begun = ev.ActionStarted(call_id="c1", name="run", arguments={"command": command, "background": True})
    await writer.append(
        ev.NewEvent(session, made, None, None, "host", None),
        ev.NewEvent(session, ev.StateChanged(state="running"), None, None, "host", None),
        ev.NewEvent(session, begun, 1, 1, "agent", None),
        ev.NewEvent(session, job.start_event(), 1, 1, "host", None),
        ev.NewEvent(session, ev.StateChanged(state="paused"), None, None, "human:bench", None),
    )
    await writer.close()
    return job


async def _end(jobs: JobManager, job: Job) -> None:
    await jobs.kill(job, by="host", grace=0.5)


def _pids(job: Job) -> list[int]:
    """The processes that make the load."""
    return [job.holder.pid, *([job.child.pid] if job.child is not None else [])]
