from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from training_log import rows_of

from apollo_train.export.run import run_export
from apollo_train.policy import PRESETS, PRESETS_OF_1
from sessions import events as ev
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.files import import_file, load_recording
from sessions.log.reader import LogReader
from sessions.log.rebuild import rebuild_request
from sessions.log.writer import LogWriter

REAL = Path(
    os.environ.get("APOLLO_INNOVATORBENCH_NODE")
    or Path(__file__).parents[3] / "shared" / "data" / "innovatorbench_segment.json"
)
real = pytest.mark.skipif(not REAL.exists(), reason=f"the recorded node is not at {REAL} (APOLLO_INNOVATORBENCH_NODE)")


def assistant(name: str, arguments: dict[str, Any], call_id: str) -> dict[str, Any]:
    call = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"role": "assistant", "content": "", "reasoning": None, "tool_call": call, "tool_result": None}


def tool(name: str, observation: dict[str, Any], call_id: str) -> dict[str, Any]:
    result = {"call_id": call_id, "name": name, "content": json.dumps(observation)}
    return {"role": "tool", "content": "", "reasoning": None, "tool_call": None, "tool_result": result}


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "reasoning": None, "tool_call": None, "tool_result": None}


def node(**more: Any) -> dict[str, Any]:
    started = {"success": True, "message": "Sent.", "timestamp": "2025-09-08T14:00:00.250000", "session_id": "s"}
    polled = {"success": True, "message": "Got it.", "output": "loss\r\n0.4", "last_activity": 1757311200.25}
    scored = {
        "success": True,
        "message": "You have remaining 2 eval times.",
        "overall_score": 0.5,
        "already_eval_num": 1,
    }
    task = "<task_description>\n## Goal\nDo [/it] well.\n</task_description>\n"
    task += "<remaining_working_time>9 h</remaining_working_time>"
    summary = "After the last action, I have also made 7 actions and get 7 observations.\nSummary: fine."
    return {
        "id": "node-1",
        "node_type": "react",
        "timestamp": "2025-09-08T14:20:00",
        "depth": 5,
        "messages": [
            said("system", "You are an innovator."),
            said("user", task),
            said("assistant", summary),
            said("user", "OK, continue."),
            assistant("run_command", {"command": "train"}, "c1"),
            tool("run_command", started, "c1"),
            assistant("sleep", {"sleep_time": 600}, "c2"),
            tool("sleep", {"success": True, "message": "Slept."}, "c2"),
            assistant("get_session_output", {}, "c3"),
            tool("get_session_output", polled, "c3"),
            said("user", "<real_user>Let it run.</real_user>"),
            assistant("eval", {}, "c4"),
            tool("eval", scored, "c4"),
        ],
        "response": {
            "role": "assistant",
            "content": "",
            "reasoning": None,
            "usage": {"input_tokens": 900, "output_tokens": 8},
            "model": "claude-sonnet-4",
            "finish_reason": "tool_calls",
            "tool_calls": [{"call_id": "c5", "name": "open_file", "arguments": {"path": "a"}}],
        },
        "observation": {"success": False, "message": "No such file."},
        "action": {"call_id": "c5"},
    } | more


def imported(tmp_path: Path, **more: Any) -> ImportedSession:
    (tmp_path / "node.json").write_text(json.dumps(node(**more), indent=1))
    [session] = import_file(tmp_path / "node.json")
    return session


def bodies(session: ImportedSession, kind: type[Any]) -> list[Any]:
    return [event.body for event in session.events if isinstance(event.body, kind)]


def test_a_node_becomes_a_finished_session(tmp_path: Path) -> None:
    session = imported(tmp_path)
    assert session.created.title == "Do [/it] well."
    assert session.created.meta["earlier_actions"] == 7
    assert [body.name for body in bodies(session, ev.ActionStarted)] == [
        "run_command",
        "sleep",
        "get_session_output",
        "eval",
        "open_file",
    ]
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == ["ok", "ok", "ok", "ok", "error"]
    [summary] = bodies(session, ev.SummaryWritten)
    assert (summary.number, summary.from_step, summary.to_step) == (1, 0, 0)
    [score] = bodies(session, ev.EvalScored)
    assert (score.score, score.used, score.budget) == (0.5, 1, 3)
    [delivered] = bodies(session, ev.AdviceDelivered)
    assert (delivered.at_step, delivered.advice) == (4, (1,))
    assert [body.state for body in bodies(session, ev.StateChanged)] == ["running", "finished"]
    assert len(session.warnings) == 3 and any("are estimates" in line for line in session.warnings)


def test_results_read_well_and_keep_what_the_model_saw(tmp_path: Path) -> None:
    third = bodies(imported(tmp_path), ev.ActionResult)[2]
    assert third.output.text == "Got it.\n\nloss\r\n0.4"
    assert json.loads(third.shown.text)["output"] == "loss\r\n0.4"
    assert third.data == {"last_activity": 1757311200.25}


def test_times_come_from_observations_in_utc_and_never_go_back(tmp_path: Path) -> None:
    session = imported(tmp_path)
    times = [event.at or 0 for event in session.events]
    assert times == sorted(times)
    results = [event.at or 0 for event in session.events if isinstance(event.body, ev.ActionResult)]
    first = datetime(2025, 9, 8, 6, 0, 0, 250_000, UTC)
    assert results[0] == int(first.timestamp() * 1000)
    assert results[1] - results[0] == 600_000


def test_the_same_node_has_the_same_id_and_the_task_does_not_depend_on_the_time_left(tmp_path: Path) -> None:
    one, two = imported(tmp_path), imported(tmp_path)
    assert one.session == two.session
    messages = node()["messages"]
    messages[1] = said("user", messages[1]["content"].replace("9 h", "4 h"))
    other = imported(tmp_path, messages=messages, id="node-2")
    assert other.session != one.session
    assert other.created.task_id == one.created.task_id


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"messages": []}, "has no task"),
        ({"messages": [said("user", "t")], "response": None}, "holds no action"),
        ({"messages": [said("user", "t"), tool("x", {}, "c9")]}, "answers no call before it"),
        ({"messages": [said("user", "t"), said("judge", "x")]}, "a message with the role 'judge'"),
        ({"messages": "none"}, "is no InnovatorBench node: Expected `array`, got `str` - at `$.messages`"),
    ],
)
def test_a_bad_node_is_one_line(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    with pytest.raises(CannotImport) as problem:
        imported(tmp_path, **more)
    assert expected in str(problem.value)
    assert "\n" not in str(problem.value)


async def test_its_rows_say_reconstructed_and_its_prompts_rebuild(tmp_path: Path) -> None:
    session = imported(tmp_path).with_number(1)
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(*session.events, blobs=session.blobs)
        with LogReader(writer.path) as reader:
            for event in reader.events(session.session, kinds={"model.request"}):
                assert rebuild_request(reader, session.session, event.seq)
            report = run_export(reader, None, PRESETS["default"].with_advice("kept"), "steps", tmp_path / "out.jsonl")
            unaided = run_export(reader, None, PRESETS_OF_1["unaided"], "steps", tmp_path / "unaided.jsonl")
    rows = rows_of(report.path)
    assert [row["meta"]["prompt"] for row in rows] == ["reconstructed"] * 5
    assert [message["role"] for message in rows[0]["prompt"]] == ["system", "user", "assistant", "user"]
    assert rows[-1]["meta"]["advice"] == [1]
    assert [row["meta"]["prompt"] for row in rows_of(unaided.path)] == ["reconstructed"] * 3 + ["counterfactual"] * 2


@real
async def test_the_recorded_node_has_69_actions_one_summary_and_two_scores(tmp_path: Path) -> None:
    [session] = import_file(REAL)
    results = bodies(session, ev.ActionResult)
    assert (len(bodies(session, ev.ActionStarted)), len(results)) == (69, 69)
    assert [event.step for event in session.events if isinstance(event.body, ev.ActionResult)] == list(range(1, 70))
    assert len(bodies(session, ev.SummaryWritten)) == 1
    assert session.created.meta["earlier_actions"] == 91
    assert [round(body.score, 2) for body in bodies(session, ev.EvalScored)] == [5.28, 5.38]
    assert not any(body.exact for body in bodies(session, ev.ModelRequested))
    recording = load_recording(REAL)
    assert len(recording.steps) == 69
    assert all(len(step.results) == 1 for step in recording.steps)


@real
async def test_three_flags_on_the_recorded_node_mask_three_replies(tmp_path: Path) -> None:
    [session] = import_file(REAL)
    session = session.with_number(1)
    name = session.session
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(*session.events, blobs=session.blobs)
        for number, step in enumerate((8, 20, 47)):
            flag = ev.FlagSet(flag=f"f{number}", target=ev.Target(step, "call", 1))
            await writer.append(ev.NewEvent(name, flag, actor="human:ann"))
        with LogReader(writer.path) as reader:
            report = run_export(reader, None, PRESETS["default"].with_advice("kept"), "openai", tmp_path / "out.jsonl")
            raw = run_export(reader, None, PRESETS["default"], "raw", tmp_path / "raw.jsonl")
            steps = run_export(reader, None, PRESETS["default"].with_advice("kept"), "steps", tmp_path / "steps.jsonl")
    [row] = rows_of(report.path)
    weights = [message["weight"] for message in row["messages"] if message["role"] == "assistant"]
    # The first assistant turn is the summary: context, not a step.
    assert [number for number, weight in enumerate(weights) if weight == 0] == [0, 8, 20, 47]
    assert (report.counts.trained, report.counts.masked_by) == (66, {"flagged": 3})
    assert row["prefix_checked"] is True
    assert row["meta"]["prompt"] == "reconstructed"
    assert len(rows_of(steps.path)) == 66
    [again] = import_file(raw.path)
    assert len(again.events) == len(session.events) + 3
