from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_models import engine, renderer
from training_log import Teller, kept_policy, new_log

from apollo_train.export.run import run_export
from apollo_train.formats.tokens import TokensFormat
from apollo_train.policy import FilterPolicy, FlagRules
from apollo_train.templates.packing import Packing
from apollo_train.trainers.preference_rows import PreferenceTokens
from sessions import events as ev
from sessions.log.reader import LogReader

WORD = "DISPUTED"


@pytest.fixture
def disputed(tmp_path: Path) -> Path:
    """A log in which one of two calls of the second reply is disputed, and the fourth reply flagged by all."""

    async def tell() -> None:
        writer = await new_log(tmp_path)
        told = await Teller(writer).begin("Go.")
        await told.act("ls", reasoning="Look.")
        calls = [("run", json.dumps({"command": command})) for command in ("pwd", WORD)]
        await told.reply(*calls, reasoning="Both.")
        await told.result(1)
        await told.result(2)
        await told.flag(ev.Target(2, "call", 2), actor="human:ann")
        await told.flag(ev.Target(2), actor="human:bob", verdict="good")
        await told.act("make", reasoning="On.")
        await told.act("rm", reasoning="Away.")
        await told.flag(ev.Target(4))
        await writer.close()

    asyncio.run(tell())
    return tmp_path / "log.sqlite"


def policy(conflict: Any) -> FilterPolicy:
    return kept_policy(flags=FlagRules(scope="call", conflict=conflict))


def trained(log: Path, out: Path, conflict: str, packing: Packing) -> tuple[str, str, list[str]]:
    """The text that is trained, the text of all rows, and which steps the twin file has as disputed."""
    with LogReader(log) as reader:
        made = TokensFormat(renderer("qwen3"), packing=packing)
        report = run_export(reader, None, policy(conflict), made, out, overwrite=True)
    rows = [json.loads(line) for line in report.path.read_text().splitlines()]
    said = [number for row in rows for number in row["labels"] if number != -100]
    twin = [json.loads(line) for line in report.excluded.read_text().splitlines()]
    everything = "".join(engine("qwen3").decode(row["input_ids"]) for row in rows)
    return engine("qwen3").decode(said), everything, [line["step"] for line in twin if line["reason"] == "disputed"]


@pytest.mark.parametrize("packing", ["rounds", "steps"])
def test_token_rows_drop_a_disputed_reply_whole_and_keep_it_as_context(
    disputed: Path, tmp_path: Path, packing: Packing
) -> None:
    said, everything, twin = trained(disputed, tmp_path / "mask.jsonl", "mask", packing)
    assert ("pwd" in said, WORD in said, twin) == (True, False, [])
    said, everything, twin = trained(disputed, tmp_path / "exclude.jsonl", "exclude", packing)
    assert ("pwd" in said, WORD in said, twin) == (False, False, ["2"])
    assert "make" in said
    assert WORD in everything


def test_rows_for_kto_leave_a_dispute_out(disputed: Path, tmp_path: Path) -> None:
    with LogReader(disputed) as reader:
        made = [PreferenceTokens("kto", TokensFormat(renderer("qwen3"))) for _ in range(2)]
        run_export(reader, None, policy("mask"), made[0], tmp_path / "a.jsonl")
        report = run_export(reader, None, policy("exclude"), made[1], tmp_path / "b.jsonl")
    assert made[0].report.counts() == {"rows": 2, "good": 0, "refused": {}}
    assert made[1].report.counts() == {"rows": 1, "good": 0, "refused": {"disputed": 1}}
    assert [json.loads(line)["reason"] for line in report.excluded.read_text().splitlines()] == ["disputed"]
