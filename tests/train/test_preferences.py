from __future__ import annotations

import json

import pytest
from training_log import SESSION, Teller, kept_policy

from apollo_train.masks.annotations import read_annotations
from apollo_train.policy import AdviceMode, AdviceRules, FilterPolicy, FlagRules
from apollo_train.samples.preferences import (
    CONFIRMED,
    REFUSALS,
    Pair,
    Refusal,
    UnpairedReply,
    find_pairs,
    find_unpaired_replies,
)
from apollo_train.samples.step_samples import Source, reply_of
from apollo_train.samples.weights import Weigher
from sessions import events as ev
from sessions.log.reader import LogReader

DEFAULT = kept_policy()


def source(reader: LogReader, policy: FilterPolicy = DEFAULT) -> Source:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return Source(reader, judged, policy, Weigher(policy))


def pairs(reader: LogReader, policy: FilterPolicy = DEFAULT) -> list[str]:
    found = list(find_pairs(source(reader, policy)))
    assert all(item.reason in REFUSALS for item in found if isinstance(item, Refusal))
    return [item.reason if isinstance(item, Refusal) else "pair" for item in found]


async def held(told: Teller, *, advice: str = "Let it run.", redo: str = "wait") -> None:
    """A call that was not run because advice came, and what the agent did instead."""
    await told.act("ls")
    await told.reply(("run", '{"command":"kill 7"}'), reasoning="Too slow.")
    await told.refuse(why="skipped_for_advice", shown="skipped for advice")
    await told.flag(ev.Target(2, "call", 1))
    await told.advise(advice, "strategy")
    await told.act(redo, reasoning="The job is fine.")


async def ran(told: Teller) -> None:
    """The same, but the call ran before the advice came."""
    await told.act("ls")
    await told.act("kill 7")
    await told.flag(ev.Target(2))
    await told.advise("Let it run.", "strategy")
    await told.act("wait")


async def test_an_action_that_never_ran_pairs_with_the_redo_at_the_prompt_before_the_advice(
    told: Teller, reader: LogReader
) -> None:
    await held(told)
    [pair] = find_pairs(source(reader))
    assert isinstance(pair, Pair)
    assert pair.chosen.prompt == pair.rejected.prompt
    assert [chat["role"] for chat in pair.chosen.prompt] == ["system", "user", "assistant", "tool"]
    assert "Let it run" not in json.dumps(pair.chosen.prompt)
    assert "kill 7" in pair.rejected.completion["tool_calls"][0]["function"]["arguments"]
    assert "wait" in pair.chosen.completion["tool_calls"][0]["function"]["arguments"]
    assert not pair.confirmed


async def test_an_action_that_ran_makes_no_pair_until_an_annotator_says_so(told: Teller, reader: LogReader) -> None:
    await ran(told)
    assert pairs(reader) == ["ran"]
    await told.flag(ev.Target(3), verdict="good", label="nice")
    assert pairs(reader) == ["ran"]
    await told.flag(ev.Target(3), verdict="good", label=CONFIRMED, actor="judge:gpt")
    assert pairs(reader) == ["ran"]
    await told.flag(ev.Target(3), verdict="good", label=CONFIRMED)
    [pair] = find_pairs(source(reader))
    assert isinstance(pair, Pair)
    assert pair.confirmed


async def test_a_redo_that_leans_on_the_advice_makes_no_pair(told: Teller, reader: LogReader) -> None:
    await held(told, advice="Let the job run for another hour before you judge", redo="echo as advised")
    assert pairs(reader) == ["redo_refers"]


@pytest.mark.parametrize("words", ["let the job run for another hour", "LET THE JOB, RUN FOR another hour!"])
async def test_a_redo_that_quotes_the_advice_makes_no_pair(told: Teller, reader: LogReader, words: str) -> None:
    await held(told, advice="Please let the job run for another hour.", redo=words)
    assert pairs(reader) == ["redo_refers"]


async def test_the_same_action_again_makes_no_pair(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command":"x"}'))
    await told.refuse(why="skipped_for_advice")
    await told.flag(ev.Target(1))
    await told.advise("Do better.")
    await told.act("x")
    assert json.dumps({"command": "x"}) != '{"command":"x"}'
    assert pairs(reader) == ["same"]


async def test_a_flag_without_advice_or_with_a_masked_redo_makes_no_pair(told: Teller, reader: LogReader) -> None:
    await told.act("a")
    await told.flag(ev.Target(1))
    assert pairs(reader) == ["no_redo"]
    await told.advise("Better.")
    await told.act("b")
    await told.flag(ev.Target(2))
    assert pairs(reader) == ["no_redo", "no_redo"]


async def test_a_summary_between_parts_the_two(told: Teller, reader: LogReader) -> None:
    await told.act("ls")
    await told.reply(("run", '{"command":"kill 7"}'))
    await told.refuse(why="skipped_for_advice")
    await told.flag(ev.Target(2))
    await told.summarise()
    await told.advise("Let it run.")
    await told.act("wait")
    assert pairs(reader) == ["other_context"]


async def correct(told: Teller, target: ev.Target, text: str, actor: str = "human:ann") -> None:
    await told.tell(ev.CorrectionWritten(target=target, text=text), actor=actor)


async def test_a_correction_that_says_a_call_pairs_with_what_the_agent_did_whether_it_ran_or_not(
    told: Teller, reader: LogReader
) -> None:
    await told.act("ls")
    await told.act("kill 7", reasoning="Too slow.", text="I stop it.")
    await correct(told, ev.Target(2, "call", 1), 'run {"command": "wait 7"}')
    [pair] = find_pairs(source(reader))
    assert isinstance(pair, Pair) and pair.corrected
    assert pair.chosen.prompt == pair.rejected.prompt and len(pair.chosen.prompt) == 4
    [call] = pair.chosen.completion["tool_calls"]
    assert call["function"] == {"name": "run", "arguments": '{"command": "wait 7"}'}
    assert pair.chosen.completion["content"] == "I stop it." and "reasoning_content" not in pair.chosen.completion
    assert "kill 7" in pair.rejected.completion["tool_calls"][0]["function"]["arguments"]
    assert pair.chosen.meta["redo"] == "correction" and "ann" not in json.dumps(pair.chosen.meta)


async def test_a_correction_of_one_call_leaves_the_others_and_one_of_the_reply_replaces_all(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'), text="Both.")
    await told.result(1)
    await told.result(2)
    await correct(told, ev.Target(1, "call", 2), 'run {"command":"c"}')

    def chosen() -> list[str]:
        [pair] = find_pairs(source(reader))
        assert isinstance(pair, Pair)
        calls = pair.chosen.completion["tool_calls"]
        assert len({call["id"] for call in calls}) == len(calls)
        return [json.loads(call["function"]["arguments"])["command"] for call in calls]

    assert chosen() == ["a", "c"]
    await correct(told, ev.Target(1), 'Only this.\nrun {"command":"d"}')
    assert chosen() == ["d"]
    await correct(told, ev.Target(1), "")
    assert chosen() == ["a", "c"]


async def test_a_correction_in_words_makes_no_pair_and_a_redo_may_still(told: Teller, reader: LogReader) -> None:
    await held(told)
    await correct(told, ev.Target(2, "call", 1), "wait for job 7")
    assert pairs(reader) == ["pair"]
    await correct(told, ev.Target(3, "call", 1), "look at the loss first")
    assert pairs(reader) == ["pair", "correction_words"]


async def test_the_same_call_or_a_broken_reply_makes_no_pair_of_a_correction(told: Teller, reader: LogReader) -> None:
    await told.act("x")
    await correct(told, ev.Target(1, "call", 1), 'run {"command":   "x"}')
    assert pairs(reader) == ["same"]
    await told.reply(("run", '{"command":"e"}'), finish="length")
    await correct(told, ev.Target(2, "call", 1), 'run {"command": "y"}')
    assert pairs(reader) == ["same"]


async def test_what_a_judge_would_correct_is_no_pair(told: Teller, reader: LogReader) -> None:
    await told.act("x")
    await correct(told, ev.Target(1, "call", 1), 'run {"command": "y"}', actor="judge:gpt")
    assert pairs(reader) == []


async def test_rules_make_no_pairs_and_no_verdicts(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command":"kill 7"}'))
    await told.refuse(why="skipped_for_advice")
    await told.flag(ev.Target(1), actor="rule:loop")
    await told.advise("Let it run.")
    await told.act("wait")
    await told.flag(ev.Target(2), verdict="good", actor="judge:gpt")
    assert pairs(reader) == []
    assert list(find_unpaired_replies(source(reader))) == []


async def test_verdicts_are_what_humans_flagged_and_marked_good_and_nothing_else(
    told: Teller, reader: LogReader
) -> None:
    for command in ("a", "b", "c", "d"):
        await told.act(command)
    await told.flag(ev.Target(1))
    await told.flag(ev.Target(2), verdict="good")
    await told.flag(ev.Target(3), verdict="unsure")
    await told.reply(("run", '{"command":"e"}'), finish="length")
    await told.result()
    await told.flag(ev.Target(5), verdict="good")
    found = [(verdict.sample.mask.step, verdict.good) for verdict in find_unpaired_replies(source(reader))]
    assert found == [(1, False), (2, True)]


async def test_a_good_mark_on_the_only_call_or_on_all_calls_is_a_verdict_on_the_reply(
    told: Teller, reader: LogReader
) -> None:
    for _ in range(3):
        await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'))
        await told.result(1)
        await told.result(2)
    await told.act("c")
    await told.flag(ev.Target(1, "call", 1), verdict="good")
    for call in (1, 2):
        await told.flag(ev.Target(2, "call", call), verdict="good")
    await told.flag(ev.Target(3), verdict="good")
    await told.flag(ev.Target(3, "call", 2), verdict="unsure")
    await told.flag(ev.Target(4, "call", 1), verdict="good")
    found = [
        (item.sample.mask.step, item.good)
        for item in find_unpaired_replies(source(reader))
        if isinstance(item, UnpairedReply)
    ]
    assert found == [(2, True), (4, True)], "of step 1 one call is judged, of step 3 one is doubtful"


async def test_a_span_of_good_steps_is_a_verdict_on_each(told: Teller, reader: LogReader) -> None:
    for command in ("a", "b", "c"):
        await told.act(command)
    await told.flag(ev.Target(1, "span", None, 2), verdict="good")
    found = [
        (item.sample.mask.step, item.good)
        for item in find_unpaired_replies(source(reader))
        if isinstance(item, UnpairedReply)
    ]
    assert found == [(1, True), (2, True)]


async def test_a_rules_flag_is_no_humans_because_a_human_blames_the_environment_or_another_part(
    told: Teller, reader: LogReader
) -> None:
    await held(told)
    await told.flag(ev.Target(3), actor="rule:loop")
    await told.flag(ev.Target(3, "call", 9), label="environment/timeout")
    found = [
        (item.sample.mask.step, item.good)
        for item in find_unpaired_replies(source(reader))
        if isinstance(item, UnpairedReply)
    ]
    assert found == [(2, False)]
    assert pairs(reader) == ["no_redo"]


async def test_a_disputed_reply_makes_no_pair_of_a_correction(told: Teller, reader: LogReader) -> None:
    await told.act("kill 7")
    await told.flag(ev.Target(1), actor="human:ann")
    await told.flag(ev.Target(1), actor="human:bob", verdict="good")
    await correct(told, ev.Target(1), 'run {"command": "wait 7"}')
    assert pairs(reader) == ["pair"]
    assert pairs(reader, kept_policy(flags=FlagRules(conflict="exclude"))) == ["disputed"]


async def test_what_is_corrected_ends_as_a_call_ends_whatever_the_server_said_of_the_old_reply(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(text="I give up.", stop_token="<|user|>", token_ids=(1, 2), finish="stop")
    await correct(told, ev.Target(1), 'run {"command": "wait 7"}')
    [pair] = find_pairs(source(reader))
    assert isinstance(pair, Pair)
    chosen, rejected = reply_of(pair.chosen.mask), reply_of(pair.rejected.mask)
    assert (chosen.finish, chosen.stop_token, chosen.token_ids) == ("calls", "", ())
    assert (rejected.finish, rejected.stop_token) == ("stop", "<|user|>")


async def test_flagged_replies_without_a_prompt_to_train_on_are_counted(told: Teller, reader: LogReader) -> None:
    await told.advise("Please let the job run for another hour.", "strategy")
    await told.act("echo let the job run for another hour")
    await told.flag(ev.Target(1))
    await told.act("x")
    await told.flag(ev.Target(2), verdict="good")
    policy = kept_policy(advice=AdviceRules(strategy="dropped"))
    assert pairs(reader, policy) == ["target_refers"]
    found = [
        item.reason if isinstance(item, Refusal) else item.good
        for item in find_unpaired_replies(source(reader, policy))
    ]
    assert found == ["target_refers", True]
    assert pairs(reader) == ["no_redo"]


async def test_a_redo_may_not_quote_earlier_advice_that_its_prompt_lost(told: Teller, reader: LogReader) -> None:
    await told.advise("Please let the job run for another hour.", "knowledge")
    await held(told, advice="No.", redo="echo let the job run for another hour")
    assert pairs(reader) == ["pair"]
    assert pairs(reader, kept_policy(advice=AdviceRules(knowledge="dropped"))) == ["redo_refers"]


async def test_a_confirmation_of_a_summary_confirms_no_step(told: Teller, reader: LogReader) -> None:
    await ran(told)
    await told.flag(ev.Target(3, "summary"), verdict="good", label=CONFIRMED)
    assert pairs(reader) == ["ran"]


async def test_flagged_replies_that_are_no_targets_anyway_are_counted(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", "{"))
    await told.refuse()
    await told.reply(("run", '{"command":"e"}'), finish="length")
    await told.act("x")
    for step in (1, 2):
        await told.flag(ev.Target(step))
    await told.flag(ev.Target(3), label="environment/timeout")
    assert pairs(reader) == ["malformed", "finish_length"]
    found = list(find_unpaired_replies(source(reader)))
    assert [item.reason for item in found if isinstance(item, Refusal)] == ["malformed", "finish_length"]
    assert len(found) == 2


async def test_a_correction_may_only_call_what_the_agent_had(told: Teller, reader: LogReader) -> None:
    await told.act("kill 7")
    await correct(told, ev.Target(1, "call", 1), 'wait_for {"job": 7}')
    assert pairs(reader) == ["correction_tool"]
    await correct(told, ev.Target(1, "call", 1), 'run {"command": "wait 7"}')
    assert pairs(reader) == ["pair"]


async def test_a_good_step_within_a_bad_span_takes_nothing_from_the_others(told: Teller, reader: LogReader) -> None:
    for command in ("a", "b", "c"):
        await told.act(command)
    await told.flag(ev.Target(1, "span", None, 3))
    await told.flag(ev.Target(3), verdict="good")
    found = [
        (item.sample.mask.step, item.good)
        for item in find_unpaired_replies(source(reader))
        if isinstance(item, UnpairedReply)
    ]
    assert found == [(1, False), (2, False), (3, True)]


async def test_a_redo_makes_a_pair_also_where_the_policy_drops_advice_that_holds_here(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(("run", '{"command":"kill 1"}'))
    await told.refuse(1, why="skipped_for_advice", shown="Skipped: advice has arrived.")
    await told.flag(ev.Target(1))
    await told.advise("Let it run.", reach="here")
    await told.act("tail log")
    modes: tuple[AdviceMode, ...] = ("kept", "dropped")
    for advice in modes:
        [pair] = find_pairs(source(reader, kept_policy().with_advice(advice)))
        assert isinstance(pair, Pair) and pair.chosen.mask.step == 2
