from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from training_log import SESSION, Teller, kept_policy, rows_of

from apollo_train.export.run import run_export
from apollo_train.export.training_view import TrainingView, training_view
from apollo_train.policy import PRESETS, FilterPolicy, FlagRules
from apollo_train.runtime import NothingToExport
from apollo_train.samples.char_spans import CharSpan
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


async def random_session(told: Teller, rng: random.Random) -> None:
    for _ in range(rng.randint(8, 16)):
        kind = rng.random()
        calls = [("run", json.dumps({"command": f"echo {rng.random()}"})) for _ in range(rng.choice((1, 1, 2, 3)))]
        thought = rng.choice(("", "I think so."))
        if kind < 0.1:
            await told.reply(text="Done, I believe.", reasoning=thought)
        elif kind < 0.2:
            await told.reply(("run", "{broken"), text="Oops.", reasoning=thought)
            await told.refuse()
        else:
            await told.reply(*calls, text=rng.choice(("", "Let me look.")), reasoning=thought)
            for number in range(1, len(calls) + 1):
                await told.result(number, rng.choice(("ok", "loss 2.1")))
        if rng.random() < 0.1:
            await told.advise("wait", rng.choice(("knowledge", None)))
    for _ in range(rng.randint(1, 6)):
        step = rng.randint(1, told.step)
        target = rng.choice(
            [ev.Target(step), ev.Target(step, "call", 1), ev.Target(step, "reasoning"), ev.Target(step, "text"),
             ev.Target(step, "span", to_step=min(told.step, step + 2))]
        )  # fmt: skip
        await told.flag(
            target,
            actor=rng.choice(("human:ann", "human:ben", "rule:r", "judge:j")),
            verdict=rng.choice(("bad", "bad", "good", "unsure")),
            until_recovery=rng.random() < 0.3,
            label=rng.choice(("unspecified", "environment", "x/impatience")),
        )
    if rng.random() < 0.6:
        await told.tell(ev.RecoveryMarked(at_step=rng.randint(1, told.step)), actor="human:ann")
    if rng.random() < 0.5:
        await told.tell(ev.CursorMoved.up_to(rng.choice(told.history).seq), actor="human:ann")


def characters(message: dict[str, Any]) -> dict[tuple[str, int | None], int]:
    """The fields of an exported reply, and how many characters each has."""
    found: dict[tuple[str, int | None], int] = {}
    if message.get("reasoning_content"):
        found["reasoning", None] = len(message["reasoning_content"])
    if message["content"]:
        found["text", None] = len(message["content"])
    for number, call in enumerate(message.get("tool_calls", ()), 1):
        found["call", number] = len(call["function"]["arguments"])
    return found


def of_view(spans: tuple[CharSpan, ...]) -> dict[tuple[str, int | None], int]:
    assert all(span.start == 0 for span in spans)
    return {(span.field, span.call): span.end for span in spans}


def view_of(reader: LogReader, policy: FilterPolicy) -> TrainingView:
    view = training_view(reader, SESSION, policy)
    assert view is not None
    return view


POLICIES = [
    kept_policy(),
    PRESETS["everything"].with_advice("kept"),
    kept_policy(name="far", flags=FlagRules(propagation="until_recovery", unsure="mask", conflict="exclude")),
    kept_policy(name="first", flags=FlagRules(propagation="first_error", environment_kept=False)),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("seed", range(6))
async def test_the_view_trains_the_very_characters_that_the_export_trains(
    told: Teller, reader: LogReader, writer: LogWriter, tmp_path: Path, policy: FilterPolicy, seed: int
) -> None:
    await random_session(told, random.Random(seed))
    out = tmp_path / "steps.jsonl"
    view = view_of(reader, policy)
    if not view.trained:
        with pytest.raises(NothingToExport):
            run_export(reader, None, policy, "steps", out)
        return
    report = run_export(reader, None, policy, "steps", out)
    rows = {row["meta"]["step"]: row["completion"][0] for row in rows_of(out)}
    trained = {step: reply for step, reply in view.steps.items() if not reply.reason}
    assert set(trained) == {int(step) for step in rows}
    for step, message in rows.items():
        spans = trained[int(step)].spans
        assert all(span.trained for span in spans)
        assert of_view(spans) == characters(message)
    excluded = {line["seq"]: line["reason"] for line in rows_of(report.excluded)}
    assert excluded == {seq: reply.reason for seq, reply in view.replies.items() if reply.reason}
    for seq in excluded:
        assert not any(span.trained for span in view.replies[seq].spans)
    assert (view.trained, view.trained_tokens) == (report.counts.trained, report.counts.trained_tokens)
    assert view.unseen_tokens == report.counts.unseen_tokens
    assert dict(view.masked) == dict(report.counts.masked_by)


@pytest.mark.parametrize("seed", range(4))
async def test_the_view_agrees_with_the_loss_fields_of_whole_conversations(
    told: Teller, reader: LogReader, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(100 + seed)
    for _ in range(12):
        await told.act(f"echo {rng.random()}", text=rng.choice(("", "Look.")), reasoning=rng.choice(("", "Hm.")))
    for step in rng.sample(range(1, 12), 4):
        await told.flag(ev.Target(step, "call", 1))
    out = tmp_path / "chat.jsonl"
    run_export(reader, None, kept_policy(), "ms-swift", out)
    (row,) = rows_of(out)
    replies = [message for message in row["messages"] if message["role"] == "assistant"]
    view = view_of(reader, kept_policy())
    assert [message["loss"] for message in replies] == [
        all(span.trained for span in view.steps[step].spans) for step in range(1, len(replies) + 1)
    ]


async def test_by_cell_only_the_flagged_call_is_masked_and_by_message_the_whole_reply(
    told: Teller, reader: LogReader
) -> None:
    await told.reply(("run", '{"command": "a"}'), ("run", '{"command": "b"}'), text="Both.", reasoning="Why not.")
    await told.result(1)
    await told.result(2)
    await told.flag(ev.Target(1, "call", 2))
    by_message = training_view(reader, SESSION, kept_policy())
    masks_parts = training_view(reader, SESSION, kept_policy(flags=FlagRules(scope="call")))
    assert masks_parts == training_view(reader, SESSION, kept_policy(flags=FlagRules(scope="call")), cells=True)
    assert by_message and masks_parts
    assert [span.trained for span in by_message.steps[1].spans] == [False] * 4
    assert [span.trained for span in masks_parts.steps[1].spans] == [True, True, True, False]
    assert by_message.calls_lost == 1


async def test_a_session_that_the_policy_leaves_out_trains_nothing_and_says_why(
    told: Teller, reader: LogReader
) -> None:
    await told.act()
    await told.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
    view = view_of(reader, kept_policy())
    assert view.trained == 0 and view.left_out == "session_sign_off"
    assert next(view.lines()) == "left out by the policy: session sign off"
