from __future__ import annotations

import json
from typing import Any

import pytest
from training_log import SESSION, Teller

from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.masks.rules import REASONS
from apollo_train.policy import FilterPolicy, FlagRules, RuleMasks, TargetRules
from sessions import events as ev
from sessions.events.messages import CallPart, TextPart
from sessions.log.reader import LogReader


def masks(reader: LogReader, policy: FilterPolicy | None = None) -> list[ReplyMask]:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return list(mask_replies(reader, judged, policy or FilterPolicy()))


def reasons(reader: LogReader, **policy: Any) -> list[str]:
    found = masks(reader, FilterPolicy(**policy))
    assert all(mask.reason in REASONS or not mask.reason for mask in found)
    assert all(mask.trained == (not mask.reason) for mask in found)
    return [mask.reason for mask in found]


async def three(told: Teller) -> None:
    for command in ("ls", "pwd", "make"):
        await told.act(command)


async def test_an_unjudged_session_trains_every_normal_reply(told: Teller, reader: LogReader) -> None:
    await three(told)
    assert reasons(reader) == ["", "", ""]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (ev.Target(2), ["", "flagged", ""]),
        (ev.Target(2, "call", 1), ["", "flagged", ""]),
        (ev.Target(1, "span", None, 2), ["flagged", "flagged", ""]),
        (ev.Target(2, "reasoning"), ["", "", ""]),
        (ev.Target(2, "call", 7), ["", "", ""]),
    ],
)
async def test_a_bad_flag_masks_what_it_is_about(
    told: Teller, reader: LogReader, target: ev.Target, expected: list[str]
) -> None:
    await three(told)
    await told.flag(target)
    assert reasons(reader) == expected


async def test_a_flag_that_was_taken_back_masks_nothing(told: Teller, reader: LogReader) -> None:
    await three(told)
    flag = await told.flag(ev.Target(2))
    await told.tell(ev.FlagRemoved(flag=flag), actor="human:ann")
    assert reasons(reader) == ["", "", ""]


async def test_faults_of_the_environment_keep_their_loss(told: Teller, reader: LogReader) -> None:
    await three(told)
    await told.flag(ev.Target(1), label="environment")
    await told.flag(ev.Target(2), label="environment/timeout")
    assert reasons(reader) == ["", "", ""]
    assert reasons(reader, flags=FlagRules(environment_kept=False)) == ["flagged", "flagged", ""]


async def test_malformed_calls_are_masked_whether_refused_or_merely_unreadable(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command": "ls'))
    await told.refuse()
    await told.reply(("nosuch", "{}"))
    await told.refuse(why="unknown_tool")
    await told.reply(("run", "[1]"))
    await told.act()
    assert reasons(reader) == ["malformed", "malformed", "malformed", ""]
    assert reasons(reader, rules=RuleMasks(malformed=False)) == ["", "", "", ""]


async def test_a_call_that_was_skipped_for_advice_is_not_malformed(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'))
    await told.result(1)
    await told.refuse(2, why="skipped_for_advice", shown="skipped")
    assert reasons(reader) == [""]


@pytest.mark.parametrize("finish", ["length", "refusal", "interrupted", "other"])
async def test_only_a_normal_stop_is_a_target(told: Teller, reader: LogReader, finish: str) -> None:
    await told.reply(("run", "{}"), finish=finish)
    assert reasons(reader) == [f"finish_{finish}"]


async def test_salvaged_empty_and_interrupted_replies_are_no_targets(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", "{}"), salvaged=True)
    await told.result()
    await told.reply()
    told.step += 1
    asked = await told.request()
    await told.tell(ev.ReplyInterrupted(request=asked), step=told.step)
    assert reasons(reader) == ["salvaged", "empty", "interrupted"]


async def test_a_part_of_a_reply_that_a_harness_was_handed_is_no_target(told: Teller, reader: LogReader) -> None:
    call = (CallPart("c1", "run", "{}"),)
    asked = await told.request()
    cut = ev.ReplyInterrupted(request=asked, parts=call, why="client", delivered="partial")
    await told.tell(cut, step=1)
    asked = await told.request()
    broken = ev.ModelAttemptFailed(request=asked, attempt=1, reason="cut", partial=call, delivered="partial")
    await told.tell(broken, step=1)
    await told.reply(("run", "{}"))
    assert reasons(reader) == ["interrupted", ""]


async def test_text_only_replies_train_by_policy_only(told: Teller, reader: LogReader) -> None:
    await told.reply(text="I am done.")
    assert reasons(reader) == ["text_only"]
    assert reasons(reader, targets=TargetRules(text_only=True)) == [""]


async def test_summaries_train_by_policy_only_and_can_be_flagged(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.summarise()
    await told.act()
    assert reasons(reader) == ["", "summary", ""]
    summaries = TargetRules(summaries=True)
    assert reasons(reader, targets=summaries) == ["", "", ""]
    assert [mask.name for mask in masks(reader)] == ["1", "S1", "2"]
    await told.flag(ev.Target(1, "summary"))
    assert reasons(reader, targets=summaries) == ["", "flagged", ""]


async def tell_late_summary(told: Teller, *, title: bool = False) -> None:
    """Steps 1 and 3, and between them a reply that was step 2's until it showed that it is S1. ``title``: the harness
    asked for one before that."""
    await told.act()
    reply = await told.reply(text="All went well so far.")
    if title:
        asked = await told.tell(
            ev.ModelRequested(purpose="side", adapter="x", adapter_version=1, envelope={}, sha256="")
        )
        await told.tell(ev.ModelReplied(request=asked.seq, parts=(TextPart("Numbers"),), finish="stop"), actor="agent")
    assert isinstance(reply.body, ev.ModelReplied)
    await told.tell(ev.ReplySuperseded(old=reply.seq, why="summary"), step=2)
    text = ev.LongText("All went well so far.")
    await told.tell(ev.SummaryWritten(number=1, from_step=1, to_step=1, text=text, request=reply.body.request))
    await told.act()


@pytest.mark.parametrize(
    "target", [ev.Target(2), ev.Target(2, "text"), ev.Target(1, "span", to_step=2), ev.Target(1, "summary")]
)
async def test_a_summary_that_showed_late_goes_by_what_was_said_of_its_step_as_well(
    told: Teller, reader: LogReader, target: ev.Target
) -> None:
    await tell_late_summary(told)
    summaries = TargetRules(summaries=True, unseen="mask")
    assert reasons(reader, targets=summaries) == ["unseen"] * 3
    await told.flag(target, label="premature")
    _, late, _ = masks(reader, FilterPolicy(targets=summaries))
    assert (late.name, late.reason, late.labels, late.seen) == ("S1", "flagged", ("premature",), True)
    assert {cell.reason for cell in late.cells} == {"flagged"}


async def test_a_title_between_a_late_summary_and_its_use_takes_nothing_from_it(
    told: Teller, reader: LogReader
) -> None:
    await tell_late_summary(told, title=True)
    assert [mask.name for mask in masks(reader)] == ["1", "S1", "3"], "and is no reply of the session's work"
    assert reasons(reader, targets=TargetRules(summaries=True)) == ["", "", ""]


async def test_what_no_human_saw_is_trained_masked_or_left_to_the_sign_off(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.read_all()
    await told.act()
    await told.act()
    await told.tell(ev.CursorMoved.up_to(9999), actor="rule:watch")
    assert [mask.seen for mask in masks(reader)] == [True, False, False]
    assert reasons(reader, targets=TargetRules(unseen="mask")) == ["", "unseen", "unseen"]
    signed = TargetRules(unseen="signed_off")
    assert reasons(reader, targets=signed) == ["", "unseen", "unseen"]
    await told.tell(ev.SignedOff(verdict="good", up_to_step=2), actor="human:ann")
    assert reasons(reader, targets=signed) == ["", "", "unseen"]


async def test_who_opens_the_newest_step_has_not_seen_the_night_before_it(told: Teller, reader: LogReader) -> None:
    for _ in range(6):
        await told.act()
    call = next(event.seq for event in reversed(told.history) if event.kind == "action.started")
    await told.tell(ev.CursorMoved(read_seq=call, read=(ev.SeqRange(call, call),)), actor="human:ann")
    assert [mask.seen for mask in masks(reader)] == [False] * 5 + [True]
    await told.tell(ev.CursorMoved(read_seq=call, let_go=call), actor="human:ann")
    assert [mask.seen for mask in masks(reader)] == [False] * 5 + [True], "what is let go was seen by nobody"


async def test_a_summary_was_seen_where_its_own_entry_was_read(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.summarise()
    await told.act()
    written = next(event.seq for event in told.history if event.kind == "summary.written")
    await told.tell(ev.CursorMoved(read_seq=written, read=(ev.SeqRange(written, written),)), actor="human:ann")
    assert [(mask.name, mask.seen) for mask in masks(reader)] == [("1", False), ("S1", True), ("2", False)]


async def test_a_step_that_a_human_flagged_was_seen(told: Teller, reader: LogReader) -> None:
    await three(told)
    await told.flag(ev.Target(2), verdict="good")
    assert [mask.seen for mask in masks(reader)] == [False, True, False]


async def test_a_reply_with_two_calls_loses_the_good_one_with_the_bad_one(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'), text="Both.", reasoning="Why not.")
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(1, "call", 2))
    [mask] = masks(reader)
    assert (mask.trained, mask.reason, mask.calls_lost) == (False, "flagged", 1)
    assert [cell.reason for cell in mask.cells] == ["flagged"] * 4
    [mask] = masks(reader, FilterPolicy(flags=FlagRules(scope="call")))
    assert (mask.trained, mask.calls_lost) == (False, 1)
    cells = {(cell.part, cell.call): cell.trained for cell in mask.cells}
    assert cells == {("reasoning", None): True, ("text", None): True, ("call", 1): True, ("call", 2): False}
    [mask] = masks(reader, FilterPolicy(flags=FlagRules(scope="reasoning")))
    cells = {(cell.part, cell.call): cell.trained for cell in mask.cells}
    assert cells == {("reasoning", None): False, ("text", None): False, ("call", 1): True, ("call", 2): False}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (FlagRules(sources=("rule",)), ["flagged", ""]),
        (FlagRules(sources=("human",)), ["", "flagged"]),
        (FlagRules(labels=("x/impatience",)), ["", "flagged"]),
        (FlagRules(min_severity=3), ["flagged", ""]),
        (FlagRules(kept_labels=("unspecified",)), ["", "flagged"]),
    ],
)
async def test_the_policy_says_which_flags_count(
    told: Teller, reader: LogReader, rules: FlagRules, expected: list[str]
) -> None:
    await told.act()
    await told.act()
    await told.flag(ev.Target(1), actor="rule:loop")
    await told.flag(ev.Target(2), label="x/impatience", severity=2)
    assert reasons(reader, flags=rules) == expected


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (FlagRules(conflict="mask"), "flagged"),
        (FlagRules(conflict="exclude"), "disputed"),
        (FlagRules(conflict="adjudicated", adjudicators=("cleo",)), "disputed"),
        (FlagRules(conflict="adjudicated", adjudicators=("bob",)), ""),
        (FlagRules(conflict="adjudicated", adjudicators=("ann", "bob")), ""),
        (FlagRules(conflict="adjudicated", adjudicators=("ann",)), "flagged"),
    ],
)
async def test_annotators_who_disagree(told: Teller, reader: LogReader, rules: FlagRules, expected: str) -> None:
    await told.act()
    await told.flag(ev.Target(1), actor="human:ann")
    await told.flag(ev.Target(1), actor="human:bob", verdict="good")
    assert reasons(reader, flags=rules) == [expected]


async def test_a_humans_good_word_overrules_a_rule_and_ones_own_newer_word_the_older(
    told: Teller, reader: LogReader
) -> None:
    await told.act()
    await told.flag(ev.Target(1), actor="rule:loop")
    assert reasons(reader) == ["flagged"]
    await told.flag(ev.Target(1), actor="human:ann", verdict="bad")
    await told.flag(ev.Target(1), actor="human:ann", verdict="good")
    assert reasons(reader) == [""]


async def test_unsure_masks_only_where_the_policy_says_so(told: Teller, reader: LogReader) -> None:
    await told.act()
    await told.flag(ev.Target(1), verdict="unsure")
    assert reasons(reader) == [""]
    assert reasons(reader, flags=FlagRules(unsure="mask")) == ["unsure"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("this", ["", "flagged", "", "", ""]),
        ("until_recovery", ["", "flagged", "propagated", "", ""]),
        ("to_end", ["", "flagged", "propagated", "propagated", "propagated"]),
        ("first_error", ["", "flagged", "after_first_error", "after_first_error", "after_first_error"]),
    ],
)
async def test_how_far_a_humans_bad_flag_reaches(
    told: Teller, reader: LogReader, mode: Any, expected: list[str]
) -> None:
    for _ in range(5):
        await told.act()
    await told.flag(ev.Target(2))
    await told.tell(ev.RecoveryMarked(at_step=4), actor="human:ann")
    assert reasons(reader, flags=FlagRules(propagation=mode)) == expected


@pytest.mark.parametrize("mode", ["until_recovery", "to_end", "first_error"])
async def test_flags_of_rules_never_propagate(told: Teller, reader: LogReader, mode: Any) -> None:
    for _ in range(3):
        await told.act()
    await told.flag(ev.Target(1), actor="rule:loop")
    await told.tell(ev.RecoveryMarked(at_step=3), actor="human:ann")
    assert reasons(reader, flags=FlagRules(propagation=mode)) == ["flagged", "", ""]


async def test_a_flag_that_asks_for_it_reaches_until_recovery_also_by_default(told: Teller, reader: LogReader) -> None:
    for _ in range(4):
        await told.act()
    await told.flag(ev.Target(1), until_recovery=True)
    assert reasons(reader) == ["flagged", "rule", "rule", "rule"], "all do the same, and nobody marked a recovery"
    await told.tell(ev.RecoveryMarked(at_step=3), actor="human:ann")
    assert reasons(reader) == ["flagged", "propagated", "", ""]
    await told.flag(ev.Target(2), verdict="good")
    assert reasons(reader) == ["flagged", "", "", ""]


async def test_only_inner_repeats_of_an_unchanged_poll_are_masked_and_only_on_request(
    told: Teller, reader: LogReader
) -> None:
    for output in ("10 %", "10 %", "10 %", "10 %", "20 %"):
        await told.reply(("job_output", json.dumps({"job": 1})))
        await told.result(1, output)
    await told.act()
    await told.reply(("job_output", json.dumps({"job": 1})))
    await told.result(1, "20 %")
    assert reasons(reader) == [""] * 7
    polled = reasons(reader, rules=RuleMasks(inner_polls=True))
    assert polled == ["", "inner_poll", "inner_poll", "", "", "", ""]


async def test_a_reply_has_one_reason_the_first_in_order(told: Teller, reader: LogReader) -> None:
    await told.reply(("run", "{"), finish="length")
    await told.flag(ev.Target(1))
    assert reasons(reader) == ["finish_length"]


async def test_a_bad_cell_leaves_good_cells_alone_unless_something_speaks_against_the_whole_reply(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(("run", '{"command":"a"}'), ("run", '{"command":"b"}'))
    await told.flag(ev.Target(1, "call", 1), actor="rule:loop")
    alone = FlagRules(scope="call")
    [mask] = masks(reader, FilterPolicy(flags=alone))
    assert [(cell.trained, cell.reason) for cell in mask.cells] == [(False, "flagged"), (True, "")]
    [mask] = masks(reader, FilterPolicy(flags=alone, targets=TargetRules(unseen="mask")))
    assert [(cell.trained, cell.reason) for cell in mask.cells] == [(False, "flagged"), (False, "unseen")]
    assert (mask.reason, mask.calls_lost) == ("flagged", 0)


async def test_a_reply_that_gave_way_or_was_left_out_is_no_target(told: Teller, reader: LogReader) -> None:
    await three(told)
    second = [event for event in told.history if event.kind == "model.reply"][1]
    await told.tell(ev.ReplySuperseded(old=second.seq), step=2, actor="human:ann")
    assert reasons(reader) == ["", "superseded", ""]
