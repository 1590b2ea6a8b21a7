from __future__ import annotations

import json
from typing import Any

import pytest
from agent_testbed import Bench, assert_prompts_are_folds, assert_rebuilds
from scripted_model import ScriptedAdapter, Turn, call

from sessions import events as ev
from sessions.agent.advice import read_advice_before
from sessions.agent.resume_point import read_droppable_reply, resume_point_of
from sessions.events.messages import CallPart
from sessions.providers.base import ProviderError

DONE = call("finish", summary="done")
LOOK = call("run", command="echo looked")


def refusal(refused: Any = "conversation", words: str = "tool_call ids must be unique") -> ProviderError:
    return ProviderError("fatal", words, status=400, refused=refused)


async def refuse_at_step_3(bench: Bench, *refusals: ProviderError, first: Turn = LOOK) -> tuple[str, ScriptedAdapter]:
    """A session whose third request is refused, so that it needs a person."""
    third = Turn("", DONE.calls, errors=refusals or (refusal(),))
    adapter = ScriptedAdapter([first, call("run", command="echo again"), third], summaries=[Turn("I looked twice.")])
    bench.adapter = adapter
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "needs_you", "finished")
    return session, adapter


def requests(bench: Bench, session: str) -> list[ev.ModelRequested]:
    return bench.bodies(session, ev.ModelRequested)


def sent(adapter: ScriptedAdapter) -> list[list[dict[str, Any]]]:
    return [json.loads(body)["messages"] for body in adapter.received]


def roles(messages: list[dict[str, Any]]) -> list[str]:
    return [message["role"] for message in messages]


async def test_a_refused_conversation_asks_for_a_person_in_the_words_of_the_server(bench: Bench) -> None:
    session, _ = await refuse_at_step_3(bench)
    summary = bench.summary(session)
    assert (summary.state, summary.need) == ("needs_you", "refused")
    assert "tool_call ids must be unique" in summary.reason
    (failed,) = bench.bodies(session, ev.ModelAttemptFailed)
    assert (failed.attempt, failed.status, failed.refused) == (1, 400, "conversation")


async def test_a_resume_goes_on_without_the_last_reply_and_never_sends_the_same_again(bench: Bench) -> None:
    session, adapter = await refuse_at_step_3(bench)
    await bench.advise(session, "Mind the ids.")
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    (gone,) = bench.events(session, "reply.superseded")
    (old,) = [e for e in bench.events(session, "model.reply") if e.seq == gone.body.old]  # type: ignore[attr-defined]
    assert (old.step, gone.step, gone.body.new) == (2, 2, None)  # type: ignore[attr-defined]
    assert [request.parent is None for request in requests(bench, session)] == [True, False, False, True]
    assert len({request.sha256 for request in requests(bench, session)}) == 4
    # The second reply and its result are gone, the person's words are not.
    last = sent(adapter)[-1]
    assert roles(last) == ["system", "user", "assistant", "tool", "user"]
    assert "Mind the ids." in last[-1]["content"]
    # A number once given is not given again.
    assert [event.step for event in bench.events(session, "model.reply")] == [1, 2, 3]
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_are_folds(bench, session)


async def test_a_server_that_goes_on_refusing_loses_one_reply_at_each_resume_until_none_is_left(bench: Bench) -> None:
    session, adapter = await refuse_at_step_3(bench, *(refusal() for _ in range(9)))
    for left in (1, 0):
        await bench.control(session, "resume")
        await bench.until(lambda left=left: len(bench.events(session, "reply.superseded")) == 2 - left)
        await bench.state(session, "needs_you")
    assert bench.summary(session).need == "provider", "nothing is left that could be left out"
    assert len(bench.events(session, "reply.superseded")) == 2
    assert roles(sent(adapter)[-1]) == ["system", "user"]
    assert_rebuilds(bench, session, adapter.received)


async def test_a_retry_sends_the_same_request_once_more(bench: Bench) -> None:
    session, _ = await refuse_at_step_3(bench)
    await bench.control(session, "retry")
    await bench.state(session, "finished")
    assert not bench.events(session, "reply.superseded")
    assert len(requests(bench, session)) == 3
    assert [body.attempt for body in bench.bodies(session, ev.ModelReplied)] == [1, 1, 2]


async def test_shortening_a_refused_conversation_asks_in_plain_words_and_keeps_none_of_it(bench: Bench) -> None:
    session, adapter = await refuse_at_step_3(bench)
    await bench.control(session, "shorten")
    await bench.state(session, "finished")
    (written,) = bench.bodies(session, ev.SummaryWritten)
    assert (written.from_step, written.to_step, written.text.text) == (1, 2, "I looked twice.")
    asked, last = sent(adapter)[-2:]
    assert roles(asked) == roles(last) == ["system", "user"], "no turn that the server could refuse"
    assert "echo again" in asked[1]["content"] and "looked" in asked[1]["content"]
    assert "I looked twice." in last[1]["content"]
    assert not bench.events(session, "reply.superseded")
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_are_folds(bench, session)


async def test_a_summary_that_is_refused_is_asked_for_in_plain_words(bench: Bench) -> None:
    steps = [call("run", command=f"seq {n}000") for n in range(1, 4)]
    too_long = Turn("", DONE.calls, errors=(ProviderError("context", "too long", status=400),))
    summaries = [Turn("never", errors=(refusal(),)), Turn("I counted.")]

    class RefusingSummaries(ScriptedAdapter):
        def _turn(self, call: Any) -> Turn:
            turn = super()._turn(call)
            if call.step == 0:
                self.attempts[0] = 0
            return turn

    adapter = RefusingSummaries([*steps, too_long], summaries=summaries)
    session = await bench.run(adapter)
    (written,) = bench.bodies(session, ev.SummaryWritten)
    assert written.text.text == "I counted."
    assert [body.refused for body in bench.bodies(session, ev.ModelAttemptFailed)] == ["", "conversation"]
    assert_rebuilds(bench, session, adapter.received)


async def test_refused_reasoning_is_left_out_at_once_and_for_good(bench: Bench) -> None:
    """Without a person: nothing that the model did is lost with it."""
    from sessions.providers.chat_wire import chat_wire

    class Thinking(ScriptedAdapter):
        def wire(self, spec: Any, messages: Any) -> Any:
            return chat_wire(spec, messages, send_reasoning="reasoning_content")

    thinks = Turn("", LOOK.calls, reasoning="Let me look.")
    refused = Turn("", LOOK.calls, reasoning="And again.", errors=(refusal("reasoning", "Unknown reasoning_content"),))
    adapter = Thinking([thinks, refused, Turn("", DONE.calls)])
    session = await bench.run(adapter)
    found = requests(bench, session)
    assert [request.without_reasoning for request in found] == [False, False, True, True]
    assert [request.parent is None for request in found] == [True, False, True, False]
    assert "reasoning_content" in json.dumps(sent(adapter)[1])
    assert "reasoning_content" not in json.dumps(sent(adapter)[2:])
    assert_rebuilds(bench, session, adapter.received)


async def test_a_first_request_that_is_refused_is_sent_again_as_it_is(bench: Bench) -> None:
    session = await bench.run([Turn("", DONE.calls, errors=(refusal(words="no such parameter"),))], until="needs_you")
    assert bench.summary(session).need == "provider"
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert len(requests(bench, session)) == 1


@pytest.mark.parametrize("repeats", [1, 3])
async def test_ids_that_a_server_gives_again_become_unique_and_stay_in_the_log(bench: Bench, repeats: int) -> None:
    class Repeating(ScriptedAdapter):
        async def stream(self, spec: Any, body: Any, call: Any) -> Any:
            import dataclasses

            async for item in super().stream(spec, body, call):
                if hasattr(item, "parts"):
                    parts = tuple(CallPart("run:0", part.name, part.arguments) for part in item.parts)
                    item = dataclasses.replace(item, parts=parts)
                yield item

    turns = [Turn("", LOOK.calls * repeats), LOOK, DONE]
    adapter = Repeating(turns)
    session = await bench.run(adapter)
    calls = [part for body in bench.bodies(session, ev.ModelReplied) for part in body.parts]
    assert [part.id for part in calls if isinstance(part, CallPart)] == [f"run:{n}" for n in range(repeats + 2)]
    assert {part.server_id for part in calls if isinstance(part, CallPart)} == {"", "run:0"}
    results = bench.bodies(session, ev.ActionResult)
    assert [result.call_id for result in results] == [f"run:{n}" for n in range(repeats + 2)]
    answered = [message["tool_call_id"] for message in sent(adapter)[-1] if message["role"] == "tool"]
    assert answered == [f"run:{n}" for n in range(repeats + 1)]
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_are_folds(bench, session)


async def test_what_could_be_left_out_is_the_newest_reply_that_no_summary_covers(bench: Bench) -> None:
    session, _ = await refuse_at_step_3(bench)
    step = bench.summary(session).step
    reply = read_droppable_reply(bench.reader, session, step)
    assert reply is not None and reply.step == 2
    await bench.writer.append(ev.NewEvent(session, ev.ReplySuperseded(old=reply.seq), step=2, actor="human:ann"))
    reply = read_droppable_reply(bench.reader, session, step)
    assert reply is not None and reply.step == 1
    point = resume_point_of(bench.reader.events(session))
    assert (point.step, point.reply_step, point.refused) == (2, 1, "")


async def drop(bench: Bench, session: str) -> None:
    """What the host commits for ``apollo drop``."""
    reply = read_droppable_reply(bench.reader, session, bench.summary(session).step)
    assert reply is not None
    control = bench.control_event(session, "drop")
    gone = ev.NewEvent(session, ev.ReplySuperseded(old=reply.seq), step=reply.step, actor="human:ann")
    await bench.writer.append(control, gone)
    bench.runners[-1].start()


async def test_a_drop_keeps_a_paused_session_paused_and_its_resume_goes_on_without_the_reply(bench: Bench) -> None:
    adapter = ScriptedAdapter([LOOK, call("run", command="echo again"), DONE])
    bench.adapter = adapter
    session = await bench.create(limits=ev.Limits(steps=2))
    bench.runner(session).start()
    await bench.state(session, "paused")
    seen = len(bench.events(session))
    await drop(bench, session)
    # Whoever writes after it has been heard after it.
    await bench.advise(session, "Go on from the first look.")
    assert bench.summary(session).state == "paused"
    assert [event.kind for event in bench.events(session)][seen:] == [
        "control.requested", "reply.superseded", "advice.queued",
    ]  # fmt: skip
    raised = ev.LimitChanged(name="steps", value=None)
    await bench.writer.append(ev.NewEvent(session, raised, actor="human:ann"))
    await bench.control(session, "resume")
    await bench.state(session, "finished")
    assert [event.body.state for event in bench.events(session, "session.state")] == [  # type: ignore[attr-defined]
        "running", "paused", "running", "finished",
    ]  # fmt: skip
    assert roles(sent(adapter)[-1]) == ["system", "user", "assistant", "tool", "user"]
    assert "echo again" not in json.dumps(sent(adapter)[-1])
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_are_folds(bench, session)


ASK = call("ask_human", question="Left or right?")


async def test_an_answer_leaves_the_context_with_the_question_of_the_step_that_is_dropped(bench: Bench) -> None:
    third = Turn("", LOOK.calls, errors=(refusal(),))
    adapter = ScriptedAdapter([LOOK, ASK, third, ASK, DONE])
    bench.adapter = adapter
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "needs_you")
    await bench.answer(session, "The left one.")
    await bench.until(lambda: bench.summary(session).need == "refused")
    assert "The left one." in json.dumps(sent(adapter)[-1])
    await drop(bench, session)
    await bench.until(lambda: bench.summary(session).need == "question", "the second question")
    for messages in sent(adapter)[3:]:
        assert "Left or right?" not in json.dumps(messages)
        assert "The left one." not in json.dumps(messages)
        assert "Nobody answered" not in json.dumps(messages)
    await bench.answer(session, "The right one.")
    await bench.state(session, "finished")
    last = json.dumps(sent(adapter)[-1])
    assert "Left or right?" in last and "The right one." in last and "The left one." not in last
    # In the log both stay, and a summary does not bring the answer back without its question.
    assert [body.text for body in bench.bodies(session, ev.QuestionAnswered)] == ["The left one.", "The right one."]
    assert read_advice_before(bench.reader, session, to_step=9) == "Answer to your question 2: The right one."
    assert_rebuilds(bench, session, adapter.received)
    assert_prompts_are_folds(bench, session)


async def test_what_a_person_said_of_themselves_stays_where_the_step_before_it_is_dropped(bench: Bench) -> None:
    session, adapter = await refuse_at_step_3(bench)
    await bench.advise(session, "Mind the ids.")
    await drop(bench, session)
    await bench.state(session, "finished")
    assert "Mind the ids." in json.dumps(sent(adapter)[-1])
    assert "Mind the ids." in read_advice_before(bench.reader, session, to_step=9)
