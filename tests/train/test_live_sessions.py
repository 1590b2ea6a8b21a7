from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_testbed import Bench
from scripted_model import ScriptedAdapter, Turn, call
from training_log import rows_of

from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS, PRESETS_OF_1
from sessions import events as ev
from sessions.providers.base import ProviderError

DONE = call("finish", summary="done")

KEPT = PRESETS["default"].with_advice("kept")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await Bench.open(tmp_path)
    yield made
    await made.close()


async def test_what_the_real_loop_sent_is_what_its_samples_hold(bench: Bench, tmp_path: Path) -> None:
    two = Turn("Both.", (("run", {"command": "echo a"}), ("run", {"command": "echo b"})), reasoning="Why not.")
    session = await bench.run([two, call("run", command=7), Turn("", (("run", '{"command": "ls'),)), DONE])
    report = run_export(bench.reader, None, KEPT, "steps", tmp_path / "steps.jsonl")
    rows = rows_of(report.path)
    assert report.counts.masked_by == {"malformed": 2}
    assert [(row["meta"]["step"], row["meta"]["prompt"]) for row in rows] == [("1", "exact"), ("4", "exact")]
    assert isinstance(bench.adapter, ScriptedAdapter)
    for row, received in zip(rows, (bench.adapter.received[0], bench.adapter.received[3]), strict=True):
        sent = json.loads(received)
        assert [m["content"] or "" for m in sent["messages"]] == [m["content"] for m in row["prompt"]]
        assert [m.get("tool_calls") for m in sent["messages"]] == [m.get("tool_calls") for m in row["prompt"]]
        assert json.loads(row["tools"]) == sent["tools"]
    segments = run_export(bench.reader, [session], KEPT, "openai", tmp_path / "openai.jsonl")
    [row] = rows_of(segments.path)
    assert [m["weight"] for m in row["messages"] if m["role"] == "assistant"] == [1, 0, 0, 1]
    # This model's reasoning is not sent back, so the conversation is no longer what the later replies answered.
    assert row["prefix_checked"] is False


async def test_without_the_advice_a_wait_that_it_ended_just_waited(bench: Bench, tmp_path: Path) -> None:
    bench.adapter = ScriptedAdapter([call("wait", seconds=600), call("run", command="echo ok"), DONE])
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "sleeping")
    await bench.advise(session, "The log says that it has converged.", reach="general")
    await bench.state(session, "finished")
    report = run_export(bench.reader, None, PRESETS["unaided"], "steps", tmp_path / "steps.jsonl")
    rows = rows_of(report.path)
    assert [row["meta"]["prompt"] for row in rows] == ["exact", "counterfactual", "counterfactual"]
    result = rows[1]["prompt"][-1]
    assert result["role"] == "tool"
    assert result["content"].startswith("Waited ")
    said = json.dumps([row["prompt"][1:] for row in rows])
    assert "converged" not in said
    assert "advice" not in said.lower()
    kept = run_export(bench.reader, None, KEPT, "steps", tmp_path / "kept.jsonl")
    assert [row["meta"]["advice"] for row in rows_of(kept.path)] == [[], [1], [1]]


async def test_an_answer_stays_with_its_question_and_the_reply_after_it_is_no_target(
    bench: Bench, tmp_path: Path
) -> None:
    bench.adapter = ScriptedAdapter([call("ask_human", question="Left or right?"), DONE])
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "needs_you")
    await bench.answer(session, "Take the left one, always.")
    await bench.state(session, "finished")
    report = run_export(bench.reader, None, PRESETS["unaided"], "steps", tmp_path / "steps.jsonl")
    assert [(row["meta"]["step"], row["meta"]["prompt"]) for row in rows_of(report.path)] == [("1", "exact")]
    assert [line["reason"] for line in rows_of(report.excluded)] == ["after_here_advice"]
    old = run_export(bench.reader, None, PRESETS_OF_1["unaided"], "steps", tmp_path / "old.jsonl")
    last = rows_of(old.path)[-1]
    assert last["meta"]["prompt"] == "counterfactual"
    assert last["prompt"][-1]["content"] == "Nobody answered in time. Use your judgement."


async def test_an_answer_that_left_the_context_with_its_question_is_advice_to_nobody(
    bench: Bench, tmp_path: Path
) -> None:
    look = call("run", command="echo looked")
    refused = Turn("", look.calls, errors=(ProviderError("fatal", "no", status=400, refused="conversation"),))
    bench.adapter = ScriptedAdapter([look, call("ask_human", question="Left or right?"), refused, DONE])
    session = await bench.create()
    bench.runner(session).start()
    await bench.state(session, "needs_you")
    await bench.answer(session, "Take the left one, always.")
    await bench.until(lambda: bench.summary(session).need == "refused")
    await bench.control(session, "resume")  # without the last reply
    await bench.state(session, "finished")
    report = run_export(bench.reader, None, PRESETS["unaided"], "steps", tmp_path / "steps.jsonl")
    rows = rows_of(report.path)
    assert [(row["meta"]["step"], row["meta"]["prompt"]) for row in rows] == [
        ("1", "exact"),
        ("3", "exact"),
        ("4", "exact"),
    ]
    assert [(line["step"], line["reason"]) for line in rows_of(report.excluded)] == [("2", "superseded")]
    assert "Take the left one" not in json.dumps(rows)
    assert report.counts.answers == 0


async def test_summaries_of_the_real_loop_begin_new_segments(bench: Bench, tmp_path: Path) -> None:
    turns = [call("run", command=f"seq {n} 2000") for n in range(1, 7)]
    adapter = ScriptedAdapter([*turns, DONE], summaries=[Turn("I counted.")] * 8)
    session = await bench.run(adapter, spec={"summary_threshold": 9000, "context_tokens": 20_000})
    assert bench.bodies(session, ev.SummaryWritten)
    report = run_export(bench.reader, None, KEPT, "openai", tmp_path / "openai.jsonl")
    rows = rows_of(report.path)
    assert len(rows) > 1
    trained = [m["weight"] for row in rows for m in row["messages"] if m["role"] == "assistant"].count(1)
    assert trained == report.counts.trained == 7
    assert all(row["prefix_checked"] for row in rows)
    steps = run_export(bench.reader, None, KEPT, "steps", tmp_path / "steps.jsonl")
    assert [row["meta"]["prompt"] for row in rows_of(steps.path)] == ["exact"] * 7
