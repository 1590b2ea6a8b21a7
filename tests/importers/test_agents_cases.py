"""What other agents' files say, file by file: each of these was read wrongly once."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import zipfile as zstd_zipfile
from imported_sessions import prompts_of

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, Usage
from sessions.fold.recording import RecordingBook
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.files import import_file

CASES = Path(__file__).parents[1] / "cases" / "import"


def read(name: str) -> ImportedSession:
    [session] = import_file(CASES / name)
    return session


def written(folder: Path, name: str, content: Any) -> list[ImportedSession]:
    path = folder / name
    lines = isinstance(content, list) and name.endswith(".jsonl")
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))
    return import_file(path)


def bodies(session: ImportedSession, kind: type[Any]) -> list[Any]:
    return [event.body for event in session.events if isinstance(event.body, kind)]


def notes(session: ImportedSession) -> str:
    return "\n".join(RecordingBook(session.events).lines_of_file)  # type: ignore[arg-type]


def results(session: ImportedSession) -> list[tuple[int | None, str, str]]:
    return [
        (event.call, event.body.outcome, event.body.output.text)
        for event in session.events
        if isinstance(event.body, ev.ActionResult)
    ]


def lost(session: ImportedSession) -> list[tuple[str, int, int]]:
    """What was lost, in the message of which event, and how often."""
    return [(body.what, body.of, body.count) for body in bodies(session, ev.RecordingLoss)]


def end(session: ImportedSession) -> ev.StateChanged:
    body: ev.StateChanged = bodies(session, ev.StateChanged)[-1]
    return body


# mini-swe-agent


def test_two_calls_with_one_id_have_their_results_by_position() -> None:
    session = read("mini_same_id_in_reply.traj.json")
    assert results(session) == [(1, "ok", "one"), (2, "ok", "two")]
    ids = [part.id for part in bodies(session, ev.ModelReplied)[0].parts if isinstance(part, CallPart)]
    assert len(set(ids)) == 2 and ids[0] == "Zs"
    assert "no result" not in notes(session)


def test_images_of_mini_swe_agent_are_lost_in_the_task_and_in_a_result_and_the_developer_stays() -> None:
    session = read("mini_images.traj.json")
    [result] = [n for n, event in enumerate(session.events, 1) if isinstance(event.body, ev.ActionResult)]
    assert lost(session) == [("image", 1, 1), ("image", result, 1)]
    assert "mini_images.traj.json: 2 images could not be kept (the task, step 1)" in notes(session)
    prompts = [blob.data.decode() for blob in session.blobs]
    assert any('"role":"system"' in prompt and "Be brief." in prompt for prompt in prompts)


def test_mini_swe_agent_in_the_form_of_responses() -> None:
    session = read("mini2-responses.traj.json")
    [reply] = bodies(session, ev.ModelReplied)
    assert [part.name for part in reply.parts if isinstance(part, CallPart)] == ["bash"]
    assert results(session) == [(1, "ok", "<returncode>0</returncode>\n<output>\n3</output>")]
    assert session.created.task == "Count the files." and session.created.model.name == "openai/m"
    assert (end(session).state, end(session).reason) == ("finished", "Submitted")


def test_a_response_with_hidden_reasoning_a_cut_end_and_usage(tmp_path: Path) -> None:
    reply = {
        "object": "response",
        "model": "vendor/m",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Short."}], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "k", "name": "bash", "arguments": "{}"},
        ],
        "usage": {
            "input_tokens": 100,
            "output_tokens": 40,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 30},
        },
        "extra": {"timestamp": 1_767_607_200.0, "cost": 0.25},
    }
    result = {"type": "function_call_output", "call_id": "k", "output": "late", "extra": {
        "returncode": -1, "timestamp": 1_767_607_212.5, "exception_type": "TimeoutExpired",
        "exception_info": "timed out"}}  # fmt: skip
    messages = [{"role": "user", "type": "message", "content": "Go."}, reply, result]
    info = {"mini_version": "2", "exit_status": "LimitsExceeded", "model_stats": {"instance_cost": 0.75}}
    [session] = written(tmp_path, "a.traj.json", {"info": info, "messages": messages})
    [body] = bodies(session, ev.ModelReplied)
    assert (body.finish, body.cost, body.model) == ("length", 0.25, "vendor/m")
    assert body.usage == Usage(100, 40, 60, reasoning_tokens=30)
    assert [part.text for part in body.parts if isinstance(part, ReasoningPart)] == ["Short."]
    assert [what for what, _, _ in lost(session)] == ["reasoning"]
    [answer] = bodies(session, ev.ActionResult)
    assert (answer.outcome, answer.duration_ms) == ("timeout", 12_500)
    assert (end(session).state, end(session).reason) == ("stopped", "LimitsExceeded")
    assert session.cost == 0.5  # of the run, and of no reply


def test_reasoning_that_was_only_counted_is_hidden(tmp_path: Path) -> None:
    response = {"usage": {"prompt_tokens": 9, "completion_tokens": 5,
                          "completion_tokens_details": {"reasoning_tokens": 4}}}  # fmt: skip
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "Done.", "extra": {"response": response}},
        {"role": "user", "content": "Stop that.", "extra": {"interrupt_type": "UserInterruption"}},
        {"role": "assistant", "content": "Yes.", "thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]},
        {"role": "user", "content": "No call.", "extra": {"interrupt_type": "FormatError"}},
    ]
    [session] = written(tmp_path, "a.traj.json", {"trajectory_format": "mini-swe-agent-1.1", "messages": messages})
    assert [what for what, _, _ in lost(session)] == ["reasoning", "reasoning"]
    assert [body.text for body in bodies(session, ev.AdviceQueued)] == ["Stop that."]
    assert [body.text for body in bodies(session, ev.HarnessTurn)] == ["No call."]


def test_control_tokens_in_outputs_are_named() -> None:
    said = notes(read("special_tokens.traj.json"))
    assert "control tokens of chat templates (<|im_end|>, <|im_start|>, </think>)" in said
    assert "control tokens" not in notes(read("mini_images.traj.json"))


# SWE-agent


def test_swe_agent_says_its_model_tokens_thoughts_times_and_instance() -> None:
    session = read("swe-agent-model.traj")
    [reply] = bodies(session, ev.ModelReplied)
    assert session.created.model.name == "vendor/m" and reply.model == "vendor/m"
    assert session.created.task_id == session.created.title == "swe-agent-model"
    assert [part.text for part in reply.parts if isinstance(part, ReasoningPart)] == ["The folder first."]
    assert (session.usage, session.cost) == (Usage(1000, 50), 0.5)
    [result] = bodies(session, ev.ActionResult)
    assert result.duration_ms == 3500
    assert (end(session).state, end(session).reason) == ("finished", "submitted")


def test_a_demonstration_is_context_and_never_a_step(tmp_path: Path) -> None:
    turn = {"agent": "main"}
    history = [
        {**turn, "role": "system", "content": "You act."},
        {**turn, "role": "user", "content": "Mend that.", "is_demo": True},
        {**turn, "role": "assistant", "content": "I mended that.", "is_demo": True},
        {**turn, "role": "user", "content": "Mend this."},
        {
            **turn,
            "role": "assistant",
            "content": "Look.",
            "tool_calls": [{"function": {"name": "ls", "arguments": {}}}],
        },
        {**turn, "role": "tool", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]},
    ]
    problem = json.dumps({"problem_statement": {"id": "org__repo-7"}})
    content = {"environment": "main", "trajectory": [], "history": history, "replay_config": problem,
               "attempts": [{}, {}], "info": {"exit_status": "exit_cost"}}  # fmt: skip
    [session] = written(tmp_path, "x.traj", content)
    assert len(bodies(session, ev.ModelReplied)) == 1 and session.created.task == "Mend this."
    assert session.created.task_id == "org__repo-7"
    request = bodies(session, ev.ModelRequested)[0]
    held = {blob.hash: json.loads(blob.data) for blob in session.blobs if blob.data.startswith(b"{")}
    assert [held[ref.hash]["content"] for ref in request.append] == [
        "You act.", "Mend that.", "I mended that.", "Mend this."]  # fmt: skip
    assert end(session).state == "stopped" and "1 more are in the file" in notes(session)
    assert [what for what, _, _ in lost(session)] == ["image"]


def swe_run(steps: int, shown: int = 0, **more: Any) -> dict[str, Any]:
    """A run of so many steps; with ``shown``, each step says the prompt that it had, and old output is elided in it but
    for the last so many."""
    history: list[dict[str, Any]] = [
        {"role": "system", "content": "You act.", "message_type": "system_prompt", "agent": "main"},
        {"role": "user", "content": "Fix it.", "message_type": "observation", "agent": "main"},
    ]
    trajectory: list[dict[str, Any]] = []
    for number in range(steps):
        query = [dict(message) for message in history]
        outputs = [message for message in query if message["role"] == "tool"]
        for message in outputs[: len(outputs) - shown]:
            message["content"] = [{"type": "text", "text": "Old environment output: (1 lines omitted)"}]
        step = {"action": "ls", "observation": f"out {number}", "response": f"say {number}", "thought": "", "state": {}}
        trajectory.append(step | ({"query": query} if shown else {}))
        call = {"id": f"c{number}", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
        history += [
            {"role": "assistant", "content": f"say {number}", "tool_calls": [call], "agent": "main"},
            {"role": "tool", "content": f"out {number}", "tool_call_ids": [f"c{number}"], "agent": "main"},
        ]
    return {
        "environment": "e",
        "info": {"exit_status": "submitted"},
        "trajectory": trajectory,
        "history": history,
    } | more


def test_prompts_hold_what_the_tool_left_in_them(tmp_path: Path) -> None:
    [session] = written(tmp_path, "a.traj", swe_run(4, shown=1))
    old = "Old environment output: (1 lines omitted)"
    said = [
        [str(message["content"]) for message in prompt if message["role"] == "tool"] for prompt in prompts_of(session)
    ]
    assert said == [[], ["out 0"], [old, "out 1"], [old, old, "out 2"]]
    assert "2 prompts had earlier messages shortened by the tool, as here" in notes(session)
    assert not bodies(session, ev.SummaryWritten)
    last = bodies(session, ev.ModelRequested)[-1]
    results = [seq for seq, event in enumerate(session.events, 1) if isinstance(event.body, ev.ActionResult)]
    assert [ref.sources for ref in last.append if ref.role == "tool"] == [(seq,) for seq in results[:3]]


def test_messages_that_the_tool_left_out_are_in_no_prompt(tmp_path: Path) -> None:
    content = swe_run(3, shown=9)
    del content["trajectory"][2]["query"][2:4]
    [session] = written(tmp_path, "a.traj", content)
    assert [len(prompt) for prompt in prompts_of(session)] == [2, 4, 4]
    assert [message["content"] for message in prompts_of(session)[2]] == ["You act.", "Fix it.", "say 1", "out 1"]


def test_a_run_that_says_no_prompts_says_which_part_shortened_them(tmp_path: Path) -> None:
    def config(kind: str) -> str:
        return json.dumps({"agent": {"history_processors": [{"type": kind}]}})

    [short] = written(tmp_path, "a.traj", swe_run(3, replay_config=config("last_n_observations")))
    [whole] = written(tmp_path, "b.traj", swe_run(3, replay_config=config("cache_control")))
    assert "the tool shortened what it sent (last_n_observations)" in notes(short) and "shortened" not in notes(whole)
    assert [len(prompt) for prompt in prompts_of(whole)] == [2, 4, 6]


# ATIF


@pytest.mark.parametrize("pair", [("atif-no-ids-1.json", "atif-no-ids-2.json"),
                                  ("atif-run-part-1.json", "atif-run-part-2.json")])  # fmt: skip
def test_absent_and_shared_ids_are_two_sessions(pair: tuple[str, str]) -> None:
    first, second = (read(name) for name in pair)
    assert first.session != second.session
    assert read(pair[0]).session == first.session


def test_a_trajectory_that_grew_is_the_same_session(tmp_path: Path) -> None:
    whole = json.loads((CASES / "atif-run-part-1.json").read_text())
    [short] = written(tmp_path, "a.json", whole)
    whole["steps"].append({"step_id": 3, "source": "agent", "message": "Done."})
    [grown] = written(tmp_path, "b.json", whole)
    assert short.session == grown.session and "goes on in atif-run-part-2.json" in notes(grown)


def test_several_trajectories_in_a_file_are_sessions_and_the_same_one_twice_is_one(tmp_path: Path) -> None:
    one, other = (json.loads((CASES / f"atif-run-part-{n}.json").read_text()) for n in (1, 2))
    found = written(tmp_path, "a.jsonl", [one, other, one])
    assert len(found) == 2 and "1 trajectory of the file, the same as one before" in notes(found[0])


def test_embedded_sub_agents_are_children_that_begin_where_their_result_stands() -> None:
    root, child = import_file(CASES / "atif-subagents.json")
    assert (root.created.task, child.created.task) == ("Delegate.", "Sub task.")
    [result] = [seq for seq, event in enumerate(root.events, 1) if isinstance(event.body, ev.ActionResult)]
    assert child.created.begins == ev.Beginning(root.session, result, "child") and root.created.begins is None


def test_images_of_atif_are_lost_in_the_task_and_in_a_result() -> None:
    session = read("atif-images.json")
    assert [(what, number) for what, _, number in lost(session)] == [("image", 1), ("image", 1)]
    assert "2 images could not be kept (the task, step 1)" in notes(session)


@pytest.mark.parametrize("name", ["terminus-2", "another"])
def test_what_a_harness_says_between_agents_is_no_advice(tmp_path: Path, name: str) -> None:
    whole = json.loads((CASES / "atif-run-part-1.json").read_text())
    whole["agent"]["name"] = name
    said = ["Here are the answers the other agent provided. Yes.", "Do it again."]
    for number, text in enumerate(said, 3):
        whole["steps"] += [{"step_id": number, "source": "user", "message": text}]
    whole["steps"].append({"step_id": 9, "source": "agent", "message": "Done."})
    [session] = written(tmp_path, "a.json", whole)
    assert [body.text for body in bodies(session, ev.AdviceQueued)] == ([] if name == "terminus-2" else said[1:])


def test_metrics_failures_and_steps_of_no_model(tmp_path: Path) -> None:
    whole = json.loads((CASES / "atif-run-part-1.json").read_text())
    agent = whole["steps"][1]
    agent["metrics"] = {"prompt_tokens": 9, "completion_tokens": 3, "cost_usd": 0.5, "extra": {"reasoning_tokens": 2}}
    agent["observation"]["results"][0]["extra"] = {"exit_code": 2}
    whole["steps"].append({"step_id": 3, "source": "agent", "message": "By rule.", "llm_call_count": 0})
    whole["final_metrics"] = {"total_prompt_tokens": 20, "total_cost_usd": 0.75}
    [session] = written(tmp_path, "a.json", whole)
    first, second = bodies(session, ev.ModelReplied)
    assert (first.cost, first.usage, second.salvaged) == (0.5, Usage(9, 3, reasoning_tokens=2), True)
    assert results(session) == [(1, "error", "ok")] and bodies(session, ev.ActionResult)[0].duration_ms == 0
    assert [what for what, _, _ in lost(session)] == ["reasoning"]
    assert (session.usage, session.cost) == (None, 0.25)


# Inspect


def test_times_tokens_and_the_error_of_a_sample() -> None:
    session = read("inspect-times.json")
    replies = [event for event in session.events if isinstance(event.body, ev.ModelReplied)]
    start = 1_767_616_200_000  # 12:30
    assert [event.at for event in replies] == [start, start + 25 * 60_000]
    assert [event.body.usage for event in replies] == [Usage(100, 10), Usage(200, 20)]  # type: ignore[union-attr]
    assert (end(session).state, end(session).reason) == ("stopped", "error: boom")
    assert lost(session) == [("image", 1, 1)]


def inspect_sample(**more: Any) -> dict[str, Any]:
    """A log whose one sample has all that events know, texts and arguments apart, and a limit."""
    message = {"id": "m1", "role": "assistant", "model": "m", "content": [
        {"type": "reasoning", "reasoning": "gAAA", "redacted": True, "summary": "Short."},
        {"type": "text", "text": "Look."}],
        "tool_calls": [{"id": "k", "function": "bash", "arguments": {"cmd": "attachment://a"}}]}  # fmt: skip
    events = [
        {"event": "model", "role": "grader", "timestamp": "2026-01-05T12:00:00Z", "output": {"choices": []}},
        {"event": "model", "timestamp": "2026-01-05T12:30:00Z", "completed": "2026-01-05T12:30:20Z", "working_time": 15,
         "output": {"model": "m", "choices": [{"message": {"id": "m1"}, "stop_reason": "max_tokens"}],
                    "usage": {"input_tokens": 10, "input_tokens_cache_read": 90, "output_tokens": 5,
                              "total_cost": 0.5}}},
        {"event": "tool", "id": "k", "function": "bash", "timestamp": "2026-01-05T12:30:21Z",
         "completed": "2026-01-05T12:31:21Z", "working_time": 60.0, "failed": True},
    ]  # fmt: skip
    sample = {
        "id": 1, "epoch": 1, "uuid": "u", "messages": [
            {"role": "user", "content": "attachment://b"}, message,
            {"role": "tool", "tool_call_id": "k", "content": [{"type": "image", "image": "attachment://c"}]}],
        "events": events, "attachments": {"a": "a long text", "b": "Go.", "c": "data:image/png;base64,x"},
        "limit": {"type": "token", "limit": 1000},
    } | more  # fmt: skip
    header = {"version": 2, "status": "success", "eval": {"run_id": "r", "task": "t", "model": "openai/m"}}
    return {**header, "samples": [sample]}


def test_all_that_events_know_and_texts_that_are_kept_apart(tmp_path: Path) -> None:
    [session] = written(tmp_path, "log.json", inspect_sample())
    [reply] = bodies(session, ev.ModelReplied)
    assert reply.usage == Usage(100, 5, 90) and (reply.cost, reply.duration_ms, reply.finish) == (0.5, 15_000, "length")
    assert [part.text for part in reply.parts if isinstance(part, ReasoningPart)] == ["Short."]
    [started] = bodies(session, ev.ActionStarted)
    assert started.arguments == {"cmd": "a long text"} and session.created.task == "Go."
    [result] = bodies(session, ev.ActionResult)
    assert (result.outcome, result.duration_ms) == ("error", 60_000)
    assert [what for what, _, _ in lost(session)] == ["reasoning", "image"]
    assert (end(session).state, end(session).reason) == ("stopped", "limit of token reached: 1000")


@pytest.mark.parametrize(
    ("read", "written_to", "total", "prompt"),
    [
        (90, 0, 105, 100),  # the prompt has them: total = input + output
        (90, 0, 195, 190),  # counted apart
        (20, 30, 105, 100),
        (20, 30, 155, 150),
        (20, 30, 125, 120),  # only what was read is apart
        (20, 30, 135, 130),  # only what was written is
        (90, 0, 112, 100),  # what was thought (7) is beside the output, too
        (90, 0, 202, 190),
        (90, 0, 0, 100),  # no total: they may be in the prompt
        (120, 0, 0, 220),  # and this many are not
        (0, 0, 105, 100),
    ],
)
def test_tokens_of_a_cache_are_added_to_a_prompt_that_lacks_them_alone(
    tmp_path: Path, read: int, written_to: int, total: int, prompt: int
) -> None:
    content = inspect_sample()
    usage = {"input_tokens": 100, "output_tokens": 5, "input_tokens_cache_read": read, "reasoning_tokens": 7,
             "input_tokens_cache_write": written_to, "total_tokens": total}  # fmt: skip
    content["samples"][0]["events"][1]["output"]["usage"] = usage
    [reply] = bodies(written(tmp_path, "log.json", content)[0], ev.ModelReplied)
    assert reply.usage == Usage(prompt, 5, read, written_to, 7)


@pytest.mark.parametrize("pooled", [False, True])
def test_after_a_compaction_prompts_are_what_the_model_was_given(tmp_path: Path, pooled: bool) -> None:
    def reply(name: str, text: str) -> dict[str, Any]:
        return {"id": name, "role": "assistant", "content": text}

    task, more = {"role": "user", "content": "Go."}, {"role": "user", "content": "And on."}
    summary = {"role": "user", "content": "attachment://s"}
    given = [task, summary, more]
    model = {"event": "model", "timestamp": "2026-01-05T12:30:00Z", "output": {"choices": [{"message": {"id": "b"}}]}}
    prompt = {"input": [], "input_refs": [[1, 2], [0, 1], [2, 3]]} if pooled else {"input": given}
    events = [{"event": "model", "output": {"choices": [{"message": {"id": "a"}}]}}, {"event": "compaction"},
              {"event": "model", "role": "grader", "input": [task], "output": {}}, {**model, **prompt}]  # fmt: skip
    log = inspect_sample(messages=[task, reply("a", "One."), more, reply("b", "Two.")], events=events, limit=None,
                         attachments={"s": "It was one."}, events_data={"messages": [summary, task, more]})  # fmt: skip
    [session] = written(tmp_path, "log.json", log)
    held = {blob.hash: json.loads(blob.data) for blob in session.blobs if blob.data.startswith(b"{")}
    last = bodies(session, ev.ModelRequested)[-1]
    assert last.parent is None and [held[ref.hash]["content"] for ref in last.append] == [
        "Go.",
        "It was one.",
        "And on.",
    ]
    assert [body.text.text for body in bodies(session, ev.SummaryWritten)] == ["It was one."]


@pytest.mark.parametrize("frames", [1, 3])
def test_an_eval_log_is_read_as_inspect_writes_it(tmp_path: Path, frames: int) -> None:
    """Zstandard inside a zip; an entry of hundreds of megabytes has several frames."""
    log = inspect_sample()
    path = tmp_path / "log.eval"
    with zstd_zipfile.ZipFile(path, "w", zstd_zipfile.ZIP_ZSTANDARD) as archive:
        archive.writestr("_journal/start.json", json.dumps({"eval": log["eval"]}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(log["samples"][0]))
        archive.writestr("header.json", json.dumps({name: log[name] for name in ("version", "status", "eval")}))
    if frames > 1:
        pack_in_frames(path, frames)
    [packed], [plain] = import_file(path), written(tmp_path, "log.json", log)
    assert packed.session == plain.session
    assert [event.body for event in packed.events[:-1]] == [event.body for event in plain.events[:-1]]


def test_a_damaged_eval_log_is_refused_in_one_line(tmp_path: Path) -> None:
    log = inspect_sample()
    path = tmp_path / "log.eval"
    with zstd_zipfile.ZipFile(path, "w", zstd_zipfile.ZIP_ZSTANDARD) as archive:
        archive.writestr("header.json", json.dumps({"eval": log["eval"]}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(log["samples"][0]))
    data = bytearray(path.read_bytes())
    place = data.index(b"samples/1_epoch_1.json") + 40
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(CannotImport, match=r"log\.eval is damaged") as problem:
        import_file(path)
    assert "\n" not in str(problem.value)


def pack_in_frames(path: Path, frames: int) -> None:
    """Write the archive anew, each entry in several frames."""
    from backports import zstd

    with zstd_zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            size = len(data) // frames + 1
            packed = b"".join(zstd.compress(data[at : at + size]) for at in range(0, len(data), size))
            info = zipfile.ZipInfo(name)
            archive.writestr(info, packed)
            info.compress_type, info.file_size, info.CRC = 93, len(data), zipfile.crc32(data)  # type: ignore[attr-defined]


def test_a_call_that_inspect_could_not_parse_is_malformed_and_keeps_its_text(tmp_path: Path) -> None:
    told = 'Error parsing the following tool call arguments:\n\n{"cmd": \n\nError details: Expecting value'
    calls = [
        {"id": "c1", "function": "bash", "arguments": {}, "parse_error": told},
        {"id": "c2", "function": "bash", "arguments": {"cmd": "{"}, "parse_error": "no object"},
    ]
    content = json.loads((CASES / "inspect-times.json").read_text())
    content["samples"][0]["messages"] = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "", "error": {"type": "parsing", "message": told}},
        {"role": "tool", "tool_call_id": "c2", "content": "", "error": {"type": "parsing", "message": "no object"}},
        {"role": "assistant", "content": "Sorry."},
    ]
    content["samples"] = content["samples"][:1]
    [session] = written(tmp_path, "log.json", content)
    refused = [(body.call_id, body.why, body.arguments, body.shown) for body in bodies(session, ev.ActionRefused)]
    assert refused == [("c1", "malformed", '{"cmd":', told), ("c2", "malformed", '{"cmd": "{"}', "no object")]
    assert not bodies(session, ev.ActionStarted)
    reply = next(json.loads(b.data) for b in session.blobs if b"tool_calls" in b.data)
    assert [call["function"]["arguments"] for call in reply["tool_calls"]] == ["{}", "{}"]


def test_all_that_a_person_said_before_the_first_step_is_the_task(tmp_path: Path) -> None:
    steps = [
        {"source": "user", "message": "<environment_context>x</environment_context>"},
        {"source": "user", "message": "Mend it."},
        {"source": "user", "message": "And the other one."},
        {"source": "agent", "message": "Yes."},
        {"source": "user", "message": "Not so fast."},
        {"source": "agent", "message": "Done."},
    ]
    content = {"schema_version": "ATIF-v1.4", "session_id": "s", "agent": {"name": "a"}, "steps": steps}
    [session] = written(tmp_path, "t.json", content)
    assert session.created.task == "Mend it.\n\nAnd the other one."
    assert [body.text for body in bodies(session, ev.AdviceQueued)] == ["Not so fast."]
