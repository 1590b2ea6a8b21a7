from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_testbed import Bench, assert_prompts_are_folds, assert_prompts_grow, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.agent.advice import describe_target
from sessions.agent.boundary import Boundary
from sessions.agent.session import Session
from sessions.jobs.manager import JobManager

DONE = call("finish", summary="done")

MINUTE_MS = 60_000


def user_turns(bench: Bench, session: str) -> list[str]:
    last = bench.prompt(session, bench.events(session, "model.request")[-1])
    return [message["content"] for message in last if message["role"] == "user"]


async def started(bench: Bench, turns: list[Turn], **more: Any) -> str:
    bench.adapter = ScriptedAdapter(turns)
    session = await bench.create(**more)
    bench.runner(session).start()
    return session


async def test_advice_is_one_user_turn_in_order_after_the_observations(bench: Bench) -> None:
    gate = bench.paths.folder / "gate"
    session = await started(bench, [call("run", command=f"while [ ! -e {gate} ]; do sleep 0.01; done"), DONE])
    await bench.until(lambda: bench.summary(session).doing == "run", "the command")
    await bench.advise(session, "Be careful.")
    await bench.advise(session, "Be quick.", about_text="About step 1 (`run`):")
    assert bench.summary(session).state == "running"
    gate.touch()
    await bench.state(session, "finished")
    (delivered,) = bench.bodies(session, ev.AdviceDelivered)
    assert (delivered.advice, delivered.at_step, delivered.channel, delivered.woke) == ((1, 2), 2, "user", False)
    text = (
        "<advice-n0nce>\nBe careful.\n</advice-n0nce>\n\n"
        "<advice-n0nce>\nAbout step 1 (`run`):\nBe quick.\n</advice-n0nce>"
    )
    assert delivered.text == text
    last = bench.prompt(session, bench.events(session, "model.request")[-1])
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool", "user"]
    assert last[-1]["content"] == text
    assert "<advice-n0nce>" in last[0]["content"]


async def test_advice_before_the_first_step_follows_the_task(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create()
    await bench.advise(session, "Finish at once.")
    bench.runner(session).start()
    await bench.state(session, "finished")
    assert user_turns(bench, session)[0] == "Do it."
    assert "Finish at once." in user_turns(bench, session)[1]


async def test_a_tag_inside_advice_cannot_end_it(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create()
    await bench.advise(session, "a </advice-n0nce> b")
    bench.runner(session).start()
    await bench.state(session, "finished")
    assert bench.bodies(session, ev.AdviceDelivered)[0].text.count("</advice-n0nce>") == 1


async def test_edited_advice_arrives_as_edited_and_withdrawn_advice_does_not(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create()
    await bench.advise(session, "one")
    await bench.advise(session, "two")
    await bench.writer.append(
        ev.NewEvent(session, ev.AdviceEdited(advice=1, text="one, better")),
        ev.NewEvent(session, ev.AdviceWithdrawn(advice=2)),
    )
    bench.runner(session).start()
    await bench.state(session, "finished")
    (delivered,) = bench.bodies(session, ev.AdviceDelivered)
    assert delivered.advice == (1,)
    assert "one, better" in delivered.text


async def test_held_advice_does_not_hold_up_the_next_step(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("run", command="true"), call("wait", seconds=600), DONE])
    session = await bench.create()
    await bench.advise(session, "later", hold_ms=MINUTE_MS)
    bench.runner(session).start()
    await bench.until(lambda: bench.summary(session).doing == "wait", "the wait")
    bench.let_pass(MINUTE_MS)
    await bench.state(session, "finished")
    (delivered,) = bench.bodies(session, ev.AdviceDelivered)
    assert delivered.at_step == 3
    assert delivered.woke


async def test_held_advice_is_waited_for_before_the_session_finishes(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([DONE, call("run", command="echo more"), DONE])
    session = await bench.create()
    await bench.advise(session, "Not yet.", hold_ms=MINUTE_MS)
    bench.runner(session).start()
    await bench.until(lambda: bench.events(session, "action.result"), "the result")
    bench.let_pass(MINUTE_MS)
    await bench.state(session, "finished")
    assert bench.summary(session).step == 3
    assert bench.bodies(session, ev.AdviceDelivered)[0].at_step == 2


async def test_held_advice_that_is_withdrawn_lets_the_session_finish(bench: Bench) -> None:
    session = await started(bench, [DONE])
    await bench.until(lambda: bench.summary(session).step == 1, "the first step")
    session = await bench.create()
    await bench.advise(session, "Not yet.", hold_ms=3_600_000)
    bench.runner(session).start()
    await bench.until(lambda: bench.events(session, "action.result"), "the result")
    assert bench.summary(session).state == "running"
    await bench.writer.append(ev.NewEvent(session, ev.AdviceWithdrawn(advice=1)))
    bench.runners[-1].look_for_advice()
    await bench.state(session, "finished")
    assert bench.summary(session).step == 1


async def test_advice_whose_withdrawal_is_being_stored_is_not_delivered(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([])
    session = await bench.create(start=False)
    await bench.advise(session, "Wait.")
    await bench.writer.append(ev.NewEvent(session, ev.StateChanged(state="running")))
    running = Session(session, bench.services())
    withdrawn = ev.NewEvent(session, ev.AdviceWithdrawn(advice=1, to_draft=True))
    withdrawing = asyncio.create_task(bench.writer.append(withdrawn))
    await asyncio.sleep(0)
    assert await Boundary(running).decide(running.resume_point()) == "request"
    await withdrawing
    assert not bench.bodies(session, ev.AdviceDelivered)


async def test_advice_that_is_being_stored_keeps_a_session_from_finishing(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([])
    session = await bench.create(start=False)
    await bench.writer.append(ev.NewEvent(session, ev.StateChanged(state="running")))
    running = Session(session, bench.services())
    advising = asyncio.create_task(bench.advise(session, "One more thing."))
    await asyncio.sleep(0)
    await running.end("finished", "agent")
    await advising
    assert bench.summary(session).state == "running"


async def test_advice_wakes_a_sleeping_agent_and_the_log_says_so(bench: Bench) -> None:
    session = await started(bench, [call("wait", seconds=1800), DONE])
    await bench.state(session, "sleeping")
    await bench.advise(session, "Look at the loss.")
    await bench.state(session, "finished")
    assert "Woken" in bench.bodies(session, ev.ActionResult)[0].output.text
    assert bench.bodies(session, ev.AdviceDelivered)[0].woke


async def test_a_question_is_not_asked_while_advice_waits(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("ask_human", question="Which?"), DONE])
    session = await bench.create()
    await bench.advise(session, "The second.", hold_ms=MINUTE_MS)
    bench.runner(session).start()
    await bench.until(lambda: bench.events(session, "action.refused"), "the question that is not asked")
    bench.let_pass(MINUTE_MS)
    await bench.state(session, "finished")
    assert bench.bodies(session, ev.ActionRefused)[0].why == "skipped_for_advice"
    assert not bench.events(session, "question.asked")
    assert bench.bodies(session, ev.AdviceDelivered)[0].at_step == 2


# --- now ---


async def test_advice_now_cuts_a_reply_which_is_logged_and_never_in_the_context(bench: Bench) -> None:
    adapter = ScriptedAdapter([Turn("I will kill the job", (("run", {"command": "echo no"}),), stuck=True)])
    bench.adapter = adapter
    session = await bench.create()
    bench.runner(session).start()
    await adapter.streaming.wait()
    adapter.turns = [DONE]
    await bench.advise(session, "Do not.", now=True)
    await bench.state(session, "finished")
    (interrupted,) = bench.bodies(session, ev.ReplyInterrupted)
    assert interrupted.why == "advice"
    assert [part.text for part in interrupted.parts if part.__class__.__name__ == "TextPart"] == ["I will kill the job"]
    assert [body.name for body in bench.bodies(session, ev.ActionStarted)] == ["finish"]
    requests = bench.events(session, "model.request")
    assert [event.step for event in requests] == [1, 1]
    assert "I will kill" not in str(bench.prompt(session, requests[-1]))
    assert "Do not." in user_turns(bench, session)[-1]
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_grow(bench, session)
    assert_prompts_are_folds(bench, session)


async def test_advice_now_puts_a_command_into_the_background_and_skips_what_has_not_begun(bench: Bench) -> None:
    gate = bench.paths.folder / "gate"
    waits = f"while [ ! -e {gate} ]; do sleep 0.01; done; echo ended"
    calls = (("run", {"command": waits}), ("write_file", {"path": "a", "content": "x"}), ("plan", "nonsense"))
    session = await started(bench, [Turn("", calls), call("wait", job=1), DONE])
    await bench.until(lambda: bench.events(session, "job.started"), "the job")
    await bench.advise(session, "Leave it running.", now=True)
    await bench.until(lambda: bench.events(session, "advice.delivered"), "the delivery")
    assert bench.bodies(session, ev.JobBackgrounded)[0].why == "advice"
    refused = bench.bodies(session, ev.ActionRefused)
    assert [(each.name, each.why) for each in refused] == [("write_file", "skipped_for_advice"), ("plan", "malformed")]
    assert not (bench.workspace(session) / "a").exists()
    gate.touch()
    await bench.state(session, "finished")
    assert [ended.exit_code for ended in bench.bodies(session, ev.JobEnded)] == [0]
    assert len(bench.events(session, "job.started")) == 1


async def test_advice_now_during_the_wait_between_attempts_is_delivered_at_once(bench: Bench) -> None:
    from sessions.agent.session import RetryPolicy
    from sessions.providers.base import ProviderError

    bench.retry = RetryPolicy(attempts=3, first=3600, cap=3600)
    session = await started(bench, [Turn("", DONE.calls, errors=(ProviderError("server", "down"),))])
    await bench.until(lambda: bench.events(session, "model.attempt_failed"), "a failed attempt")
    await bench.advise(session, "Go on.", now=True)
    await bench.state(session, "finished")
    assert len(bench.events(session, "model.request")) == 2
    assert bench.bodies(session, ev.ModelReplied)[0].attempt == 1


# --- what it is about ---


async def test_what_advice_is_about_names_the_call_and_its_job(bench: Bench) -> None:
    two = (("job_kill", {"job": 7}), ("run", {"command": "true"}))
    session = await bench.run([Turn("", two), call("run", command="true"), DONE])

    def about(step: int, **more: Any) -> str:
        return describe_target(bench.reader, session, ev.Target(step, **more))

    assert about(1, part="call", call=1) == "About step 1 (`job_kill`, job 7):"
    assert about(1, part="call", call=2) == "About step 1 (`run`):"
    assert about(2) == "About step 2 (`run`):"
    assert about(1) == "About step 1:"
    assert about(2, part="span", to_step=5) == "About steps 2 to 5:"


@pytest.mark.parametrize("state", ["paused", "needs_you"])
async def test_advice_to_a_resting_session_waits_until_it_is_resumed(bench: Bench, state: str) -> None:
    bench.adapter = ScriptedAdapter([DONE])
    session = await bench.create(start=False)
    await bench.writer.append(
        ev.NewEvent(session, ev.StateChanged(state=state, need="other" if state != "paused" else ""))
    )  # type: ignore[arg-type]
    bench.runner(session).start()
    await bench.advise(session, "Hello.")
    assert bench.summary(session).open_advice
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert "Hello." in user_turns(bench, session)[1]


async def test_advice_that_comes_while_the_last_jobs_end_is_delivered_before_the_session_finishes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_all = JobManager.kill_all
    asked: list[int] = []

    async def slow(manager: JobManager) -> object:
        if not asked:
            asked.append(await bench.advise(session, "Not yet: look at the plot."))
        return await kill_all(manager, grace=0.1)

    monkeypatch.setattr(JobManager, "kill_all", slow)
    bench.adapter = ScriptedAdapter([call("run", command="sleep 60", background=True), DONE, DONE])
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "finished")
    assert asked == [1]
    assert [given.advice for given in bench.bodies(session, ev.AdviceDelivered)] == [(1,)]
    assert not bench.summary(session).open_advice
    assert [ended.job for ended in bench.bodies(session, ev.JobEnded)] == [1]
    assert bench.summary(session).step == 3
