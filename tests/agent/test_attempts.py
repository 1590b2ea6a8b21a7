from __future__ import annotations

import random

import pytest
from agent_testbed import Bench, assert_prompts_grow, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.agent.attempts import backoff_seconds
from sessions.agent.session import RetryPolicy
from sessions.events.messages import TextPart
from sessions.providers.base import ProviderError, Reason
from sessions.providers.registry import adapter_for

DONE = call("finish", summary="done")


def failing(*errors: ProviderError) -> list[Turn]:
    return [Turn("thinking", DONE.calls, errors=errors)]


@pytest.mark.parametrize("reason", ["rate_limit", "overloaded", "server", "timeout", "connection", "cut"])
async def test_what_may_pass_is_tried_again_and_each_attempt_is_in_the_log(bench: Bench, reason: Reason) -> None:
    errors = (ProviderError(reason, "one", status=429), ProviderError(reason, "two"))
    session = await bench.run(failing(*errors))
    failed = bench.bodies(session, ev.ModelAttemptFailed)
    assert [(f.attempt, f.reason, f.status, f.message) for f in failed] == [
        (1, reason, 429, "one"),
        (2, reason, None, "two"),
    ]
    assert all(f.retry_ms is not None and f.partial == (TextPart("thinking"), f.partial[1]) for f in failed)
    assert bench.bodies(session, ev.ModelReplied)[0].attempt == 3
    assert len(bench.events(session, "model.request")) == 1
    assert {attempt for _, _, attempt, _ in bench.deltas} == {1, 2, 3}


async def test_after_the_last_attempt_a_person_is_needed_and_a_resume_sends_the_same_request(bench: Bench) -> None:
    errors = tuple(ProviderError("server", f"error {n}", status=500) for n in range(1, 5))
    session = await bench.run(failing(*errors), until="needs_you")
    summary = bench.summary(session)
    assert (summary.need, "3 attempts" in summary.reason, "error 3" in summary.reason) == ("provider", True, True)
    assert [f.retry_ms is None for f in bench.bodies(session, ev.ModelAttemptFailed)] == [False, False, True]
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert [f.attempt for f in bench.bodies(session, ev.ModelAttemptFailed)] == [1, 2, 3, 4]
    assert bench.bodies(session, ev.ModelReplied)[0].attempt == 5
    assert len(bench.events(session, "model.request")) == 1


@pytest.mark.parametrize("reason", ["refused", "fatal"])
async def test_what_cannot_pass_needs_a_person_at_once(bench: Bench, reason: Reason) -> None:
    session = await bench.run(failing(ProviderError(reason, "no such model", status=404)), until="needs_you")
    summary = bench.summary(session)
    assert summary.need == "provider"
    assert "no such model" in summary.reason
    assert len(bench.bodies(session, ev.ModelAttemptFailed)) == 1


async def test_a_missing_key_names_its_variable(bench: Bench) -> None:
    error = ProviderError("refused", "no key", status=401, need_key="ZAI_API_KEY")
    session = await bench.run(failing(error), until="needs_you")
    assert bench.summary(session).need == "key"
    assert "set ZAI_API_KEY" in bench.summary(session).reason


async def test_retry_after_is_waited_for(bench: Bench) -> None:
    bench.retry = RetryPolicy(attempts=3, first=0.001, cap=0.002, retry_after_cap=0.05)
    session = await bench.run(failing(ProviderError("rate_limit", "slow down", status=429, retry_after=60.0)))
    assert bench.bodies(session, ev.ModelAttemptFailed)[0].retry_ms == 50
    assert 0.05 in bench.slept


def test_waits_grow_are_jittered_and_capped() -> None:
    policy = RetryPolicy(first=1.0, cap=60.0, retry_after_cap=300.0)
    assert [backoff_seconds(policy, n, None, 0.0) for n in (1, 2, 3, 8)] == [1.0, 2.0, 4.0, 60.0]
    drawn = {backoff_seconds(policy, 3, None, random.Random(n).random()) for n in range(50)}
    assert len(drawn) == 50
    assert all(2.0 < wait <= 4.0 for wait in drawn)
    assert backoff_seconds(policy, 1, 30.0, 0.5) == 30.0
    assert backoff_seconds(policy, 1, 9000.0, 0.5) == 300.0


async def test_a_pause_during_the_wait_between_attempts_takes_effect_at_once(bench: Bench) -> None:
    bench.retry = RetryPolicy(attempts=3, first=3600, cap=3600)
    bench.adapter = ScriptedAdapter(failing(ProviderError("server", "down")))
    session = await bench.create()
    bench.runner(session).start()
    await bench.until(lambda: bench.events(session, "model.attempt_failed"), "a failed attempt")
    await bench.control(session, "pause")
    await bench.state(session, "paused")
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert len(bench.events(session, "model.request")) == 1


async def test_a_prompt_that_is_too_long_for_the_server_is_shortened_once(bench: Bench) -> None:
    steps = [call("run", command=f"seq {n}000") for n in range(1, 4)]
    too_long = Turn("", DONE.calls, errors=(ProviderError("context", "too long", status=400),))
    adapter = ScriptedAdapter([*steps, too_long], summaries=[Turn("I counted.")])
    session = await bench.run(adapter)
    (summary,) = bench.bodies(session, ev.SummaryWritten)
    assert (summary.number, summary.from_step) == (1, 1)
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_grow(bench, session)
    newest = [e.body for e in bench.events(session, "model.request") if isinstance(e.body, ev.ModelRequested)][-1]
    assert newest.parent is None


async def test_a_prompt_that_stays_too_long_needs_a_person(bench: Bench) -> None:
    steps = [call("run", command=f"seq {n}000") for n in range(1, 4)]
    errors = (ProviderError("context", "too long", status=400),) * 2
    adapter = ScriptedAdapter([*steps, Turn("", DONE.calls, errors=errors)], summaries=[Turn("I counted.")])
    session = await bench.run(adapter, until="needs_you")
    assert bench.summary(session).need == "context"
    assert len(bench.bodies(session, ev.SummaryWritten)) == 1


async def test_a_prompt_that_is_too_long_from_the_start_needs_a_person(bench: Bench) -> None:
    session = await bench.run(failing(ProviderError("context", "too long", status=400)), until="needs_you")
    assert bench.summary(session).need == "context"


async def test_quirks_that_the_adapter_does_not_know_need_a_person_and_are_no_error_of_our_own(bench: Bench) -> None:
    session = await bench.run(adapter_for(ev.ModelSpec("openai", "m")), "needs_you", spec={"quirks": {"glow": 1}})
    summary = bench.summary(session)
    assert summary.need == "provider"
    assert "glow" in summary.reason and "Apollo itself" not in summary.reason


async def test_an_error_of_our_own_needs_a_person_and_says_so(bench: Bench) -> None:
    class Broken(ScriptedAdapter):
        def wire(self, *_: object) -> list[object]:  # type: ignore[override]
            raise ZeroDivisionError("a defect")

    session = await bench.run(Broken([DONE]), until="needs_you")
    assert "ZeroDivisionError: a defect" in bench.summary(session).reason
    bench.runners[-1]._session._adapter = ScriptedAdapter([DONE])
    await bench.control(session, "resume")
    await bench.state(session, "finished")
