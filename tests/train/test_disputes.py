from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_log import SESSION, Teller, kept_policy, rows_of

from apollo_train.export.run import run_export
from apollo_train.formats import FORMATS
from apollo_train.masks.annotations import read_annotations
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.policy import FilterPolicy, FlagRules
from sessions import events as ev
from sessions.log.reader import LogReader

EXCLUDE = kept_policy(flags=FlagRules(conflict="exclude"))
MASK = kept_policy(flags=FlagRules(conflict="mask"))
WORD = "DISPUTED_WORD"
MESSAGES = [name for name, made in FORMATS.items() if made.unit == "segment" and name not in ("verl", "atif", "sts")]
STEPS = [name for name, made in FORMATS.items() if made.unit == "step"]
PREFERENCES = ["dpo", "kto"]


async def disputed(told: Teller, advice: str = "") -> None:
    """Of the second reply's two calls one is disputed; the third reply follows it, after advice if there is any."""
    await told.act("ls", reasoning="Look.")
    calls = [("run", json.dumps({"command": command})) for command in ("pwd", WORD)]
    await told.reply(*calls, reasoning="Both.")
    await told.refuse(1, why="skipped_for_advice", shown="skipped")
    await told.refuse(2, why="skipped_for_advice", shown="skipped")
    await told.flag(ev.Target(2, "call", 2), actor="human:ann")
    await told.flag(ev.Target(2), actor="human:bob", verdict="good")
    if advice:
        await told.advise(advice, "strategy")
    await told.act("make", reasoning="On.")
    await told.flag(ev.Target(3), verdict="good")
    await told.tell(ev.StateChanged(state="finished"))


def exported(reader: LogReader, folder: Path, name: str, policy: FilterPolicy) -> tuple[list[Any], dict[str, str]]:
    report = run_export(reader, None, policy, name, folder / f"{name}.jsonl", overwrite=True)
    twin = {line["step"]: line["reason"] for line in rows_of(report.excluded)}
    return rows_of(report.path), twin


def masks(reader: LogReader, policy: FilterPolicy) -> list[ReplyMask]:
    judged = read_annotations(reader, SESSION, reader.position())
    assert judged is not None
    return list(mask_replies(reader, judged, policy))


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_disputed_reply_is_context_without_loss_and_listed_in_messages(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await disputed(told)
    rows, twin = exported(reader, tmp_path, name, EXCLUDE)
    assert twin == {"2": "disputed"}
    replies = [message for row in rows for message in row["messages"] if message["role"] == "assistant"]
    marks = {key for message in replies for key in message} & {"weight", "loss", "train", "trainable", "loss_weight"}
    marks |= {key for message in replies for key in message} & {"step_loss_mask"}
    assert len(replies) == 3
    assert WORD in json.dumps(replies[1])
    assert marks
    for mark in marks:
        assert [bool(message[mark]) for message in replies] == [True, False, True]


@pytest.mark.parametrize("name", STEPS)
async def test_a_disputed_reply_is_no_step_sample_but_context_of_the_next(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await disputed(told)
    rows, twin = exported(reader, tmp_path, name, EXCLUDE)
    assert twin["2"] == "disputed"
    for row in rows:
        assert row["meta"]["step"] != "2"
        turns = row.get("messages") or row.get("conversations") or [*row["prompt"], *row["completion"]]
        assert WORD not in json.dumps(turns[-1])
        assert (WORD in json.dumps(turns)) == (row["meta"]["step"] == "3")


@pytest.mark.parametrize("name", PREFERENCES)
async def test_a_dispute_is_no_verdict_for_preference_data(
    told: Teller, reader: LogReader, tmp_path: Path, name: str
) -> None:
    await disputed(told, "Look elsewhere.")
    # One more flag, that nobody disputes, so that there is a row besides.
    await told.reply(("run", '{"command":"rm"}'), reasoning="Away.")
    await told.refuse(1, why="skipped_for_advice", shown="skipped")
    await told.flag(ev.Target(4))
    await told.advise("Keep it.", "strategy")
    await told.act("cp", reasoning="A copy.")
    rows, twin = exported(reader, tmp_path, name, EXCLUDE)
    assert twin["2"] == "disputed"
    assert "2" not in {row["meta"]["step"] for row in rows}
    assert "4" in {row["meta"]["step"] for row in rows}
    rows, twin = exported(reader, tmp_path, name, MASK)
    assert "2" not in twin
    assert "2" in {row["meta"]["step"] for row in rows}


async def test_trajectories_say_of_a_disputed_reply_that_no_part_of_it_is_trained(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await disputed(told)
    for name in ("atif", "sts"):
        _, twin = exported(reader, tmp_path, name, EXCLUDE)
        assert twin == {"2": "disputed"}
    assert WORD in (tmp_path / "atif.jsonl").read_text()


@pytest.mark.parametrize("scope", ["format", "message", "call", "reasoning"])
async def test_a_dispute_about_one_call_takes_the_whole_reply_out_whatever_the_scope(
    told: Teller, reader: LogReader, scope: Any
) -> None:
    await disputed(told)
    [_, mask, _] = masks(reader, kept_policy(flags=FlagRules(conflict="exclude", scope=scope)))
    assert {cell.reason for cell in mask.cells} == {"disputed"}
    [_, mask, _] = masks(reader, kept_policy(flags=FlagRules(conflict="mask", scope=scope)))
    good = scope != "message"  # which takes the whole reply
    assert (mask.reason, [cell.trained for cell in mask.cells if cell.part == "call"]) == ("flagged", [good, False])


async def test_a_flag_beside_the_dispute_does_not_make_it_a_verdict(told: Teller, reader: LogReader) -> None:
    await disputed(told)
    await told.flag(ev.Target(2, "call", 1), actor="human:bob")
    assert masks(reader, MASK)[1].reason == "flagged"
    found = masks(reader, EXCLUDE)[1]
    assert found.reason == "disputed"
    assert {cell.call: cell.reason for cell in found.cells if cell.part == "call"} == {1: "flagged", 2: "disputed"}


@pytest.mark.parametrize(("mode", "reached"), [("to_end", "propagated"), ("first_error", "after_first_error")])
async def test_a_disputed_or_overruled_flag_reaches_nothing_else(
    told: Teller, reader: LogReader, mode: Any, reached: str
) -> None:
    for command in ("ls", "pwd", "make"):
        await told.act(command)
    await told.flag(ev.Target(1), actor="human:ann")
    await told.flag(ev.Target(1), actor="human:bob", verdict="good")

    def reasons(**rules: Any) -> list[str]:
        policy = kept_policy(flags=FlagRules(propagation=mode, **rules))
        return [mask.reason for mask in masks(reader, policy)]

    assert reasons(conflict="mask") == ["flagged", reached, reached]
    assert reasons(conflict="exclude") == ["disputed", "", ""]
    assert reasons(conflict="adjudicated", adjudicators=("ann",)) == ["flagged", reached, reached]
    assert reasons(conflict="adjudicated", adjudicators=("bob",)) == ["", "", ""]
    assert reasons(conflict="adjudicated", adjudicators=("cleo",)) == ["disputed", "", ""]
