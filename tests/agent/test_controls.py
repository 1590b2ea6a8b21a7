from __future__ import annotations

import gc
from typing import Any

import pytest
from agent_testbed import Bench, assert_prompts_grow
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.events.states import ACTIVE
from sessions.jobs.manager import JobManager

MARK = "mark-of-an-observation"
DONE = call("finish", summary="done")


async def started(bench: Bench, turns: list[Turn], **more: Any) -> str:
    bench.adapter = ScriptedAdapter(turns)
    session = await bench.create(**more)
    bench.runner(session).start()
    return session


def states(bench: Bench, session: str) -> list[tuple[str, str]]:
    events = bench.events(session, "session.state")
    return [(event.body.state, event.actor) for event in events if isinstance(event.body, ev.StateChanged)]


async def test_a_created_session_waits_to_be_started(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create(start=False)
    bench.runner(session).start()
    assert bench.summary(session).state == "created"
    await bench.control(session, "start")
    await bench.state(session, "finished")
    assert states(bench, session) == [("running", "human:ann"), ("finished", "agent")]


async def test_a_pause_takes_effect_at_the_boundary_and_a_resume_goes_on_there(bench: Bench) -> None:
    gate = bench.paths.folder / "gate"
    slow = f"while [ ! -e {gate} ]; do sleep 0.01; done"
    session = await started(bench, [Turn("", (("run", {"command": slow}), ("run", {"command": "true"}))), DONE])
    await bench.until(lambda: bench.events(session, "job.started"), "the job")
    await bench.control(session, "pause")
    assert bench.summary(session).state == "running"
    gate.touch()
    await bench.state(session, "paused")
    assert len(bench.events(session, "action.result")) == 2
    assert len(bench.events(session, "model.request")) == 1
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert [who for state, who in states(bench, session) if state == "paused"] == ["human:ann"]


async def test_a_pause_that_is_taken_back_never_happens(bench: Bench) -> None:
    gate = bench.paths.folder / "gate"
    session = await started(bench, [call("run", command=f"while [ ! -e {gate} ]; do sleep 0.01; done"), DONE])
    await bench.until(lambda: bench.events(session, "job.started"), "the job")
    await bench.control(session, "pause")
    await bench.control(session, "resume")
    gate.touch()
    await bench.state(session, "finished")
    assert "paused" not in dict(states(bench, session))


async def test_next_goes_on_for_one_step_at_a_time(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("run", command=f"echo {n}") for n in range(3)] + [DONE])
    session = await bench.create(start=False)
    bench.runner(session).start()
    for step in (1, 2, 3):
        await bench.control(session, "next")
        await bench.until(
            lambda step=step: bench.summary(session).step == step and bench.summary(session).state == "paused"
        )
        assert len(bench.events(session, "action.result")) == step
    await bench.control(session, "next")
    await bench.until(lambda: bench.summary(session).step == 4 and bench.summary(session).state == "paused", "the end")
    await bench.control(session, "resume")
    await bench.state(session, "finished")


async def test_a_reply_that_is_held_does_nothing_until_a_person_lets_it(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("run", command="echo one"), call("run", command="echo two"), DONE])
    session = await bench.create(start=False)
    bench.runner(session).start()
    await bench.control(session, "hold")
    await bench.state(session, "needs_you")
    summary = bench.summary(session)
    assert (summary.need, summary.step) == ("gate", 1)
    assert summary.reason == 'the reply of step 1 is held: run {"command": "echo one"}'
    assert not bench.events(session, "action.started")
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert len(bench.events(session, "action.result")) == 3
    assert len(bench.events(session, "model.reply")) == 3, "it was asked for once"


async def test_an_interrupt_cuts_the_reply_and_pauses(bench: Bench) -> None:
    adapter = ScriptedAdapter([Turn("I will", DONE.calls, stuck=True)])
    bench.adapter = adapter
    session = await bench.create()
    bench.runner(session).start()
    await adapter.streaming.wait()
    await bench.control(session, "interrupt")
    await bench.state(session, "paused")
    assert bench.bodies(session, ev.ReplyInterrupted)[0].why == "interrupt"
    assert states(bench, session)[-1] == ("paused", "human:ann")
    adapter.turns = [DONE]
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert bench.summary(session).step == 1
    assert_prompts_grow(bench, session)


async def test_an_interrupt_lets_a_command_go_on_as_a_job_and_begins_no_other_call(bench: Bench) -> None:
    calls = (("run", {"command": "sleep 30"}), ("run", {"command": "true"}))
    session = await started(bench, [Turn("", calls), call("job_kill", job=1), DONE])
    await bench.until(lambda: bench.events(session, "job.started"), "the job")
    await bench.control(session, "interrupt")
    await bench.state(session, "paused")
    (result,) = bench.bodies(session, ev.ActionResult)
    assert (result.outcome, "goes on as job 1" in result.output.text) == ("interrupted", True)
    assert bench.bodies(session, ev.ActionRefused)[0].why == "interrupted"
    assert [job.job for job in bench.summary(session).open_jobs] == [1]
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert [(ended.job, ended.how) for ended in bench.bodies(session, ev.JobEnded)] == [(1, "killed_by_agent")]


async def test_a_stop_cuts_the_reply(bench: Bench) -> None:
    adapter = ScriptedAdapter([Turn("I will", DONE.calls, stuck=True)])
    bench.adapter = adapter
    session = await bench.create()
    bench.runner(session).start()
    await adapter.streaming.wait()
    await bench.control(session, "stop")
    await bench.state(session, "stopped")
    assert bench.bodies(session, ev.ReplyInterrupted)[0].why == "stop"
    assert states(bench, session)[-1] == ("stopped", "human:ann")


async def test_a_stop_ends_the_action_and_every_job(bench: Bench) -> None:
    calls = (("run", {"command": "sleep 60", "background": True}), ("wait", {"seconds": 1800}))
    session = await started(bench, [Turn("", calls), DONE])
    await bench.state(session, "sleeping")
    await bench.control(session, "stop")
    await bench.state(session, "stopped")
    assert bench.bodies(session, ev.ActionResult)[-1].outcome == "interrupted"
    assert [(ended.job, ended.how) for ended in bench.bodies(session, ev.JobEnded)] == [(1, "killed_by_host")]
    assert not bench.summary(session).open_jobs
    job = bench.jobs_for(session).find(1)
    assert job is not None and job.state == "ended"
    await bench.control(session, "reopen")
    await bench.state(session, "finished")


async def test_finishing_ends_what_still_runs(bench: Bench) -> None:
    session = await started(bench, [call("run", command="sleep 60", background=True), DONE])
    await bench.state(session, "finished")
    assert [ended.how for ended in bench.bodies(session, ev.JobEnded)] == ["killed_by_host"]


async def test_a_finished_session_that_is_reopened_goes_on_and_can_finish_again(bench: Bench) -> None:
    session = await started(bench, [DONE, call("run", command="echo more"), DONE])
    await bench.state(session, "finished")
    await bench.advise(session, "There is more to do.")
    assert bench.summary(session).step == 1
    await bench.control(session, "reopen")
    await bench.until(lambda: bench.summary(session).step == 3 and bench.summary(session).state == "finished", "it")
    assert bench.bodies(session, ev.AdviceDelivered)[0].at_step == 2
    assert_prompts_grow(bench, session)


async def test_a_held_session_pauses_by_the_host_keeps_its_jobs_and_can_be_resumed(bench: Bench) -> None:
    gate = bench.paths.folder / "gate"
    slow = f"while [ ! -e {gate} ]; do sleep 0.01; done"
    calls = (("run", {"command": "sleep 60", "background": True}), ("run", {"command": slow}))
    session = await started(bench, [Turn("", calls), call("job_kill", job=1), DONE])
    await bench.until(lambda: len(bench.events(session, "job.started")) == 2, "the jobs")
    bench.runners[-1].hold("the host stops")
    gate.touch()
    await bench.state(session, "paused")
    summary = bench.summary(session)
    assert (summary.state_by, summary.reason) == ("host", "the host stops")
    assert [job.job for job in summary.open_jobs] == [1]
    bench.runners[-1].resume()
    await bench.state(session, "finished")


async def test_a_new_runner_that_is_held_pauses_before_it_does_anything(bench: Bench) -> None:
    session = await started(bench, [call("wait", seconds=1800), DONE])
    await bench.state(session, "sleeping")
    await bench.runners[-1].close()
    bench.runner(session).hold("the machine was rebooted")
    await bench.state(session, "paused")
    assert not bench.events(session, "action.result")
    await bench.control(session, "resume")
    await bench.until(lambda: bench.summary(session).state in ACTIVE, "the resume")
    await bench.advise(session, "Wake up.")
    await bench.state(session, "finished")
    assert len(bench.events(session, "action.started")) == 2


# --- questions ---


async def test_a_question_is_open_until_it_is_answered(bench: Bench) -> None:
    session = await started(bench, [call("ask_human", question="Which  one?\nA or B?"), DONE])
    await bench.state(session, "needs_you")
    summary = bench.summary(session)
    assert (summary.need, summary.question, summary.reason) == ("question", 1, "Which one? A or B?")
    assert summary.doing == "ask_human"
    await bench.answer(session, "B")
    await bench.state(session, "finished")
    assert bench.bodies(session, ev.ActionResult)[0].output.text == "B"
    assert not bench.summary(session).open_question


async def test_a_question_answers_itself_after_its_time(bench: Bench) -> None:
    session = await started(bench, [call("ask_human", question="Which?", timeout_minutes=0.005), DONE])
    await bench.state(session, "finished")
    assert bench.bodies(session, ev.QuestionAnswered)[0].timed_out
    assert "judgement" in bench.bodies(session, ev.ActionResult)[0].output.text


async def test_a_question_stays_open_across_a_pause_and_a_restart(bench: Bench) -> None:
    session = await started(bench, [call("ask_human", question="Which?"), DONE])
    await bench.state(session, "needs_you")
    await bench.control(session, "pause")
    await bench.state(session, "paused")
    await bench.runners[-1].close()
    bench.runner(session).start()
    assert bench.summary(session).open_question == "Which?"
    await bench.control(session, "resume")
    await bench.state(session, "needs_you")
    await bench.answer(session, "B")
    await bench.state(session, "finished")
    assert len(bench.events(session, "question.asked")) == 1
    assert len(bench.events(session, "action.started")) == 2


async def test_a_question_goes_with_the_session_that_is_stopped(bench: Bench) -> None:
    session = await started(bench, [call("ask_human", question="Which?"), DONE])
    await bench.state(session, "needs_you")
    await bench.control(session, "stop")
    await bench.state(session, "stopped")
    assert not bench.summary(session).open_question


async def test_a_stop_that_comes_a_moment_after_the_end_changes_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    session = await bench.run([DONE])
    await bench.control(session, "stop")
    await bench.control(session, "reopen")
    await bench.until(lambda: len(bench.events(session, "session.state")) > 2, "it goes on")
    assert [name for name, _ in states(bench, session)][:3] == ["running", "finished", "running"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_session_at_rest_holds_no_prompt_in_memory_and_goes_on_from_the_log(bench: Bench) -> None:
    def kept() -> bool:
        lists = (one for one in gc.get_objects() if type(one) is list)
        return any(type(item) is dict and MARK in str(item.get("content")) for one in lists for item in one)

    session = await bench.run([Turn("", (("run", {"command": f"echo {MARK[:4]}-{MARK[5:]}"}),)), DONE, DONE])
    await bench.until(lambda: not kept(), "no message of the prompt is left")
    await bench.control(session, "reopen")
    await bench.until(lambda: bench.summary(session).step == 3 and bench.summary(session).state == "finished", "again")
    assert_prompts_grow(bench, session)


async def test_a_watch_over_jobs_that_breaks_is_said_the_session_goes_on_and_so_does_the_watch(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.agent.runner.LOG_PAUSE", 0.2)
    watch = JobManager.watch
    broken: list[int] = []

    async def breaks_once(jobs: JobManager, *rest: Any) -> None:
        if not broken:
            broken.append(1)
            raise OSError("too many open files")
        await watch(jobs, *rest)

    monkeypatch.setattr(JobManager, "watch", breaks_once)
    session = await bench.run([call("run", command="sleep 0.05", background=True), call("wait", job=1), DONE])
    assert "its jobs cannot be watched" in caplog.text
    assert bench.summary(session).step == 3
    await bench.until(lambda: not bench.summary(session).open_jobs, "the end of the job")
