from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from training_log import OTHER, SESSION, Teller, kept_policy, rows_of

from apollo_train.export.run import run_export
from apollo_train.policy import AdviceRules, FilterPolicy
from apollo_train.runtime import CannotExpress, NothingToExport
from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

KEPT = kept_policy()


async def two(writer: LogWriter) -> tuple[Teller, Teller]:
    """Two ways of one task that part at their second step."""
    told = []
    for name, second in ((SESSION, "wait"), (OTHER, "kill 7")):
        teller = await Teller(writer, name).begin("Train it.", task_id="rate", title=second)
        await teller.act("ls")
        await teller.act(second)
        told.append(teller)
    return told[0], told[1]


async def say(
    teller: Teller, verdict: Literal["better", "worse", "equal"] | None, by: str = "ann", note: str = ""
) -> None:
    await teller.tell(ev.PreferenceStated(other=OTHER, verdict=verdict, note=note), actor=f"human:{by}")


def export(reader: LogReader, folder: Path, sessions: list[str] | None = None, policy: FilterPolicy = KEPT) -> Any:
    path = folder / "pairs.jsonl"
    run_export(reader, sessions, policy, "preferences", path, overwrite=True)
    return rows_of(path)


def excluded(folder: Path) -> list[str]:
    path = folder / "pairs.jsonl.excluded.jsonl"
    return [json.loads(line)["reason"] for line in path.read_text("utf-8").splitlines()]


async def test_a_word_makes_a_row_of_both_sessions_whole(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    one, _ = await two(writer)
    await say(one, "worse", note="it waited in vain")
    [row] = export(reader, tmp_path)
    assert [chat["role"] for chat in row["prompt"]] == ["system", "user"]
    calls = {
        side: [
            json.loads(call["function"]["arguments"])["command"]
            for chat in row[side]
            for call in chat.get("tool_calls", ())
        ]
        for side in ("chosen", "rejected")
    }
    assert calls == {"chosen": ["ls", "kill 7"], "rejected": ["ls", "wait"]}
    assert [chat["role"] for chat in row["chosen"]] == ["assistant", "tool"] * 2
    meta = row["meta"]
    assert (meta["chosen_session"], meta["rejected_session"]) == (OTHER, SESSION)
    assert (meta["task"], meta["by"], meta["why"]) == ("rate", ["ann"], ["ann: it waited in vain"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((("better", "ann"), ("worse", "ben")), "preference_disputed"),
        ((("equal", "ann"),), "equal"),
    ],
)
async def test_a_tie_and_a_dispute_make_none(
    writer: LogWriter, reader: LogReader, tmp_path: Path, words: Any, reason: str
) -> None:
    one, _ = await two(writer)
    for verdict, by in words:
        await say(one, verdict, by)
    with pytest.raises(NothingToExport, match=reason):
        export(reader, tmp_path)


async def test_a_word_of_one_person_beside_a_tie_of_another_stands(
    writer: LogWriter, reader: LogReader, tmp_path: Path
) -> None:
    one, _ = await two(writer)
    await say(one, "better", "ann")
    await say(one, "equal", "ben")
    [row] = export(reader, tmp_path)
    assert row["meta"]["by"] == ["ann"]


async def test_both_sessions_have_to_be_in_the_export(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    one, other = await two(writer)
    await say(one, "better")
    with pytest.raises(NothingToExport, match="other_session"):
        export(reader, tmp_path, [SESSION])
    await other.tell(ev.SignedOff(verdict="invalid"), actor="human:ann")
    with pytest.raises(NothingToExport, match="other_session"):
        export(reader, tmp_path)


async def test_a_word_taken_back_is_no_row(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    one, _ = await two(writer)
    await say(one, "better")
    await say(one, None)
    with pytest.raises(NothingToExport, match="a pair needs somebody's word"):
        export(reader, tmp_path)


async def test_a_policy_that_takes_advice_out_is_refused(writer: LogWriter, reader: LogReader, tmp_path: Path) -> None:
    one, _ = await two(writer)
    await say(one, "better")
    with pytest.raises(CannotExpress, match="keeps advice"):
        export(reader, tmp_path, policy=FilterPolicy(advice=AdviceRules.of_all("dropped")))
