from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from agent_testbed import Bench, assert_prompts_are_folds, assert_prompts_grow, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.agent.resume_point import NOTICES
from sessions.events.messages import Usage
from sessions.fold.budget import exhausted_budget

DONE = call("finish", summary="done")
STEPS = [call("run", command=f"echo {n}") for n in range(4)]


@pytest.mark.parametrize(
    ("limits", "name", "spec"),
    [
        (ev.Limits(steps=2), "steps", {}),
        (ev.Limits(tokens=220), "tokens", {}),
        (ev.Limits(money=0.0002), "money", {"price_input": 1.0, "price_output": 0.0}),
    ],
)
async def test_a_reached_limit_pauses_with_its_reason_and_raising_it_lets_a_resume_work(
    bench: Bench, limits: ev.Limits, name: Any, spec: dict[str, Any]
) -> None:
    session = await bench.run([*STEPS, DONE], until="paused", limits=limits, spec=spec)
    summary = bench.summary(session)
    assert (summary.step, summary.state_by, summary.need) == (2, "host", "limit")
    assert summary.reason.startswith("budget used up: ") and exhausted_budget(summary) == name
    await bench.control(session, "resume")
    await bench.until(lambda: len(bench.events(session, "session.state")) == 4, "a second pause")
    assert bench.summary(session).step == 2
    await bench.writer.append(ev.NewEvent(session, ev.LimitChanged(name=name, value=None)))
    await bench.control(session, "resume")
    await bench.state(session, "finished")


@pytest.mark.parametrize(
    ("limits", "name", "spec"),
    [
        (ev.Limits(tokens=200), "tokens", {}),
        (ev.Limits(money=0.0002), "money", {"price_input": 1.0, "price_output": 1.0}),
    ],
)
async def test_a_server_that_reports_no_usage_is_held_to_its_budget_by_an_estimate(
    bench: Bench, limits: ev.Limits, name: Any, spec: dict[str, Any]
) -> None:
    adapter = ScriptedAdapter([*STEPS, DONE], counts=False)
    session = await bench.run(adapter, until="paused", limits=limits, spec=spec)
    summary = bench.summary(session)
    assert (summary.need, exhausted_budget(summary), summary.step) == ("limit", name, 1)
    assert summary.reason.startswith("budget used up: about ")
    (request,), (reply,) = bench.bodies(session, ev.ModelRequested), bench.bodies(session, ev.ModelReplied)
    # What nobody reported is not what the server said: training and lists keep the two apart.
    assert (reply.usage, reply.cost, summary.input_tokens, summary.cost, summary.unpriced) == (None, None, 0, 0.0, 1)
    assert reply.estimate is not None
    assert reply.estimate.input_tokens == request.estimate_tokens > 200
    assert reply.estimate.output_tokens > 0
    assert summary.tokens == reply.estimate.input_tokens + reply.estimate.output_tokens


async def test_waiting_for_a_person_is_not_active_time(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("ask_human", question="Which?"), DONE])
    session = await bench.create(limits=ev.Limits(active_hours=1.0))
    bench.runner(session).start()
    await bench.state(session, "needs_you")
    bench.advance(minutes=20)
    await bench.answer(session, "A")
    await bench.state(session, "finished")
    assert bench.summary(session).active_now(bench.clock()) < 60_000


async def test_active_time_that_is_used_up_pauses_at_the_boundary(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("wait", seconds=1800), DONE])
    session = await bench.create(limits=ev.Limits(active_hours=0.5))
    bench.runner(session).start()
    await bench.state(session, "sleeping")
    bench.advance(minutes=40)
    await bench.advise(session, "Wake up.")
    await bench.state(session, "paused")
    assert "active hours" in bench.summary(session).reason
    assert not bench.events(session, "advice.delivered")


async def test_the_time_without_a_host_is_not_active(bench: Bench) -> None:
    bench.adapter = ScriptedAdapter([call("run", command="true"), call("wait", seconds=1800), DONE])
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "sleeping")
    await bench.runners[-1].close()
    bench.advance(minutes=600)
    bench.runner(session).start()
    await bench.state(session, "finished")
    assert bench.summary(session).active_now(bench.clock()) < 60_000
    assert bench.bodies(session, ev.SessionRecovered)[0].last_at < bench.clock() - 9 * 3_600_000


async def test_a_finished_task_finishes_even_at_its_limit(bench: Bench) -> None:
    session = await bench.run([*STEPS[:1], DONE], limits=ev.Limits(steps=2))
    assert bench.summary(session).step == 2


async def test_the_model_is_told_once_for_each_share_of_a_budget(bench: Bench) -> None:
    steps = [call("run", command=f"echo {n}") for n in range(19)]
    adapter = ScriptedAdapter([*steps, DONE])
    session = await bench.run(adapter, limits=ev.Limits(steps=20))
    told = {
        event.step: event.body.data[NOTICES]
        for event in bench.events(session, "action.result")
        if isinstance(event.body, ev.ActionResult) and NOTICES in event.body.data
    }
    assert told == {10: {"steps": 50}, 16: {"steps": 80}, 19: {"steps": 95}}
    results = bench.bodies(session, ev.ActionResult)
    assert results[9].shown is not None
    assert results[9].shown.text.endswith("[budget: 10 of 20 steps used]")
    assert "budget" not in results[9].output.text
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_grow(bench, session)
    assert_prompts_are_folds(bench, session)


async def test_a_new_host_does_not_tell_the_model_again(bench: Bench) -> None:
    steps = [call("run", command=f"echo {n}") for n in range(4)]
    bench.adapter = ScriptedAdapter([*steps, DONE])
    session = await bench.create(limits=ev.Limits(steps=6), start=False)
    for _ in range(4):
        runner = bench.runner(session)
        before = bench.summary(session).step
        await bench.control(session, "next")
        await bench.until(
            lambda step=before + 1: bench.summary(session).step == step and bench.summary(session).state == "paused"
        )
        await runner.close()
    told = [result.data[NOTICES] for result in bench.bodies(session, ev.ActionResult) if NOTICES in result.data]
    assert told == [{"steps": 50}]


async def test_one_evaluation_too_many_is_refused_and_pauses_but_the_last_one_does_not(bench: Bench) -> None:
    scorer = ev.EvaluateSpec(command="echo 0.5")
    turns = [call("evaluate"), call("evaluate"), call("evaluate"), DONE]
    session = await bench.run(turns, until="paused", evaluate=scorer, limits=ev.Limits(evaluations=2))
    summary = bench.summary(session)
    assert (summary.step, summary.evaluations, summary.need) == (3, 2, "limit")
    assert "evaluations" in summary.reason
    assert bench.bodies(session, ev.ActionRefused)[0].why == "limit"
    await bench.control(session, "resume")
    await bench.state(session, "finished")


async def test_evaluations_that_are_raised_after_a_refusal_let_the_session_go_on_at_the_boundary(bench: Bench) -> None:
    both = Turn("", (("evaluate", {}), ("run", {"command": "sleep 0.5"})))
    bench.adapter = ScriptedAdapter([both, call("evaluate"), DONE])
    session = await bench.create(evaluate=ev.EvaluateSpec(command="echo 0.5"), limits=ev.Limits(evaluations=0))
    bench.runner(session).start()
    await bench.until(lambda: bench.events(session, "job.started"), "the job")
    raised = ev.LimitChanged(name="evaluations", value=2)
    await bench.writer.append(ev.NewEvent(session, raised, actor="human:ann"))
    await bench.state(session, "finished", "paused")
    assert (bench.summary(session).state, bench.summary(session).evaluations) == ("finished", 1)


def long_turns(count: int) -> list[Turn]:
    return [Turn(f"Step {n}.", (("run", {"command": f"seq {n}00000 {n}00500"}),)) for n in range(1, count + 1)]


def small(threshold: int) -> dict[str, Any]:
    return {"summary_threshold": threshold}


async def test_the_earlier_half_becomes_a_summary_with_all_advice_word_for_word(bench: Bench) -> None:
    adapter = ScriptedAdapter([*long_turns(6), DONE], summaries=[Turn(f"Summary {n}.") for n in range(1, 9)])
    bench.adapter = adapter
    session = await bench.create(spec=small(7500))
    await bench.advise(session, "Never delete <results>.")
    bench.runner(session).start()
    await bench.state(session, "finished")
    summaries = bench.bodies(session, ev.SummaryWritten)
    assert summaries
    first = summaries[0]
    assert first.number == 1 and first.from_step == 1 and first.to_step >= 1
    assert first.tokens_after < first.tokens_before
    assert first.advice == bench.bodies(session, ev.AdviceDelivered)[0].text
    assert "Never delete <results>." in first.advice
    written = [e for e in bench.events(session, "model.request") if getattr(e.body, "purpose", "") == "summary"]
    assert len(written) == len(summaries) and all(event.step is None for event in written)
    replies = [e.body for e in bench.events(session, "model.reply") if e.step is None]
    assert [getattr(body, "raw_text", "") for body in replies][:1] == ["Summary 1."]
    after = next(
        e for e in bench.events(session, "model.request") if e.seq > bench.events(session, "summary.written")[0].seq
    )
    prompt = bench.prompt(session, after)
    assert [message["role"] for message in prompt[:3]] == ["system", "user", "assistant"]
    assert prompt[1]["content"].startswith("Do it.\n\nYour own summary of steps 1 to")
    assert "Summary 1." in prompt[1]["content"] and "Never delete <results>." in prompt[1]["content"]
    assert f"Step {first.to_step + 1}." in prompt[2]["content"]
    assert "Step 1." not in str(prompt)
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_grow(bench, session)
    assert_prompts_are_folds(bench, session)
    assert bench.summary(session).step == 7


async def test_a_later_summary_covers_the_earlier_one(bench: Bench) -> None:
    adapter = ScriptedAdapter([*long_turns(12), DONE], summaries=[Turn(f"Summary {n}.") for n in range(1, 20)])
    session = await bench.run(adapter, spec=small(7500))
    summaries = bench.bodies(session, ev.SummaryWritten)
    assert len(summaries) >= 2
    for before, after in pairwise(summaries):
        assert after.from_step == before.to_step + 1
        assert after.number == before.number + 1
    asked = [body for body in adapter.received if b'"purpose":"summary"' in body]
    assert b"Summary 1." in asked[1]
    last = str(bench.prompt(session, bench.events(session, "model.request")[-1]))
    assert f"Summary {len(summaries)}." in last and "Summary 1." not in last
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_grow(bench, session)
    assert_prompts_are_folds(bench, session)


async def test_summaries_are_repeated_until_there_is_room(bench: Bench) -> None:
    turns = [*long_turns(5), call("run", command="seq 100000 100700"), DONE]
    adapter = ScriptedAdapter(turns, summaries=[Turn("short")] * 9)
    session = await bench.run(adapter, spec=small(6500))
    assert all(
        e.body.estimate_tokens <= 6500
        for e in bench.events(session, "model.request")
        if isinstance(e.body, ev.ModelRequested) and e.body.purpose == "step"
    )


async def test_one_step_that_fills_the_context_needs_a_person(bench: Bench) -> None:
    session = await bench.run([call("run", command="seq 100000 103000"), DONE], until="needs_you", spec=small(3000))
    assert bench.summary(session).need == "context"


async def test_a_model_that_writes_no_summary_needs_a_person(bench: Bench) -> None:
    adapter = ScriptedAdapter([*long_turns(6), DONE], summaries=[Turn(""), Turn("")])
    session = await bench.run(adapter, until="needs_you", spec=small(7500))
    assert "no summary" in bench.summary(session).reason


async def test_summaries_count_against_the_budget(bench: Bench) -> None:
    summaries = [Turn("short", usage=Usage(1_000_000, 0))] * 9
    adapter = ScriptedAdapter([*long_turns(6), DONE], summaries=summaries)
    session = await bench.run(adapter, until="paused", spec=small(7500), limits=ev.Limits(tokens=500_000))
    assert "tokens" in bench.summary(session).reason


async def test_a_replayed_session_executes_nothing_and_advice_has_no_effect(bench: Bench) -> None:
    from sessions.importers.recording import RecordedResult

    class Recording:
        async def result(self, spec: ev.ModelSpec, step: int, call: int) -> RecordedResult:
            return RecordedResult(f"recorded {step}.{call}", "ok")

        async def is_over(self, step: int) -> bool:
            return step >= 3

    turns = [call("run", command="touch made"), Turn("only words"), call("bash_start", x=1)]
    bench.adapter = ScriptedAdapter(turns, playback=Recording())
    session = await bench.create()
    await bench.advise(session, "Turn left.")
    bench.runner(session).start()
    await bench.state(session, "finished")
    assert not (bench.workspace(session) / "made").exists()
    assert [r.output.text for r in bench.bodies(session, ev.ActionResult)] == ["recorded 1.1", "recorded 3.1"]
    assert bench.bodies(session, ev.AdviceDelivered)[0].without_effect
    assert not bench.events(session, "nudge.sent")
    assert "Turn left" not in str(bench.prompt(session, bench.events(session, "model.request")[-1]))


async def test_a_replay_keeps_what_the_model_saw_then_and_hides_nothing_of_its_own(bench: Bench) -> None:
    from sessions.importers.recording import RecordedResult

    whole = "line\n" * 10_000  # more than a live session would show
    recorded = [
        RecordedResult("readable\n", shown='{"text": "readable\\n"}'),
        RecordedResult(whole),
        RecordedResult("a\nb\nc\n", shown="a\n[cut]\nc\n", hidden_chars=2),
    ]

    class Recording:
        async def result(self, spec: ev.ModelSpec, step: int, call: int) -> RecordedResult:
            return recorded[step - 1]

        async def is_over(self, step: int) -> bool:
            return step >= 3

    bench.adapter = ScriptedAdapter([call("run", command="x")] * 3, playback=Recording())
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "finished")
    text = bench.reader.text
    seen = [
        (text(body.output), None if body.shown is None else text(body.shown), body.hidden_chars)
        for body in bench.bodies(session, ev.ActionResult)
    ]
    assert seen == [(one.output, one.shown, one.hidden_chars) for one in recorded]
