from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_testbed import Bench
from prompt_rebuild import Rebuilder, assert_prompts_grow
from sse_anthropic import signature
from sse_script import Fault, Script, Turn, in_order
from sse_server import ScriptedServer

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.providers.base import CallContext
from sessions.providers.registry import adapter_for

FINISH = Turn(text="All done.", calls=(("finish", '{"summary": "done"}'),))
LOOK = Turn(text="I look.", calls=(("run", '{"command": "echo looked"}'),))
ATTEMPTS = 3


@pytest.fixture(params=["openai", "anthropic"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def rebuilder() -> Iterator[Rebuilder]:
    made = Rebuilder()
    yield made
    made.close()


class Impatient:
    """A provider's own adapter, which waits a moment where a real session waits for minutes."""

    def __init__(self, inner: Any, timeout: float) -> None:
        self._inner = inner
        self.timeout = timeout

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stream(self, spec: ev.ModelSpec, body: Any, call: CallContext) -> Any:
        return self._inner.stream(spec, body, dataclasses.replace(call, timeout=self.timeout, stall=0.2))


class Run:
    """A session that has come to rest, and the server that it talked to."""

    def __init__(self, bench: Bench, server: ScriptedServer, session: str) -> None:
        self.bench, self.server, self.session = bench, server, session
        self.summary = bench.summary(session)
        self.failed = bench.bodies(session, ev.ModelAttemptFailed)
        self.replies = bench.bodies(session, ev.ModelReplied)
        self.results = bench.bodies(session, ev.ActionResult)
        self.refused = bench.bodies(session, ev.ActionRefused)
        self.answered = [request.answered for request in server.requests]


@pytest.fixture
def play(provider: str, tmp_path: Path, rebuilder: Rebuilder) -> Any:
    """``async with play(Turn(...), ...) as run``: a session against a server that says those turns, until it rests.

    Whatever happened, the server received what the log rebuilds to, request by request and attempt by attempt.
    """

    @asynccontextmanager
    async def play(
        *turns: Turn,
        script: Script | None = None,
        spec: dict[str, Any] | None = None,
        until: str = "finished",
        timeout: float = 5.0,
    ) -> AsyncIterator[Run]:
        bench = await Bench.open(tmp_path)
        try:
            async with ScriptedServer(script or in_order(*turns)) as server:
                url = server.openai_url if provider == "openai" else server.anthropic_url
                fields = {"base_url": url, **(spec or {})}
                bench.adapter = Impatient(adapter_for(ev.ModelSpec(provider, "m")), timeout)
                session = await bench.create(provider=provider, spec=fields)
                bench.runner(session).start()
                await bench.state(session, "finished", "needs_you", "paused", "failed", "stopped")
                run = Run(bench, server, session)
                assert run.summary.state == until, run.summary.reason
                assert_received(run, rebuilder(bench.paths.log, tmp_path / "copy" / "log.sqlite"))
                yield run
        finally:
            await bench.close()

    return play


def assert_received(run: Run, rebuilt: dict[tuple[str, int], str]) -> None:
    """The server received each request of the log as often as it was tried, in order, byte for byte."""
    tries = {
        event.seq: sum(body.request == event.seq for body in [*run.failed, *run.replies])
        for event in run.bench.events(run.session, "model.request")
    }
    expected = [rebuilt[run.session, seq] for seq, times in tries.items() for _ in range(times)]
    assert [hashlib.sha256(request.body).hexdigest() for request in run.server.requests] == expected
    assert_prompts_grow(run.bench.reader, run.session)


def calls_of(reply: ev.ModelReplied) -> list[CallPart]:
    return [part for part in reply.parts if isinstance(part, CallPart)]


# --- replies that are as they should be -------------------------------------------------------------------------------


async def test_a_normal_reply_is_stored_with_its_usage_and_its_finish(play: Any) -> None:
    async with play(LOOK, FINISH) as run:
        assert [reply.finish for reply in run.replies] == ["calls", "calls"]
        assert [reply.attempt for reply in run.replies] == [1, 1]
        assert run.replies[0].parts[0] == TextPart("I look.")
        assert all(reply.usage and reply.usage.input_tokens > 100 for reply in run.replies)
        assert "looked" in run.results[0].output.text
        assert run.answered == ["reply", "reply"] and not run.failed
        assert "".join(delta.text for _, step, _, delta in run.bench.deltas if step == 1 and delta.index == 0) == (
            "I look."
        )


async def test_parallel_calls_run_in_order_and_their_results_go_back_as_one_turn(play: Any, provider: str) -> None:
    both = (("run", '{"command": "echo first >> seen.txt"}'), ("run", '{"command": "cat seen.txt"}'))
    async with play(Turn(text="Both.", calls=both), FINISH) as run:
        assert run.results[1].output.text.splitlines()[0] == "first"
        assert [(e.step, e.call) for e in run.bench.events(run.session, "action.started")][:2] == [(1, 1), (1, 2)]
        told = run.server.requests[1].messages
        if provider == "openai":
            assert [message["role"] for message in told[-3:]] == ["assistant", "tool", "tool"]
        else:
            assert [block["type"] for block in told[-1]["content"]] == ["tool_result", "tool_result"]


async def test_reasoning_goes_back_to_its_own_model_as_it_came(play: Any, provider: str) -> None:
    turn = dataclasses.replace(LOOK, reasoning="First I look.", redacted="b64==" if provider == "anthropic" else "")
    quirks = {"send_reasoning": "reasoning_content"} if provider == "openai" else {"thinking_budget": 1024}
    async with play(turn, FINISH, spec={"quirks": quirks}) as run:
        reasoning = [part for part in run.replies[0].parts if isinstance(part, ReasoningPart)]
        assert reasoning[-1].text == "First I look."
        back = next(m for m in run.server.requests[1].messages if m["role"] == "assistant")
        if provider == "openai":
            assert back["reasoning_content"] == "First I look."
        else:
            # The server answers 400 to a signature that is not the one it gave.
            assert back["content"][:2] == [
                {"type": "redacted_thinking", "data": "b64=="},
                {"type": "thinking", "thinking": "First I look.", "signature": signature("First I look.")},
            ]


async def test_unknown_events_change_nothing(play: Any) -> None:
    async with play(dataclasses.replace(LOOK, strange=True, reasoning="Hm."), FINISH) as run:
        assert run.replies[0].parts[1] == TextPart("I look.")
        assert json.loads(calls_of(run.replies[0])[0].arguments) == {"command": "echo looked"}
        assert run.answered == ["reply", "reply"]


# --- attempts that fail and may pass ----------------------------------------------------------------------------------

PASSING: dict[str, tuple[Fault, set[str], int | None]] = {
    "429": (Fault(status=429, headers={"Retry-After": "0.02"}), {"rate_limit"}, 429),
    "500": (Fault(status=500), {"server"}, 500),
    "529": (Fault(status=529), {"overloaded"}, 529),
    "408": (Fault(status=408), {"timeout"}, 408),
    "409": (Fault(status=409), {"server"}, 409),
    "stall before the answer": (Fault(stall="open"), {"timeout"}, None),
    "stall in the middle": (Fault(stall="middle"), {"timeout"}, None),
    "cut before the answer": (Fault(cut="head"), {"connection", "cut"}, None),
    "cut in the middle": (Fault(cut="middle"), {"cut"}, None),
    "an error event": (Fault(error="overloaded_error"), {"overloaded", "server"}, None),
    "a page of a proxy": (Fault(body="<html>502</html>"), {"server"}, None),
}


@pytest.mark.parametrize("name", PASSING)
async def test_what_may_pass_is_tried_again_with_the_same_request(play: Any, name: str) -> None:
    fault, reasons, status = PASSING[name]
    turn = dataclasses.replace(LOOK, text="I look at everything.", faults=(fault, fault))
    async with play(turn, FINISH, timeout=0.5 if name == "stall before the answer" else 5.0) as run:
        assert [(body.attempt, body.status) for body in run.failed] == [(1, status), (2, status)]
        assert {body.reason for body in run.failed} <= reasons
        assert all(body.retry_ms is not None for body in run.failed)
        assert run.replies[0].attempt == 3 and run.replies[1].attempt == 1
        assert len(run.bench.events(run.session, "model.request")) == 2
        if "middle" in name:
            assert all(isinstance(part := body.partial[0], TextPart) and part.text for body in run.failed)
        # Nothing of a failed attempt is ever in a prompt.
        assert json.dumps(run.server.requests[-1].json).count("I look at everything.") == 1


async def test_retry_after_is_waited_for_and_logged(play: Any) -> None:
    fault = Fault(status=429, headers={"Retry-After": "7"})
    async with play(dataclasses.replace(LOOK, faults=(fault,)), FINISH) as run:
        cap = run.bench.retry.retry_after_cap
        assert run.failed[0].retry_ms == round(cap * 1000)
        assert cap in run.bench.slept


@pytest.mark.parametrize("name", ["429", "500", "529", "stall in the middle", "cut in the middle"])
async def test_what_does_not_pass_needs_a_person_and_says_why(play: Any, name: str) -> None:
    fault, _, status = PASSING[name]
    turn = dataclasses.replace(LOOK, faults=(fault,) * 9)
    async with play(turn, until="needs_you") as run:
        assert run.summary.need == "provider"
        assert f"no reply in {ATTEMPTS} attempts" in run.summary.reason
        assert [body.attempt for body in run.failed] == [1, 2, 3]
        assert [body.status for body in run.failed] == [status] * 3
        assert [body.retry_ms is None for body in run.failed] == [False, False, True]
        assert not run.replies


# --- what no repetition helps -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_another_4xx_needs_a_person_at_once(play: Any, status: int) -> None:
    fault = Fault(status=status, message="this will never do")
    async with play(dataclasses.replace(LOOK, faults=(fault,) * 9), until="needs_you") as run:
        assert run.summary.need in ("provider", "key")
        assert "this will never do" in run.summary.reason and "\n" not in run.summary.reason
        assert len(run.failed) == 1 and run.failed[0].status == status


async def test_malformed_arguments_never_reach_a_later_prompt(play: Any) -> None:
    raw = '{"command": "echo never closed'
    malformed = Turn(text="Oops.", calls=(("run", raw), ("run", '{"command": "echo good"}'), ("no_such", "{}")))
    async with play(malformed, Turn(calls=(("run", "[1]"),)), FINISH) as run:
        # The server would have answered 400 to a history that holds them.
        assert run.answered == ["reply"] * 3 and not run.failed
        assert calls_of(run.replies[0])[0].arguments == raw
        assert [body.why for body in run.refused] == ["malformed", "unknown_tool", "malformed"]
        assert run.refused[0].arguments == raw
        assert "good" in run.results[0].output.text
        assert "never closed" not in run.server.requests[-1].body.decode()
        assert all(body.problem and body.problem in body.shown for body in run.refused)


async def test_a_refusal_is_a_reply_without_a_call_and_three_of_them_need_a_person(play: Any) -> None:
    refusal = Turn(text="I cannot help with that.", finish="refusal")
    async with play(refusal, until="needs_you") as run:
        assert [reply.finish for reply in run.replies] == ["refusal"] * 3
        assert run.summary.need == "nudges"
        assert [body.streak for body in run.bench.bodies(run.session, ev.NudgeSent)] == [1, 2]
        assert run.answered == ["reply"] * 3


async def test_a_refusal_that_is_empty_does_not_spoil_the_history(play: Any) -> None:
    async with play(Turn(finish="refusal"), FINISH) as run:
        assert [reply.finish for reply in run.replies] == ["refusal", "calls"]
        assert run.answered == ["reply", "reply"] and not run.failed


async def test_a_reply_that_ends_at_its_length_limit_goes_on_without_its_half_call(play: Any) -> None:
    half = Turn(text="Long.", calls=(("run", '{"command": "echo ver'),), finish="length")
    async with play(half, FINISH) as run:
        assert [reply.finish for reply in run.replies] == ["length", "calls"]
        assert [body.why for body in run.refused] == ["malformed"]
        assert run.answered == ["reply", "reply"]


# --- too long ---------------------------------------------------------------------------------------------------------

TOO_LONG = "prompt is too long: 250000 tokens > 200000 maximum context length"


def growing(*, too_long: tuple[int, ...], summary: Turn) -> Script:
    """Four steps of work, then the end; a prompt with as many replies as in ``too_long`` does not fit."""
    work = [Turn(text=f"Step {n}.", calls=(("run", f'{{"command": "seq {n}000"}}'),)) for n in range(1, 5)]

    def script(request: Any) -> Turn:
        if request.for_summary:
            return summary
        summarised = "no longer in view" in json.dumps(request.messages[:2])
        if request.turn in too_long and not summarised:
            return Turn(faults=(Fault(status=400, message=TOO_LONG),) * 99)
        return FINISH if summarised or request.turn == len(work) else work[request.turn]

    return script


async def test_a_context_that_is_too_long_is_summarised_once_and_goes_on(play: Any) -> None:
    async with play(script=growing(too_long=(4,), summary=Turn(text="I counted to 2000."))) as run:
        assert [body.reason for body in run.failed] == ["context"]
        (summary,) = run.bench.bodies(run.session, ev.SummaryWritten)
        assert (summary.number, summary.from_step) == (1, 1)
        assert "I counted to 2000." in json.dumps(run.server.requests[-1].messages)
        purposes = [body.purpose for body in run.bench.bodies(run.session, ev.ModelRequested)]
        assert purposes == ["step"] * 5 + ["summary", "step"]
        assert run.summary.step == 5, "requests for summaries are not numbered"


async def test_a_context_that_stays_too_long_after_one_summary_needs_a_person(play: Any) -> None:
    def script(request: Any) -> Turn:
        inner = growing(too_long=(), summary=Turn(text="I counted."))(request)
        fits = request.for_summary or (request.turn < 4 and "no longer in view" not in json.dumps(request.messages[:2]))
        return inner if fits else Turn(faults=(Fault(status=400, message=TOO_LONG),) * 99)

    async with play(script=script, until="needs_you") as run:
        assert run.summary.need == "context"
        assert len(run.bench.bodies(run.session, ev.SummaryWritten)) == 1
        assert [body.reason for body in run.failed] == ["context", "context"]


async def test_a_first_prompt_that_is_too_long_needs_a_person(play: Any) -> None:
    fault = Fault(status=413, message=TOO_LONG)
    async with play(dataclasses.replace(LOOK, faults=(fault,) * 9), until="needs_you") as run:
        assert run.summary.need == "context"
        assert not run.bench.bodies(run.session, ev.SummaryWritten)
