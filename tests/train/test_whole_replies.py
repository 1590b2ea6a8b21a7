"""A bad call masks its whole reply, in every format: one policy is one set of targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_template_engine import fake_renderer
from training_log import SESSION, Teller, rows_of

from apollo_train.export.run import run_export
from apollo_train.export.training_view import training_view
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy, FlagRules, RuleMasks, parse_policy
from apollo_train.runtime import CannotExpress
from sessions import events as ev
from sessions.log.reader import LogReader

DEFAULT = FilterPolicy()


async def three(told: Teller) -> None:
    """Of the second reply, one call is bad."""
    await told.act("ls", reasoning="First.")
    await told.reply(
        ("run", '{"command": "kill 7"}'), ("run", '{"command": "ls"}'), reasoning="Job 7 hangs.", text="I kill it."
    )
    await told.result(1)
    await told.result(2)
    await told.act("make", reasoning="Last.")


def trained_steps(reader: LogReader, folder: Path, name: str, policy: FilterPolicy) -> set[str]:
    """The steps that a format trains any of."""
    made: Any = TokensFormat(fake_renderer(), packing="steps") if name == "tokens" else name
    rows = rows_of(run_export(reader, None, policy, made, folder / f"{name}.jsonl", overwrite=True).path)
    if name == "tokens":
        return {row["meta"]["step"] for row in rows if any(label != -100 for label in row["labels"])}
    if name == "atif":
        replies = [step["extra"]["apollo"] for step in rows[0]["steps"] if step["source"] == "agent"]
        assert not any(
            call["extra"]["apollo"].get("trainable")
            for step in rows[0]["steps"]
            for call in step.get("tool_calls", ())
            if not step["extra"]["apollo"]["trainable"]
        )
        return {str(own["step"]) for own in replies if own["trainable"]}
    if "messages" in rows[0]:
        said = [message for message in rows[0]["messages"] if message["role"] == "assistant"]
        return {str(number) for number, message in enumerate(said, 1) if message["weight"]}
    return {row["meta"]["step"] for row in rows}


@pytest.mark.parametrize("target", [ev.Target(2, "call", 1), ev.Target(2, "call", 2), ev.Target(2)])
async def test_a_bad_call_takes_its_whole_reply_out_of_every_format_and_of_the_training_view(
    told: Teller, reader: LogReader, tmp_path: Path, target: ev.Target
) -> None:
    await three(told)
    await told.flag(target, label="x/impatience")
    found = {name: trained_steps(reader, tmp_path, name, DEFAULT) for name in ("steps", "openai", "atif", "tokens")}
    assert found == {name: {"1", "3"} for name in found}
    view = training_view(reader, SESSION, DEFAULT)
    assert view is not None
    assert [span.reason for span in view.steps[2].spans] == ["flagged"] * 4
    assert not any(span.in_tokens for span in view.steps[2].spans)
    assert view.calls_lost == (1 if target.part == "call" else 0)
    made = TokensFormat(fake_renderer())
    report = run_export(reader, None, DEFAULT, made, tmp_path / "rows.jsonl")
    whole = run_export(reader, None, DEFAULT, "openai", tmp_path / "whole.jsonl")
    assert report.counts.calls_lost == whole.counts.calls_lost == view.calls_lost
    assert report.counts.masked_by_label == {"x/impatience": 1}
    assert made.report.dropped == {"flagged": 1} and made.report.masked == {}


async def test_malformed_calls_unsure_calls_and_inner_polls_take_their_reply_along_as_well(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await three(told)
    await told.reply(("run", '{"command": "x"}'), ("run", '{"command'), reasoning="Two.")
    await told.result(1)
    await told.refuse(2)
    await told.flag(ev.Target(2, "call", 2), verdict="unsure")
    policy = FilterPolicy(flags=FlagRules(unsure="mask"), rules=RuleMasks(inner_polls=True))
    for name in ("steps", "tokens"):
        assert trained_steps(reader, tmp_path, name, policy) == {"1", "3"}


async def test_a_flag_on_one_part_masks_that_part_where_a_format_can_say_so(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await three(told)
    await told.flag(ev.Target(2, "reasoning"))
    assert trained_steps(reader, tmp_path, "steps", DEFAULT) == {"1", "3"}
    assert trained_steps(reader, tmp_path, "tokens", DEFAULT) == {"1", "2", "3"}
    view = training_view(reader, SESSION, DEFAULT)
    assert view is not None
    # The view says what files of messages do, and where files of tokens train more.
    assert [span.trained for span in view.steps[2].spans] == [False] * 4
    assert [span.in_tokens for span in view.steps[2].spans] == [False, True, True, True]


async def test_scope_call_masks_that_call_alone_in_tokens_and_is_refused_by_messages(
    told: Teller, reader: LogReader, tmp_path: Path
) -> None:
    await three(told)
    await told.flag(ev.Target(2, "call", 1))
    alone = parse_policy('version = 2\n[flags]\nscope = "call"')
    made = TokensFormat(fake_renderer(), packing="steps")
    rows = rows_of(run_export(reader, None, alone, made, tmp_path / "rows.jsonl").path)
    assert [row["meta"]["step"] for row in rows] == ["1", "2", "3"]
    assert made.report.masked_actions == {"flagged": 1}
    for name in ("steps", "openai", "nemo-rl"):
        with pytest.raises(CannotExpress, match="trains a reply whole or not at all"):
            run_export(reader, None, alone, name, tmp_path / name)
