"""OpenHands in all its shapes: evaluations, replies that the file spreads, results as the model read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, Usage
from sessions.importers.base import ImportedSession
from sessions.importers.files import import_file

CASES = Path(__file__).parents[1] / "cases" / "import"


def written(folder: Path, name: str, content: Any) -> list[ImportedSession]:
    path = folder / name
    lines = isinstance(content, list) and name.endswith(".jsonl")
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))
    return import_file(path)


def bodies(session: ImportedSession, kind: type[Any]) -> list[Any]:
    return [event.body for event in session.events if isinstance(event.body, kind)]


def prompts(session: ImportedSession) -> list[list[str]]:
    """The texts of each prompt; a call is its name."""
    held = {blob.hash: blob.data for blob in session.blobs}
    found: list[list[str]] = []
    by_seq: dict[int, list[ev.MessageRef]] = {}
    for seq, event in enumerate(session.events, 1):
        if isinstance(event.body, ev.ModelRequested):
            by_seq[seq] = [*by_seq.get(event.body.parent or 0, []), *event.body.append]
            wires = [json.loads(held[ref.hash]) for ref in by_seq[seq]]
            found.append([wire["content"] or wire["tool_calls"][0]["function"]["name"] for wire in wires])
    return found


def test_an_evaluation_is_a_session_per_line_with_its_instance_model_and_exit_codes() -> None:
    [session] = import_file(CASES / "openhands-output.jsonl")
    created, [reply], [result] = session.created, bodies(session, ev.ModelReplied), bodies(session, ev.ActionResult)
    assert (created.task_id, created.title, created.model.name) == ("org__repo-1", "org__repo-1", "vendor/m")
    assert created.task == "Fix the bug."
    assert prompts(session)[0] == ["You are an agent.", "Fix the bug.", "Run the linter first."]
    assert reply.usage == Usage(5, 2) and reply.model == "vendor/m"
    assert (result.outcome, result.duration_ms) == ("error", 1000)
    assert result.output.text == "a.py\n[Command finished with exit code 2]"


def call(identity: str, name: str = "execute_bash") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": '{"command": "ls"}'}}


def old_action(number: int, identity: str, response: dict[str, Any], at: str) -> dict[str, Any]:
    return {"id": number, "timestamp": at, "source": "agent", "action": "run", "args": {"command": "ls"},
            "llm_metrics": {"accumulated_cost": 0.25 if number < 5 else 0.75},
            "tool_call_metadata": {"tool_call_id": identity, "function_name": "execute_bash",
                                   "model_response": response}}  # fmt: skip


def old_result(number: int, identity: str, cause: int, at: str, **extras: Any) -> dict[str, Any]:
    return {"id": number, "timestamp": at, "source": "agent", "observation": "run", "content": f"out {identity}",
            "cause": cause, "extras": extras, "tool_call_metadata": {"tool_call_id": identity}}  # fmt: skip


def test_calls_of_one_response_are_one_reply_where_results_stand_between_them(tmp_path: Path) -> None:
    message = {"content": "Both.", "reasoning_content": "Two.", "tool_calls": [call("a"), call("b"), call("c")]}
    response = {"id": "r", "choices": [{"message": message}], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    events = [
        {"id": 0, "timestamp": "2026-01-05T10:00:00", "source": "user", "action": "message",
         "args": {"content": "Go.", "image_urls": ["data:x"]}},
        old_action(1, "a", response, "2026-01-05T10:00:02"),
        old_result(2, "a", 1, "2026-01-05T10:00:05", metadata={"exit_code": 0, "working_dir": "/w", "suffix": "!"}),
        old_action(3, "b", response, "2026-01-05T10:00:06"),
        old_result(4, "b", 3, "2026-01-05T10:00:07", metadata={"exit_code": -1}),
        {"id": 5, "source": "user", "action": "message", "timestamp": "2026-01-05T10:00:08",
         "args": {"content": "Please continue working on the task on whatever approach you think is suitable.\nMore."}},
        {"id": 6, "source": "environment", "observation": "agent_state_changed", "content": "",
         "extras": {"agent_state": "error", "reason": "out of money"}},
    ]  # fmt: skip
    [session] = written(tmp_path, "t.json", events)
    [reply] = bodies(session, ev.ModelReplied)
    assert [part.id for part in reply.parts if isinstance(part, CallPart)] == ["a", "b", "c"]
    assert reply.usage == Usage(9, 3) and reply.cost == 0.25
    told = [body.output.text for body in bodies(session, ev.ActionResult)]
    assert told[:2] == ["out a!\n[Current working directory: /w]\n[Command finished with exit code 0]", "out b"]
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == ["ok", "ok"]
    assert "1 call at the end has no result" in session.warnings
    assert [body.what for body in bodies(session, ev.RecordingLoss)] == ["image"]
    assert not bodies(session, ev.AdviceQueued) and len(bodies(session, ev.HarnessTurn)) == 1
    last = bodies(session, ev.StateChanged)[-1]
    assert (last.state, last.reason) == ("stopped", "error: out of money")


def sdk(kind: str, number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "timestamp": f"2026-01-05T10:00:0{number}", "kind": kind, "source": "agent"} | more


def sdk_action(number: int, identity: str, **more: Any) -> dict[str, Any]:
    tool_call = {"id": identity, "name": "terminal", "arguments": "{}"}
    return sdk("ActionEvent", number, tool_name="terminal", tool_call_id=identity, llm_response_id="r", thought=[],
               tool_call=tool_call, **more)  # fmt: skip


def test_events_of_the_sdk_say_instructions_hidden_reasoning_images_and_why_it_ended(tmp_path: Path) -> None:
    stats = {"usage_to_metrics": {"agent": {
        "model_name": "vendor/m", "accumulated_cost": 0.5, "response_latencies": [{"response_id": "r", "latency": 2.5}],
        "token_usages": [{"response_id": "r", "prompt_tokens": 10, "completion_tokens": 4,
                          "cache_read_tokens": 6}]}}}  # fmt: skip
    text = [{"type": "text", "text": "Go."}]
    observation = {"kind": "TerminalObservation", "content": [{"type": "text", "text": "out"}], "is_error": True,
                   "metadata": {"exit_code": 3}}  # fmt: skip
    picture = {"kind": "BrowserObservation", "content": [{"type": "image", "image_urls": ["x", "y"]}]}
    events = [
        sdk("SystemPromptEvent", 0, system_prompt={"type": "text", "text": "You act."}, tools=[],
            dynamic_context={"type": "text", "text": "Rules."}),
        sdk("MessageEvent", 1, source="user", llm_message={"role": "user", "content": text},
            extended_content=[{"type": "text", "text": "Skill."}]),
        sdk_action(2, "a", responses_reasoning_item={"summary": [], "encrypted_content": "x"}),
        sdk("ObservationEvent", 3, tool_call_id="a", observation=observation),
        sdk_action(4, "b"),
        sdk("ObservationEvent", 5, tool_call_id="b", observation=picture),
        sdk("ConversationStateUpdateEvent", 6, key="stats", value=stats),
        sdk("ConversationErrorEvent", 7, code="LLMError", detail="no money"),
    ]  # fmt: skip
    [session] = written(tmp_path, "events.jsonl", events)
    [reply] = bodies(session, ev.ModelReplied)
    assert session.created.task == "Go.\n\nSkill." and session.created.model.name == "vendor/m"
    system = session.created.system
    assert system is not None and system.text == "You act.\n\nRules."
    assert reply.usage == Usage(10, 4, 6) and reply.duration_ms == 2500
    assert len([part for part in reply.parts if isinstance(part, CallPart)]) == 2
    assert not [part for part in reply.parts if isinstance(part, ReasoningPart)]
    first, second = bodies(session, ev.ActionResult)
    assert first.output.text == "[An error occurred during execution.]\nout\n[Command finished with exit code 3]"
    assert (first.outcome, second.outcome) == ("error", "ok")
    assert [(body.what, body.count) for body in bodies(session, ev.RecordingLoss)] == [("reasoning", 1), ("image", 2)]
    assert session.cost == 0.5
    last = bodies(session, ev.StateChanged)[-1]
    assert (last.state, last.reason) == ("stopped", "error: LLMError: no money")


def test_the_oldest_evaluations_have_pairs_and_no_sources(tmp_path: Path) -> None:
    history = [
        [{"action": "message", "content": "Fix it.", "images_urls": None, "wait_for_response": False}, {}],
        [{"action": "run", "command": "ls", "thought": "I look.", "is_confirmed": "confirmed"},
         {"observation": "run", "content": "a.py", "command": "ls", "command_id": -1, "exit_code": 1}],
    ]  # fmt: skip
    record = {"instance_id": "o__r-2", "history": history, "metrics": {"accumulated_cost": 0.07}, "error": "stuck"}
    [session] = written(tmp_path, "output.jsonl", [record, {"instance_id": "o__r-3", "history": history[:1]}])
    [started] = bodies(session, ev.ActionStarted)
    assert started.name == "run" and started.arguments["command"] == "ls" and session.created.task == "Fix it."
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == ["error"]
    assert session.cost == 0.07 and bodies(session, ev.StateChanged)[-1].reason == "error: stuck"
    assert any("1 line of the file hold no reply" in note for note in session.warnings)


def test_the_folder_of_a_conversation_names_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "conversation"
    (folder / "events").mkdir(parents=True)
    (folder / "base_state.json").write_text(json.dumps({"agent": {"llm": {"model": "vendor/m"}}}))
    message = {"role": "user", "content": [{"type": "text", "text": "Go."}]}
    events = [sdk("MessageEvent", 1, source="user", llm_message=message), sdk_action(2, "a")]
    for number, event in enumerate(events):
        (folder / "events" / f"event-{number:05}-x.json").write_text(json.dumps(event))
    [session] = import_file(folder)
    assert session.created.model.name == "vendor/m"


def test_a_condensation_forgets_what_it_says_and_puts_its_summary_there(tmp_path: Path) -> None:
    def result(number: int, identity: str) -> dict[str, Any]:
        observation = {"kind": "TerminalObservation", "content": [{"type": "text", "text": f"of {identity}"}]}
        return sdk("ObservationEvent", number, tool_call_id=identity, observation=observation)

    def action(number: int, identity: str) -> dict[str, Any]:
        return {**sdk_action(number, identity), "llm_response_id": identity}

    asked = {"role": "user", "content": [{"type": "text", "text": "Go."}]}
    events = [
        sdk("SystemPromptEvent", 0, system_prompt={"type": "text", "text": "You act."}, tools=[]),
        sdk("MessageEvent", 1, source="user", llm_message=asked),
        action(2, "a"), result(3, "a"), action(4, "b"), result(5, "b"),
        sdk("Condensation", 6, forgotten_event_ids=["e2", "e3"], summary="A was done.", summary_offset=2),
        action(7, "c"), result(8, "c"),
        {**sdk("Condensation", 9, forgotten_event_ids=["e4", "e5", "e6-summary"], summary="A and b.", summary_offset=2),
         "id": "e9"},
        {**action(9, "d"), "id": "e10"},
    ]  # fmt: skip
    [session] = written(tmp_path, "events.jsonl", events)
    assert prompts(session) == [
        ["You act.", "Go."],
        ["You act.", "Go.", "terminal", "of a"],
        ["You act.", "Go.", "A was done.", "terminal", "of b"],
        ["You act.", "Go.", "A and b.", "terminal", "of c"],
    ]
    assert [body.text.text for body in bodies(session, ev.SummaryWritten)] == ["A was done.", "A and b."]


def test_a_condensation_of_an_older_openhands_is_a_range_and_one_summary_is_in_view(tmp_path: Path) -> None:
    def response(name: str) -> dict[str, Any]:
        return {"id": name, "choices": [{"message": {"content": "", "tool_calls": [call(name)]}}]}

    def condensation(number: int, last: int, summary: str) -> dict[str, Any]:
        return {"id": number, "source": "agent", "action": "condensation", "args": {
            "forgotten_events_start_id": 1, "forgotten_events_end_id": last, "summary": summary,
            "summary_offset": 1}}  # fmt: skip

    at = "2026-01-05T10:00:02"
    events = [
        {"id": 0, "source": "user", "action": "message", "args": {"content": "Go."}},
        old_action(1, "a", response("a"), at), old_result(2, "a", 1, at),
        old_action(3, "b", response("b"), at), old_result(4, "b", 3, at),
        condensation(5, 2, "A."), old_action(6, "c", response("c"), at), old_result(7, "c", 6, at),
        condensation(8, 5, "A and b."), old_action(9, "d", response("d"), at),
    ]  # fmt: skip
    [session] = written(tmp_path, "t.json", events)
    assert prompts(session)[2:] == [
        ["Go.", "A.", "execute_bash", "out b"],
        ["Go.", "A and b.", "execute_bash", "out c"],
    ]
