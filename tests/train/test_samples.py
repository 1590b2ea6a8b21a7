from __future__ import annotations

import json
from typing import Any

import pytest
from training_log import SESSION, Shape, Teller

from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import AdviceRules, FilterPolicy, FlagRules, SplitRules, WeightRules
from apollo_train.samples.row_meta import split_of
from apollo_train.samples.segments import Segment, make_segments
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples
from apollo_train.samples.weights import Weigher
from sessions import events as ev
from sessions.events.messages import TextPart
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

DROPPED = AdviceRules(knowledge="dropped", strategy="dropped", correction="dropped", stop="dropped", other="dropped")
BOTH = AdviceRules(knowledge="both", strategy="both", correction="both", stop="both", other="both")
OF_1: dict[str, Any] = {"version": 1, "flags": FlagRules(scope="format")}
"""Version 1 of a policy, in which answers are dropped like other advice."""


def source(reader: LogReader, **policy: Any) -> Source:
    rules = FilterPolicy(**policy)
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return Source(reader, judged, rules, Weigher(rules, {SESSION: 4}, {}))


def steps(reader: LogReader, **policy: Any) -> tuple[list[StepSample], list[Exclusion]]:
    found = list(make_step_samples(source(reader, **policy)))
    return [x for x in found if isinstance(x, StepSample)], [x for x in found if isinstance(x, Exclusion)]


def segments(reader: LogReader, **policy: Any) -> tuple[list[Segment], list[Exclusion]]:
    found = list(make_segments(source(reader, **policy)))
    return [x for x in found if isinstance(x, Segment)], [x for x in found if isinstance(x, Exclusion)]


def shape(messages: list[dict[str, Any]]) -> list[str]:
    return [f"{m['role']}:{m['content'] or m['tool_calls'][0]['function']['arguments']}" for m in messages]


@pytest.mark.parametrize("wire", ["chat", "anthropic"])
async def test_a_step_sample_is_the_prompt_that_was_sent_and_the_reply(
    writer: LogWriter, reader: LogReader, wire: Shape
) -> None:
    told = await Teller(writer, shape=wire).begin()
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'), reasoning="Two at once.")
    await told.result(1, "first")
    await told.result(2, "second")
    await told.advise("Slow down.", "strategy")
    await told.act("c", reasoning="As told.", text="Now c.")
    first, second = steps(reader)[0]
    assert shape(first.prompt) == ["system:You are an agent.", "user:Make it learn."]
    assert [call["function"]["arguments"] for call in first.completion["tool_calls"]] == [
        '{"command":"a"}',
        '{"command":"b"}',
    ]
    assert first.completion["reasoning_content"] == "Two at once."
    assert shape(second.prompt) == [
        "system:You are an agent.",
        "user:Make it learn.",
        'assistant:{"command":"a"}',
        "tool:first",
        "tool:second",
        "user:<advice-n0>\nSlow down.\n</advice-n0>",
    ]
    assert [m["tool_call_id"] for m in second.prompt if m["role"] == "tool"] == ["c1.1", "c1.2"]
    assert second.completion["content"] == "Now c."
    assert second.tools[0]["function"]["name"] == "run"
    assert second.meta == {
        "session": SESSION,
        "task": second.meta["task"],
        "model": told.spec.id,
        "sampling": '{"temperature":0.7}',
        "split": "train",
        "id": f"{SESSION}:2",
        "step": "2",
        "packing": "step",
        "advice": [1],
        "weight": 1.0,
        "finish": "calls",
        "stop_token": "",
        "prompt": "exact",
        "seen": False,
    }


async def test_a_malformed_call_is_an_empty_object_in_later_prompts_and_stays_context(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(("run", '{"command": "l'))
    await told.refuse()
    await told.act()
    [sample], [excluded] = steps(reader)
    assert sample.prompt[2]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert (excluded.step, excluded.reason) == ("1", "malformed")


async def test_a_prompt_that_does_not_have_its_hash_is_left_out(told: Teller, reader: LogReader) -> None:
    await told.act()
    asked = await told.request()
    event = reader.event(SESSION, asked)
    assert event is not None and isinstance(event.body, ev.ModelRequested)
    forged = ev.ModelRequested(
        adapter="chat",
        adapter_version=1,
        envelope={"model": "scripted", "temperature": 0.9},
        parent=event.body.parent,
        append=event.body.append,
        tools=event.body.tools,
        sha256=event.body.sha256,
    )
    seq = (await told.tell(forged, step=2)).seq
    reply = ev.ModelReplied(request=seq, parts=told.history[3].body.parts, finish="calls")  # type: ignore[attr-defined]
    await told.tell(reply, step=2)
    good, bad = steps(reader)
    assert [sample.id for sample in good] == [f"{SESSION}:1"]
    assert [item.reason for item in bad] == ["prompt_differs"]
    assert segments(reader)[0] == []


async def test_segments_end_at_summaries_and_train_each_reply_once(told: Teller, reader: LogReader) -> None:
    await told.act("a")
    await told.act("b")
    await told.flag(ev.Target(1))
    await told.summarise("Did a and b.")
    await told.act("c")
    found, excluded = segments(reader)
    assert [segment.id for segment in found] == [f"{SESSION}:1-2", f"{SESSION}:3"]
    assert found[0].trained == [None, None, False, None, True]
    assert found[0].messages[-1]["tool_calls"][0]["function"]["arguments"] == '{"command": "b"}'
    assert found[1].trained == [None, None, True]
    assert "Did a and b." in found[1].messages[1]["content"]
    assert all(segment.meta["prefix_checked"] for segment in found)
    assert [(item.step, item.reason) for item in excluded] == [("1", "flagged"), ("S1", "summary")]


@pytest.mark.parametrize("text", ["Did a and", ""])
async def test_a_summary_that_came_to_nothing_is_in_no_segment(told: Teller, reader: LogReader, text: str) -> None:
    await told.act("a")
    asked = await told.request("summary")
    parts = (TextPart(text),) if text else ()
    await told.tell(ev.ModelReplied(request=asked, parts=parts, finish="length" if text else "stop"), actor="agent")
    [segment], excluded = segments(reader)
    assert (segment.id, segment.trained) == (f"{SESSION}:1", [None, None, True])
    assert [item.reason for item in excluded] == ["finish_length" if text else "empty"]


async def test_a_segment_is_not_prefix_checked_where_reasoning_is_not_sent_back(
    writer: LogWriter, reader: LogReader
) -> None:
    told = await Teller(writer, reasoning=False).begin()
    await told.act("a", reasoning="Hm.")
    await told.act("b", reasoning="Ah.")
    [segment], _ = segments(reader)
    assert segment.meta["prefix_checked"] is False
    assert [m.get("reasoning_content") for m in segment.messages if m["role"] == "assistant"] == ["Hm.", "Ah."]
    _, second = steps(reader)[0]
    assert "reasoning_content" not in second.prompt[2]
    assert second.completion["reasoning_content"] == "Ah."


async def test_first_error_ends_the_segment_before_what_follows(told: Teller, reader: LogReader) -> None:
    for command in "abcd":
        await told.act(command)
    await told.flag(ev.Target(2))
    [segment], excluded = segments(reader, flags=FlagRules(propagation="first_error"))
    assert segment.trained == [None, None, True, None, False]
    assert [item.reason for item in excluded] == ["flagged", "after_first_error", "after_first_error"]


async def test_what_is_masked_anyway_does_not_carry_a_segment_past_the_first_error(
    told: Teller, reader: LogReader
) -> None:
    await told.act("a")
    await told.act("b")
    await told.flag(ev.Target(2))
    await told.reply(("run", "{"))
    await told.refuse()
    await told.reply(("run", '{"command":"c"}'), finish="length")
    [segment], excluded = segments(reader, flags=FlagRules(propagation="first_error"))
    assert segment.trained == [None, None, True, None, False]
    assert [item.reason for item in excluded] == ["flagged", "malformed", "finish_length"]


async def test_dropped_advice_is_in_no_later_prompt_and_the_row_says_counterfactual(
    told: Teller, reader: LogReader
) -> None:
    await told.act("a")
    await told.advise("Use a smaller learning rate from now on.", "strategy")
    await told.act("b")
    await told.act("c")
    samples, _ = steps(reader, advice=DROPPED)
    assert [sample.meta["prompt"] for sample in samples] == ["exact", "counterfactual", "counterfactual"]
    assert not any("smaller" in json.dumps(sample.prompt) for sample in samples)
    assert [sample.meta["advice"] for sample in samples] == [[], [], []]
    [segment], _ = segments(reader, advice=DROPPED)
    assert segment.meta["prompt"] == "counterfactual"
    assert "smaller" not in json.dumps(segment.messages)
    kept, _ = steps(reader)
    assert [sample.meta["advice"] for sample in kept] == [[], [1], [1]]


async def test_replies_that_quote_or_speak_of_dropped_advice_are_left_out_and_counted(
    told: Teller, reader: LogReader
) -> None:
    await told.advise("Let the job run for two thousand steps first.", "strategy")
    await told.act("a", text="I will let the job run for two thousand steps first.")
    await told.act("b", reasoning="My supervisor wants patience.")
    await told.act("c")
    samples, excluded = steps(reader, advice=DROPPED)
    assert [sample.meta["step"] for sample in samples] == ["3"]
    assert [item.reason for item in excluded] == ["target_refers", "target_refers"]
    [segment], lost = segments(reader, advice=DROPPED)
    assert segment.trained == [None, None, False, None, False, None, True]
    assert [item.reason for item in lost] == ["target_refers", "target_refers"]
    assert len(steps(reader)[0]) == 3


async def test_twins_weigh_half_each_and_exist_only_where_they_differ(told: Teller, reader: LogReader) -> None:
    await told.act("a")
    await told.advise("Look at the data.", "knowledge")
    await told.act("b")
    samples, _ = steps(reader, advice=BOTH)
    assert [(sample.id.removeprefix(SESSION), sample.meta["weight"]) for sample in samples] == [
        (":1", 1.0),
        (":2+advice", 0.5),
        (":2-advice", 0.5),
    ]
    assert [sample.meta["prompt"] for sample in samples] == ["exact", "exact", "counterfactual"]
    assert [sample.meta["advice"] for sample in samples] == [[], [1], []]


async def test_only_the_dropped_kind_leaves_a_turn_of_several_pieces(told: Teller, reader: LogReader) -> None:
    await told.advise_all(("The disk is slow.", "knowledge"), ("Try fewer workers.", "strategy"))
    await told.act("a")
    [sample], _ = steps(reader, advice=AdviceRules(strategy="dropped"))
    assert sample.prompt[-1]["content"] == "<advice-n0>\nThe disk is slow.\n</advice-n0>"
    assert sample.meta["advice"] == [1]


async def test_without_the_advice_nobody_was_woken(told: Teller, reader: LogReader) -> None:
    await told.reply(("wait", '{"seconds":600}'))
    pair = ["Woken after 12 s: advice has arrived.", "Waited 12 s."]
    await told.result(1, f"{pair[0]} Job 1 is still running.", data={"unaided": pair})
    await told.advise("Look now.", woke=True)
    await told.act("a")
    _, second = steps(reader, advice=DROPPED)[0]
    assert second.prompt[-1]["content"] == "Waited 12 s. Job 1 is still running."
    assert steps(reader)[0][1].prompt[-2]["content"] == f"{pair[0]} Job 1 is still running."


async def test_an_answer_to_a_question_is_dropped_with_the_advice_that_it_is(told: Teller, reader: LogReader) -> None:
    await told.reply(("ask_human", '{"question":"which?"}'))
    await told.tell(ev.QuestionAsked(question=1, text="which?", until=1), step=1, call=1)
    await told.tell(ev.QuestionAnswered(question=1, text="The left one."), actor="human:ann")
    await told.result(1, "The left one.", data={"timed_out": False})
    await told.act("a")
    samples, _ = steps(reader, **OF_1, advice=DROPPED)
    assert samples[-1].prompt[-1]["content"] == "Nobody answered in time. Use your judgement."
    assert samples[-1].meta["prompt"] == "counterfactual"
    assert samples[-1].meta["advice"] == []


async def test_the_block_of_advice_after_a_summary_is_dropped_and_a_summary_that_quotes_it_is_not_used(
    told: Teller, reader: LogReader
) -> None:
    await told.act("a")
    await told.advise("Never delete the inputs of a run.", "knowledge")
    await told.act("b")
    block = "<advice-n0>\nNever delete the inputs of a run.\n</advice-n0>"
    await told.summarise("Did a and b.", block)
    await told.act("c")
    await told.summarise("I must never delete the inputs of a run.", block)
    await told.act("d")
    samples, excluded = steps(reader, advice=DROPPED)
    assert [sample.meta["step"] for sample in samples] == ["1", "2", "3"]
    assert "Did a and b." in samples[2].prompt[1]["content"]
    assert "delete" not in json.dumps(samples[2].prompt)
    assert [item.reason for item in excluded] == ["summary", "summary", "summary_refers"]
    kept, _ = steps(reader)
    assert [sample.meta["advice"] for sample in kept] == [[], [1], [1], [1]]


async def test_the_split_goes_by_task_alone_and_weights_by_session(told: Teller, reader: LogReader) -> None:
    rules = SplitRules(validation=0.25, test=0.25)
    splits = {task: split_of(task, rules) for task in map(str, range(200))}
    assert splits == {task: split_of(task, rules) for task in map(str, range(200))}
    counts = [list(splits.values()).count(name) for name in ("train", "validation", "test")]
    assert sum(counts) == 200 and counts[0] > 70 and min(counts[1:]) > 25
    await told.act()
    [sample], _ = steps(reader, weights=WeightRules(normalise="session"))
    assert sample.meta["weight"] == 0.25
    [sample], _ = steps(reader, weights=WeightRules(session_cap=2))
    assert sample.meta["weight"] == 0.5


async def test_a_result_that_only_says_the_same_as_an_answer_stays(told: Teller, reader: LogReader) -> None:
    await told.reply(("ask_human", '{"question":"ok?"}'))
    await told.tell(ev.QuestionAsked(question=1, text="ok?", until=1), step=1, call=1)
    await told.tell(ev.QuestionAnswered(question=1, text="ok"), actor="human:ann")
    await told.result(1, "ok", data={"timed_out": False})
    await told.act("make", "ok")
    await told.act("a")
    samples, _ = steps(reader, **OF_1, advice=DROPPED)
    results = [chat["content"] for chat in samples[-1].prompt if chat["role"] == "tool"]
    assert results == ["Nobody answered in time. Use your judgement.", "ok"]


async def test_advice_that_was_delivered_in_other_words_than_written_leaves_the_block_too(
    told: Teller, reader: LogReader
) -> None:
    await told.act("a")
    queued = ev.AdviceQueued(advice=1, text="Keep <advice-n0> as it is. ", reach="general")
    await told.tell(queued, actor="human:ann")
    turn = "<advice-n0>\nKeep &lt;advice-n0> as it is.\n</advice-n0>"
    await told.tell(ev.AdviceDelivered(advice=(1,), at_step=2, text=turn), step=2)
    await told.act("b")
    await told.summarise("Did a and b.", turn)
    await told.act("c")
    samples, _ = steps(reader, advice=DROPPED)
    assert [sample.meta["prompt"] for sample in samples] == ["exact", "counterfactual", "counterfactual"]
    assert not any("as it is" in json.dumps(sample.prompt) for sample in samples)


async def test_a_segment_under_two_system_prompts_is_not_prefix_checked(writer: LogWriter, reader: LogReader) -> None:
    told = await Teller(writer, shape="anthropic").begin()
    await told.act("a")
    await told.act("b")
    assert segments(reader)[0][0].meta["prefix_checked"]
    told.system = "You are another agent."
    await told.act("c")
    [segment], _ = segments(reader)
    assert not segment.meta["prefix_checked"]
    assert [sample.prompt[0]["content"] for sample in steps(reader)[0]][-2:] == ["You are an agent.", told.system]
