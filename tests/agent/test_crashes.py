from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from agent_testbed import Bench, FragileWriter, FullDisk, assert_prompts_are_folds, assert_prompts_grow, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.agent.runner import SessionRunner
from sessions.agent.session import Session
from sessions.events.messages import CallPart
from sessions.jobs.manager import JobManager
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader
from sessions.providers.base import ProviderError

DONE = call("finish", summary="done")
UNKNOWN = {"unknown", "interrupted"}


def effect(name: str, *, then: str = "true") -> tuple[str, dict[str, Any]]:
    return "run", {"command": f"echo {name} >> effects; {then}"}


WORK = [
    Turn("One.", (effect("a"),), errors=(ProviderError("server", "busy", status=503),)),
    Turn("", (effect("b"), ("write_file", {"path": "f", "content": "x"}), ("run", "{oops"), ("plan", {"items": []}))),
    Turn("I stop here, or do I?"),
    Turn("", (("run", {"command": "sleep 0.1; echo c >> effects", "background": True}), ("wait", {"job": 3}))),
    call("ask_human", question="Shall I?", timeout_minutes=0.002),
    call("evaluate"),
    DONE,
]


class Host:
    """Hosts one after another over one session: each has a runner, jobs and a writer that may die, of its own."""

    def __init__(self, bench: Bench, turns: Sequence[Turn], summaries: Sequence[Turn] = ()) -> None:
        self.bench = bench
        # The server outlives the hosts: what it was sent, and which attempt it is, it alone knows.
        self.server = ScriptedAdapter(turns, summaries)
        self.crashes = 0

    async def live(self, session: str, commits: int, *, stored: bool = True) -> int:
        """Run until the session finishes or the host dies at write set ``commits``; returns how many there were."""
        bench = self.bench
        writer = FragileWriter(bench.writer, commits, stored=stored)
        jobs = JobManager(bench.paths.session_folder(session))
        services = replace(bench.services(writer), adapter_for=lambda _: self.server, jobs_for=lambda _: jobs)
        runner = SessionRunner(Session(session, services))
        runner.start()
        await bench.until(lambda: writer.dead.is_set() or bench.summary(session).state == "finished", "an end")
        self.crashes += bench.summary(session).state != "finished"
        await runner.close()
        return commits - writer.left


async def begin(bench: Bench, **more: Any) -> str:
    scorer = ev.EvaluateSpec(command="echo 0.5")
    session = await bench.create(evaluate=scorer, limits=ev.Limits(steps=14, evaluations=3), **more)
    await bench.advise(session, "Take care.")
    return session


async def crash_everywhere(bench: Bench, stored: bool, turns: Sequence[Turn], *summaries: Turn, **more: Any) -> int:
    """One session for each write set, whose host dies there; all end as scripted. Returns how many there are."""
    whole = Host(bench, turns, summaries)
    session = await begin(bench, **more)
    edges = await whole.live(session, 1000)
    check(bench, whole, session, turns)
    room = asyncio.Semaphore(8)

    async def crash_at(edge: int) -> None:
        async with room:
            host = Host(bench, turns, summaries)
            session = await begin(bench, **more)
            await host.live(session, edge, stored=stored)
            assert host.crashes == 1
            await host.live(session, 1000)
            check(bench, host, session, turns)

    await asyncio.gather(*(crash_at(edge) for edge in range(1, edges + (not stored))))
    return edges


def check(bench: Bench, host: Host, session: str, turns: Sequence[Turn]) -> None:
    """Every scenario ends as scripted, whatever happened on the way."""
    assert bench.summary(session).state == "finished"
    replies = [e for e in bench.events(session, "model.reply") if e.step is not None]
    assert [event.step for event in replies] == list(range(1, len(turns) + 1))
    started = Counter((event.step, event.call) for event in bench.events(session, "action.started"))
    assert set(started.values()) <= {1}
    ended = Counter((e.step, e.call) for e in bench.events(session, "action.result", "action.refused"))
    calls = {
        (event.step, number)
        for event in replies
        for number, _ in enumerate([p for p in event.body.parts if isinstance(p, CallPart)], 1)  # type: ignore[attr-defined]
    }
    assert ended == Counter(calls)
    lost = [result for result in bench.bodies(session, ev.ActionResult) if result.outcome in UNKNOWN]
    assert len(lost) <= host.crashes
    effects = bench.workspace(session) / "effects"
    done = Counter(effects.read_text().split()) if effects.exists() else Counter()
    assert set(done.values()) <= {1}
    wanted = {"a", "b", "c"} if turns is WORK else set()
    assert len(wanted - set(done)) <= len(lost)
    delivered = [number for body in bench.bodies(session, ev.AdviceDelivered) for number in body.advice]
    assert delivered == [1]
    assert not bench.summary(session).open_jobs
    assert all(job.state == "ended" for job in bench.jobs_for(session).all())
    jobs = Counter(body.job for body in bench.bodies(session, ev.JobStarted))
    assert set(jobs.values()) <= {1}
    assert jobs == Counter(body.job for body in bench.bodies(session, ev.JobEnded))
    assert_rebuilds(bench, session, host.server.received)
    assert_prompts_grow(bench, session)
    assert_prompts_are_folds(bench, session)


@pytest.mark.parametrize("stored", [True, False], ids=["just after", "just before"])
async def test_a_host_may_die_at_every_commit(bench: Bench, stored: bool) -> None:
    assert await crash_everywhere(bench, stored, WORK) > 40


@pytest.mark.parametrize("stored", [True, False], ids=["just after", "just before"])
async def test_a_host_may_die_while_a_context_is_shortened(bench: Bench, stored: bool) -> None:
    turns = [*(call("plan", items=[{"text": f"{n} " + 3000 * "x"}]) for n in range(6)), DONE]
    spec = {"summary_threshold": 5000}
    summaries = [Turn("I searched.")] * 20
    assert await crash_everywhere(bench, stored, turns, *summaries, spec=spec) > 20


@pytest.mark.parametrize("commits", [2, 3])
async def test_a_host_that_dies_again_and_again_still_gets_there(bench: Bench, commits: int) -> None:
    host = Host(bench, WORK)
    session = await begin(bench)
    while bench.summary(session).state != "finished":
        # Taking over is a commit of its own; with one more there is always some progress.
        await host.live(session, commits)
        assert host.crashes < 80
    check(bench, host, session, WORK)
    assert host.crashes > 8


async def test_the_end_of_a_job_that_a_full_disk_kept_out_of_the_log_is_told_when_there_is_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.agent.runner.LOG_PAUSE", 0.01)
    bench.adapter = ScriptedAdapter([call("run", command="sleep 0.5", background=True), call("wait", seconds=60), DONE])
    disk = FullDisk(bench.writer, "job.ended")
    session = await bench.create()
    bench.runner(session, disk).start()
    await bench.until(lambda: disk.refused and not bench.summary(session).open_jobs, "the end of the job in the log")
    assert [body.how for body in bench.bodies(session, ev.JobEnded)] == ["exited"]


async def test_a_command_whose_result_a_full_disk_kept_out_of_the_log_leaves_no_job_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.agent.runner.LOG_PAUSE", 0.01)
    bench.adapter = ScriptedAdapter([call("run", command="echo hello"), DONE])
    disk = FullDisk(bench.writer, "action.result")
    session = await bench.create()
    bench.runner(session, disk).start()
    await bench.state(session, "finished")
    assert disk.refused == 1
    assert [body.exit_code for body in bench.bodies(session, ev.JobEnded)] == [0]
    assert not bench.summary(session).open_jobs
    assert "hello" in bench.bodies(session, ev.ActionResult)[0].output.text


async def test_a_job_that_ends_with_its_session_on_a_full_disk_does_not_stay_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.agent.runner.LOG_PAUSE", 0.01)
    sleeping = call("run", command="sleep 600", background=True)
    bench.adapter = ScriptedAdapter([sleeping, call("wait", seconds=600)])
    disk = FullDisk(bench.writer, "job.ended")
    session = await bench.create()
    bench.runner(session, disk).start()
    await bench.state(session, "sleeping")
    await bench.control(session, "stop")
    await bench.until(lambda: disk.refused, "the full disk")
    await bench.until(lambda: not bench.summary(session).open_jobs, "the end of the job")


async def test_a_session_whose_log_cannot_be_read_says_so_once_and_tries_again_in_peace(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.agent.runner.LOG_PAUSE", 0.01)
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create(start=False)
    services = replace(bench.services(), reader=cast(LogReader, OutOfOrder(bench.reader)))
    runner = SessionRunner(Session(session, services))
    bench.runners.append(runner)
    runner.start()
    await bench.until(lambda: len(bench.slept) >= 3 or bench.summary(session).last_seq > 20, "three tries")
    assert [body.state for body in bench.bodies(session, ev.StateChanged)] == ["needs_you"]


class OutOfOrder:
    """A reader that can say how a session began, and nothing else."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def events(self, session: str, **more: Any) -> list[ev.Event]:
        if more == {"limit": 1}:
            return self._reader.events(session, limit=1)
        raise LogReadFailed("the log could not be read: disk I/O error")
