"""Chats as data sets have them, and our own exports read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from training_log import Teller, new_log

from apollo_train.export.run import run_export
from apollo_train.formats import format_for
from apollo_train.policy import FilterPolicy
from sessions import events as ev
from sessions.events.messages import CallPart
from sessions.importers.base import ImportedSession
from sessions.importers.files import import_file
from sessions.log.reader import LogReader

CALL = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"a": 1}'}}
CHAT = [
    {"role": "system", "content": "You act."},
    {"role": "user", "content": "Do it."},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
    {"role": "assistant", "content": "It is done."},
]


def written(folder: Path, name: str, content: Any) -> list[ImportedSession]:
    path = folder / name
    lines = isinstance(content, list) and name.endswith(".jsonl")
    path.write_text("\n".join(map(json.dumps, content)) if lines else json.dumps(content))
    return import_file(path)


def bodies(session: ImportedSession, kind: type[Any]) -> list[Any]:
    return [event.body for event in session.events if isinstance(event.body, kind)]


def said(session: ImportedSession) -> list[str]:
    """The replies: each call and text, those that are only context in brackets."""
    found = []
    for reply in bodies(session, ev.ModelReplied):
        text = " ".join(part.name if isinstance(part, CallPart) else part.text for part in reply.parts)
        found.append(f"({text})" if reply.salvaged else text)
    return found


SHAREGPT = {"conversations": [
    {"from": "system", "value": "You act."}, {"from": "human", "value": "Do it."},
    {"from": "function_call", "value": '{"name": "run", "arguments": {"a": 1}}'},
    {"from": "observation", "value": "done"}, {"from": "gpt", "value": "It is done."}]}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"messages": CHAT}),
        ("a.jsonl", [{"messages": CHAT}]),
        ("a.json", CHAT),
        ("a.jsonl", CHAT),
        ("a.json", [{"messages": CHAT}]),
        ("a.jsonl", [{"messages": json.dumps(CHAT), "resolved": True, "instance_id": "o__r-1", "model": "m"}]),
        ("a.jsonl", [SHAREGPT]),
    ],
)
def test_a_chat_is_read_in_every_shape(tmp_path: Path, name: str, content: Any) -> None:
    [session] = written(tmp_path, name, content)
    assert session.created.task == "Do it." and said(session) == ["run", "It is done."]
    assert [body.output.text for body in bodies(session, ev.ActionResult)] == ["done"]


def test_rows_of_a_data_set_are_sessions_with_its_score_model_tools_and_instance(tmp_path: Path) -> None:
    tools = json.dumps([{"name": "run", "parameters": {}}])
    row = {"messages": CHAT, "tools": tools, "instance_id": "o__r-1", "model": "m", "resolved": False}
    other = [{**CHAT[1], "content": "Do that."}, *CHAT[2:]]
    first, second = written(tmp_path, "a.jsonl", [row, {"messages": other}, row])
    assert (first.created.task_id, first.created.model.name) == ("o__r-1", "m")
    assert [body.score for body in bodies(first, ev.EvalScored)] == [0.0]
    assert bodies(first, ev.ModelRequested)[0].tools and second.created.task == "Do that."


def test_a_user_turn_is_advice_of_a_person_but_not_where_an_agent_made_the_row(tmp_path: Path) -> None:
    chat = [*CHAT, {"role": "user", "content": "Once more."}, {"role": "assistant", "content": "Again."}]
    [person], [agent] = written(tmp_path, "a.json", {"messages": chat}), written(
        tmp_path, "b.json", {"messages": chat, "instance_id": "o__r-1"})  # fmt: skip
    assert [body.text for body in bodies(person, ev.AdviceQueued)] == ["Once more."]
    assert not bodies(agent, ev.AdviceQueued) and len(bodies(agent, ev.HarnessTurn)) == 1


@pytest.mark.parametrize("name", ["weight", "loss", "train", "step_loss_mask", "loss_weight"])
def test_what_a_row_does_not_train_is_context_here_too(tmp_path: Path, name: str) -> None:
    chat = [{**message, name: 0} if message is CHAT[2] else message for message in CHAT]
    [session] = written(tmp_path, "a.jsonl", [{"messages": chat}])
    assert said(session) == ["(run)", "It is done."]
    assert any("1 reply that the file does not train" in note for note in session.warnings)


def test_a_prompt_with_a_completion_trains_the_completion_alone(tmp_path: Path) -> None:
    [session] = written(tmp_path, "a.jsonl", [{"prompt": CHAT[:4], "completion": CHAT[4:]}])
    assert said(session) == ["(run)", "It is done."]
    [text] = written(tmp_path, "b.jsonl", [{"prompt": "Say it.", "completion": "It."}])
    assert said(text) == ["It."] and text.created.task == "Say it."


@pytest.mark.parametrize("format", ["messages", "openai", "steps"])
async def test_our_own_exports_come_back_with_the_same_targets(tmp_path: Path, format: str) -> None:
    writer = await new_log(tmp_path)
    told = await Teller(writer).begin()
    await told.act("a", reasoning="Begin.")
    await told.act("b")
    await told.advise("Slow down.")
    await told.act("c")
    await told.flag(ev.Target(step=2, part="reply"))
    out = tmp_path / "rows.jsonl"
    with LogReader(writer.path) as reader:
        run_export(reader, None, FilterPolicy().with_advice("kept"), format_for(format, ""), out)
    await writer.close()
    [session] = import_file(out)
    replies = bodies(session, ev.ModelReplied)
    assert [reply.salvaged for reply in replies] == [False, True, False]
    calls = [part.arguments for reply in replies for part in reply.parts if isinstance(part, CallPart)]
    assert len(calls) == 3 and session.created.task == "Make it learn."
    assert len(bodies(session, ev.AdviceQueued)) == 1
    assert session.created.task_id and session.created.model.name == "scripted"


def test_assistant_messages_in_a_row_are_one_reply_and_each_call_keeps_its_result(tmp_path: Path) -> None:
    def asked(name: str) -> dict[str, Any]:
        part = {"type": "tool_call", "tool_call_id": name, "name": "run", "arguments": "{}"}
        call = {**CALL, "id": name}
        return {"role": "assistant", "content": [part], "tool_calls": [call]}

    def answer(name: str) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": name, "content": [{"type": "tool_output", "text": f"of {name}"}]}

    chat = [CHAT[1], {"role": "assistant", "content": [{"type": "text", "text": "I look."}]}, asked("a"), asked("b"),
            answer("a"), answer("b"), CHAT[4]]  # fmt: skip
    [session] = written(tmp_path, "a.json", {"messages": chat})
    assert said(session) == ["I look. run run", "It is done."]
    assert [body.output.text for body in bodies(session, ev.ActionResult)] == ["of a", "of b"]
    assert not bodies(session, ev.RecordingLoss)


def _calls(*names: str) -> dict[str, Any]:
    """A reply that calls these."""
    return {"role": "assistant", "content": "", "tool_calls": [{**CALL, "id": name} for name in names]}


def _answers(*told: str) -> list[dict[str, Any]]:
    """Results, each ``id=text``."""
    pairs = [one.split("=") for one in told]
    return [{"role": "tool", "tool_call_id": name, "content": text} for name, text in pairs]


WAIT = {"role": "user", "content": "Wait."}


@pytest.mark.parametrize(
    ("turns", "results"),
    [
        # several calls, the rest of whose results stand after the next reply, and after the one after that
        ([_calls("a", "b", "c"), *_answers("a=1"), _calls("d"), *_answers("b=2", "d=4"), _calls("e"),
          *_answers("c=3", "e=5")], ["1", "2", "3", "4", "5"]),
        ([_calls("a"), WAIT, _calls("b"), *_answers("b=2", "a=1")], ["1", "2"]),
        ([_calls("a"), WAIT, CHAT[4], *_answers("a=1")], ["1"]),
        # ids that repeat: by position
        ([_calls("a", "b"), *_answers("a=1", "b=2"), _calls("a", "b"), *_answers("b=4", "a=3")], ["1", "2", "4", "3"]),
        ([_calls("a"), WAIT, _calls("a"), *_answers("a=1", "a=2")], ["1", "2"]),
        ([_calls("a", "b"), *_answers("a=1"), _calls("a", "b"), *_answers("b=2", "a=3", "b=4")], ["1", "2", "3", "4"]),
        # a call that nobody answered takes no result of a later one
        ([_calls("a"), WAIT, _calls("a"), *_answers("a=2"), _calls("a"), *_answers("a=3")], [None, "2", "3"]),
        # no call has it, and one too many
        ([_calls("a"), *_answers("x=0", "a=1"), _calls("b"), *_answers("b=2", "a=9")], ["1", "2"]),
    ],
)  # fmt: skip
def test_a_result_belongs_to_its_call_also_after_a_later_reply(
    tmp_path: Path, turns: list[dict[str, Any]], results: list[str | None]
) -> None:
    [session] = written(tmp_path, "a.json", {"messages": [*CHAT[:2], *turns, {"role": "assistant", "content": "End."}]})
    found = [(event.step, event.body) for event in session.events if isinstance(event.body, ev.ActionResult)]
    assert [None if body.outcome == "unknown" else body.output.text for _, body in found] == results
    asked = [(event.step, event.body.call_id) for event in session.events if isinstance(event.body, ev.ActionStarted)]
    assert sorted((step, body.call_id) for step, body in found) == sorted(asked)  # each at its own reply
    assert said(session)[-1] == "End." and len(said(session)) == sum(t["role"] == "assistant" for t in turns) + 1


def test_a_result_that_was_moved_to_its_call_is_told_of_and_masks_stay_at_their_replies(tmp_path: Path) -> None:
    chat = [
        *CHAT[:2],
        _calls("a", "b"),
        *_answers("a=1"),
        {**_calls("c"), "weight": 0},
        *_answers("b=2", "c=3"),
        CHAT[4],
    ]
    [session] = written(tmp_path, "a.json", {"messages": chat})
    assert said(session) == ["run run", "(run)", "It is done."]
    assert "1 result that the file has after a later reply: here each follows its call" in session.warnings
    [plain] = written(tmp_path, "b.json", {"messages": CHAT})
    assert not any("after a later reply" in note for note in plain.warnings)


def test_calls_and_results_that_are_blocks_of_the_content_are_calls_and_results(tmp_path: Path) -> None:
    row = {
        "system": "You act.",
        "tools": [{"name": "run", "description": "d", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Do it."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Look first."}, {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "run", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "run", "input": {"a": 2}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True},
                {"type": "tool_result", "tool_use_id": "c2", "content": [
                    {"type": "text", "text": "yes"}, {"type": "image", "source": {}}]},
                {"type": "text", "text": "Go on."}]},
            {"role": "assistant", "content": "It is done."},
        ],
    }  # fmt: skip
    [session] = written(tmp_path, "a.jsonl", [row])
    assert said(session) == ["Look first. I look. run run", "It is done."]
    results = [(body.call_id, body.outcome, body.output.text) for body in bodies(session, ev.ActionResult)]
    assert results == [("c1", "error", "no"), ("c2", "ok", "yes")]
    assert [body.text for body in bodies(session, ev.AdviceQueued)] == ["Go on."]
    assert [body.what for body in bodies(session, ev.RecordingLoss)] == ["image"]
    system, tools = session.created.system, bodies(session, ev.ModelRequested)[0].tools
    held = {blob.hash: json.loads(blob.data) for blob in session.blobs if blob.data.startswith(b"[")}
    assert system is not None and system.text == "You act."
    assert held[tools][0]["function"]["parameters"] == {"type": "object"}


def test_what_a_harness_said_before_the_request_is_not_the_task(tmp_path: Path) -> None:
    noise = ["<environment_context>x</environment_context>", "<system-reminder>y</system-reminder>"]
    turns = [*noise, "Mend it.", "And the other one."]
    messages = [{"role": "user", "content": turn} for turn in turns]
    messages.append({"role": "assistant", "content": "Yes."})
    [session] = written(tmp_path, "a.json", {"messages": messages})
    assert session.created.task == "Mend it.\n\nAnd the other one." and session.created.title == "Mend it."
    assert not bodies(session, ev.AdviceQueued) and len(bodies(session, ev.HarnessTurn)) == 2
    [asked] = bodies(session, ev.ModelRequested)
    held = {blob.hash: json.loads(blob.data) for blob in session.blobs}
    assert [held[ref.hash]["content"] for ref in asked.append] == turns


def test_where_a_harness_said_everything_that_is_the_task(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "<some_context>x</some_context>"}, {"role": "assistant", "content": "Yes."}]
    [session] = written(tmp_path, "a.json", {"messages": messages})
    assert session.created.task == "<some_context>x</some_context>"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('{"exit_code": 1, "stdout": "x"}', "error"),
        ('{"returncode": 0, "output": "x"}', "ok"),
        ("<returncode>2</returncode>\n<output>x</output>", "error"),
        ("<returncode>0</returncode>\n<output>x</output>", "ok"),
        ('{"exit_code": 1, "name": "a row of a table"}', "ok"),
    ],
)
def test_a_result_that_says_its_exit_code_in_its_text_is_judged_by_it(tmp_path: Path, text: str, outcome: str) -> None:
    chat = [*CHAT[:3], {"role": "tool", "tool_call_id": "c1", "content": text}, CHAT[4]]
    [session] = written(tmp_path, "a.json", {"messages": chat})
    assert [body.outcome for body in bodies(session, ev.ActionResult)] == [outcome]


def test_a_spoken_reply_is_its_transcript_and_the_sound_is_lost(tmp_path: Path) -> None:
    spoken = {"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "Hello."}}
    [session] = written(tmp_path, "a.json", {"messages": [CHAT[1], spoken]})
    assert said(session) == ["Hello."] and [body.what for body in bodies(session, ev.RecordingLoss)] == ["audio"]
