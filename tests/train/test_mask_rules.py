from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from training_log import SESSION, Teller

from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.facts import ReplyFacts
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.policy import FilterPolicy, FlagRules, RuleMasks, TargetRules
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


def masks(reader: LogReader, **policy: Any) -> list[ReplyMask]:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return list(mask_replies(reader, judged, FilterPolicy(**policy)))


def reasons(reader: LogReader, **flags: Any) -> list[str]:
    return [mask.reason for mask in masks(reader, flags=FlagRules(**flags))]


def calls(mask: ReplyMask) -> list[str]:
    return [cell.reason for cell in mask.cells if cell.part == "call"]


async def act_twice(told: Teller, arguments: str = '{"command":"b"}') -> None:
    """A reply with reasoning, text and two calls."""
    await told.reply(("run", '{"command":"a"}'), ("run", arguments), reasoning="Why not.", text="Both.")
    await told.result(1)
    if arguments.endswith("}"):
        await told.result(2)
    else:
        await told.refuse(2)


async def test_a_rule_masks_no_fault_that_a_human_calls_the_environments(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.act()
    await told.flag(ev.Target(1), actor="rule:error_burst")
    await told.flag(ev.Target(1), label="environment/timeout")
    await told.flag(ev.Target(2, "call", 1), actor="judge:gpt", label="environment/timeout")
    await told.flag(ev.Target(2, "call", 1), actor="rule:error_burst")
    assert reasons(reader) == ["", "flagged"], "a judge excuses nothing that a rule flags"
    assert reasons(reader, environment_kept=False) == ["flagged", "flagged"]


async def test_the_most_precise_word_of_a_person_may_be_that_it_was_not_the_agents_fault(
    told: Teller, reader: LogReader
) -> None:
    await act_twice(told)
    await told.flag(ev.Target(1), label="x/impatience")
    await told.flag(ev.Target(1, "call", 2), label="environment/timeout")
    [mask] = masks(reader, flags=FlagRules(scope="call"))
    assert mask.reason == "flagged"
    assert calls(mask) == ["flagged", ""]
    await told.flag(ev.Target(1, "call", 2), label="x/impatience")
    assert calls(masks(reader, flags=FlagRules(scope="call"))[0]) == ["flagged", "flagged"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, "flagged"),
        ({"conflict": "exclude"}, "disputed"),
        ({"conflict": "adjudicated", "adjudicators": ("ann",)}, ""),
        ({"conflict": "adjudicated", "adjudicators": ("bob",)}, "flagged"),
    ],
)
async def test_whose_fault_it_was_is_a_dispute_like_any_other(
    told: Teller, reader: LogReader, rules: dict[str, Any], expected: str
) -> None:
    await told.act()
    await told.flag(ev.Target(1), actor="human:ann", label="environment/timeout")
    await told.flag(ev.Target(1), actor="human:bob")
    assert reasons(reader, **rules) == [expected]


async def test_a_disputed_call_takes_the_reply_out_also_where_it_is_malformed(told: Teller, reader: LogReader) -> None:
    await act_twice(told, '{"command":')
    await told.flag(ev.Target(1, "call", 2), actor="human:ann")
    await told.flag(ev.Target(1, "call", 2), actor="human:bob", verdict="good")
    [mask] = masks(reader, flags=FlagRules(conflict="exclude"))
    assert (mask.reason, {cell.trained for cell in mask.cells}) == ("disputed", {False})
    [mask] = masks(reader, flags=FlagRules(scope="call"))
    assert calls(mask) == ["", "malformed"]


@pytest.mark.parametrize(
    ("mode", "rest"),
    [("this", ""), ("until_recovery", "propagated"), ("to_end", "propagated"), ("first_error", "after_first_error")],
)
async def test_a_bad_call_reaches_the_calls_after_it_in_its_own_reply(
    told: Teller, reader: LogReader, mode: Any, rest: str
) -> None:
    await told.act()
    await told.reply(*[("run", json.dumps({"command": name})) for name in "abc"], reasoning="Think.", text="Go.")
    for number in (1, 2, 3):
        await told.result(number)
    await told.act()
    await told.flag(ev.Target(2, "call", 2))
    await told.tell(ev.RecoveryMarked(at_step=3), actor="human:ann")
    found = masks(reader, flags=FlagRules(propagation=mode, scope="call"))
    assert calls(found[1]) == ["", "flagged", rest]
    assert [cell.trained for cell in found[1].cells if cell.part != "call"] == [True, True]
    assert found[2].trained == (mode in ("this", "until_recovery"))


async def test_the_screen_and_the_export_let_a_flag_reach_the_same_calls(told: Teller, reader: LogReader) -> None:
    for _ in range(4):
        await act_twice(told)
    await told.flag(ev.Target(2, "call", 1), until_recovery=True)
    await told.tell(ev.RecoveryMarked(at_step=4), actor="human:ann")
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    for mask in masks(reader):
        covered = [bool(judged.flags.covers(mask.step, number)) for number in (1, 2)]
        assert [bool(reason) for reason in calls(mask)] == covered


async def test_a_word_that_the_annotator_changed_reaches_nothing(told: Teller, reader: LogReader) -> None:
    for _ in range(3):
        await told.act()
    await told.flag(ev.Target(1))
    assert reasons(reader, propagation="to_end") == ["flagged", "propagated", "propagated"]
    await told.flag(ev.Target(1), verdict="good")
    for mode in ("to_end", "first_error"):
        assert reasons(reader, propagation=mode) == ["", "", ""]


@pytest.mark.parametrize("target", [ev.Target(2), ev.Target(2, "call", 1), ev.Target(2, "span", None, 3)])
async def test_what_a_human_calls_good_is_trained_within_the_reach_of_a_flag(
    told: Teller, reader: LogReader, target: ev.Target
) -> None:
    await told.act()
    await told.act(reasoning="Think.", text="Go.")
    await told.flag(ev.Target(1))
    await told.flag(target, verdict="good")
    found = masks(reader, flags=FlagRules(propagation="to_end"))
    assert found[1].trained and all(cell.trained for cell in found[1].cells)


async def test_one_good_call_among_others_keeps_its_own_loss_only(told: Teller, reader: LogReader) -> None:
    await told.act()
    await act_twice(told)
    await told.flag(ev.Target(1))
    await told.flag(ev.Target(2, "call", 2), verdict="good")
    mask = masks(reader, flags=FlagRules(propagation="to_end", scope="call"))[1]
    assert (mask.reason, calls(mask)) == ("propagated", ["propagated", ""])
    assert {cell.reason for cell in mask.cells if cell.part != "call"} == {"propagated"}


async def test_judged_up_to_a_step_signs_off_what_nobody_read_and_a_summary_with_its_last_step(
    told: Teller, reader: LogReader
) -> None:
    await told.act()
    await told.act()
    await told.summarise()
    await told.act()
    rules = TargetRules(unseen="signed_off", summaries=True)
    assert [mask.reason for mask in masks(reader, targets=rules)] == ["unseen"] * 4
    await told.tell(ev.SignedOff(up_to_step=1), actor="human:ann")
    assert [mask.reason for mask in masks(reader, targets=rules)] == ["", "unseen", "unseen", "unseen"]
    await told.tell(ev.SignedOff(up_to_step=2), actor="human:ann")
    assert [mask.reason for mask in masks(reader, targets=rules)] == ["", "", "", "unseen"]
    await told.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
    assert [mask.reason for mask in masks(reader, targets=rules)] == ["unseen"] * 4


async def test_a_reply_of_blanks_is_empty(told: Teller, reader: LogReader) -> None:
    await told.reply(text=" \n", reasoning="Hm.")
    [mask] = masks(reader, targets=TargetRules(text_only=True))
    assert mask.reason == "empty"


async def test_a_summary_goes_by_the_flags_on_summaries_not_by_those_on_the_step_of_its_number(
    told: Teller, reader: LogReader
) -> None:
    await told.act()
    await told.summarise()
    await told.act()
    await told.flag(ev.Target(1))
    rules = TargetRules(summaries=True)
    assert [mask.reason for mask in masks(reader, targets=rules)] == ["flagged", "", ""]
    assert [mask.reason for mask in masks(reader, targets=rules, flags=FlagRules(propagation="to_end"))] == [
        "flagged", "", "propagated",
    ]  # fmt: skip


async def test_two_polls_at_once_are_runs_of_their_own_and_waiting_is_none(told: Teller, reader: LogReader) -> None:
    for answer in ("a", "a", "a"):
        await told.reply(("job_output", '{"job":1}'), ("job_output", '{"job":2}'))
        await told.result(1, "same")
        await told.result(2, answer)
    for _ in range(3):
        await told.reply(("wait", '{"job":1}'))
        await told.result(1, "Still running.")
    found = masks(reader, rules=RuleMasks(inner_polls=True))
    assert [mask.reason for mask in found] == ["", "inner_poll", "", "", "", ""]


async def test_what_the_preset_of_a_harness_says_waits_is_a_poll_and_a_sleep_before_a_look_is_one(
    writer: LogWriter, reader: LogReader
) -> None:
    tools = {"Bash": "run", "BashOutput": "wait"}
    told = await Teller(writer).begin(harness=ev.Harness(name="claude-code", tools=tools))
    for _ in range(3):
        await told.reply(("BashOutput", '{"bash_id":"b1"}'))
        await told.result(1, "same")
    for at in range(3):
        await told.reply(("Bash", json.dumps({"command": "sleep 60; tail log", "description": f"Look {at}"})))
        await told.result(1, "same")
    for _ in range(3):
        await told.reply(("Bash", '{"command":"make"}'))
        await told.result(1, "same")
    found = masks(reader, rules=RuleMasks(inner_polls=True))
    assert [mask.reason for mask in found] == ["", "inner_poll", "", "", "inner_poll", "", "", "", ""]


async def test_a_summary_ends_a_run_of_polls(told: Teller, reader: LogReader) -> None:
    for step in range(6):
        await told.reply(("job_output", '{"job":1}'))
        await told.result(1, "same")
        if step == 2:
            await told.summarise()
    found = masks(reader, rules=RuleMasks(inner_polls=True))
    assert [mask.reason for mask in found] == ["", "inner_poll", "", "summary", "", "inner_poll", ""]


async def test_a_reply_that_was_masked_leaves_nothing_for_the_collector(told: Teller, reader: LogReader) -> None:
    for _ in range(40):
        await act_twice(told)
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    gc.collect()
    gc.disable()
    try:
        assert len(list(mask_replies(reader, judged, FilterPolicy()))) == 40
        left = [one for one in gc.get_objects() if isinstance(one, ReplyFacts)]
    finally:
        gc.enable()
    assert len(left) <= 1, "parts know their reply, and it them: that circle is what made masks a third slower"
