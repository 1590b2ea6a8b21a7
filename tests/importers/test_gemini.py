from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imported_sessions import advice_of, bodies_of, calls_of, imports_of, results_of, said_to

from sessions import events as ev
from sessions.importers.files import import_file

HEAD = {"sessionId": "g-1", "projectHash": "h", "startTime": "2026-01-05T10:00:00.000Z"}


def at(second: int) -> str:
    return f"2026-01-05T10:00:{second:02}.000Z"


def user(name: str, text: Any, second: int = 0) -> dict[str, Any]:
    return {"id": name, "timestamp": at(second), "type": "user", "content": text}


def gemini(name: str, text: str, *calls: dict[str, Any], second: int = 0, **more: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"id": name, "timestamp": at(second), "type": "gemini", "content": text, "model": "g-pro"}
    return message | ({"toolCalls": list(calls)} if calls else {}) | more


def call(name: str, output: Any = None, status: str = "success", second: int = 0, **given: Any) -> dict[str, Any]:
    response = {"error": output} if status == "error" else {"output": output}
    result = None if output is None else [{"functionResponse": {"id": name, "name": "run", "response": response}}]
    return {"id": name, "name": "run", "args": given, "status": status, "timestamp": at(second), "result": result}


MESSAGES = [
    user("1", "List the files."),
    gemini(
        "2",
        "",
        call("c1", "a.py", second=4, dir="."),
        call("c2", "no such file", "error", second=5),
        second=2,
        thoughts=[{"subject": "Look", "description": "The folder first."}],
        tokens={"input": 100, "output": 7, "cached": 50, "thoughts": 3, "tool": 0, "total": 110},
    ),
    {"id": "3", "timestamp": at(6), "type": "info", "content": "Update available."},
    user("4", [{"text": "Only Python."}], 7),
    gemini("5", "a.py", second=8),
]


def check(session: Any) -> None:
    assert session.created.task == session.created.title == "List the files."
    assert session.created.model.name == "g-pro" and advice_of(session) == ["Only Python."]
    assert results_of(session) == [("c1", "ok", "a.py"), ("c2", "error", "no such file")]
    first, second = bodies_of(session, ev.ModelReplied)
    assert first.parts[0].text == "Look: The folder first." and second.parts[0].text == "a.py"
    assert (first.usage.input_tokens, first.usage.output_tokens, first.usage.reasoning_tokens) == (100, 10, 3)
    assert [body.duration_ms for body in bodies_of(session, ev.ActionResult)] == [2000, 3000]


def test_a_session_document_is_read(tmp_path: Path) -> None:
    path = tmp_path / "session-2026.json"
    path.write_text(json.dumps(HEAD | {"lastUpdated": at(9), "messages": MESSAGES}))
    [session] = import_file(path)
    check(session)


def test_a_log_of_records_comes_to_the_same(tmp_path: Path) -> None:
    growing = [MESSAGES[0], gemini("2", "", call("c1", status="executing")), *MESSAGES[1:3], *MESSAGES[3:]]
    [session] = imports_of(tmp_path / "s.jsonl", HEAD, *growing, {"$set": {"summary": "Files"}})
    check(session)
    [session] = imports_of(
        tmp_path / "s.jsonl", HEAD, {"$set": {"messages": MESSAGES[:2]}}, {"$set": {"messages": MESSAGES}}
    )
    check(session)


def test_what_was_rewound_is_a_branch(tmp_path: Path) -> None:
    main, branch = imports_of(
        tmp_path / "s.jsonl", HEAD, user("1", "Build it."), gemini("2", "Built."), user("3", "Delete it."),
        gemini("4", "Deleted."), {"$rewindTo": "3"}, user("5", "Test it."), gemini("6", "It passes."),
    )  # fmt: skip
    assert said_to(main)[-1] == ["Build it.", "Built.", "Test it."]
    assert said_to(branch, main) == [["Build it.", "Built.", "Delete it."]]
    begins = branch.created.begins
    assert begins is not None and (begins.session, begins.kind) == (main.session, "branch")


def test_the_first_message_can_be_rewound(tmp_path: Path) -> None:
    main, branch = imports_of(
        tmp_path / "s.jsonl", HEAD, user("1", "Delete it."), gemini("2", "Deleted."), {"$rewindTo": "1"},
        user("3", "Test it."), gemini("4", "It passes."),
    )  # fmt: skip
    assert said_to(main) == [["Test it."]] and said_to(branch) == [["Delete it."]]


def test_a_context_that_was_summed_up_is_what_later_prompts_hold(tmp_path: Path) -> None:
    first = [user("1", "Build it."), gemini("2", "", call("c1", "a long listing")), gemini("3", "Built.")]
    snapshot = user("s", "<state_snapshot>It is built.</state_snapshot>")
    [session] = imports_of(
        tmp_path / "s.jsonl", HEAD, *first, {"$set": {"messages": [snapshot, first[2]]}}, user("4", "Test it."),
        gemini("5", "It passes."),
    )  # fmt: skip
    assert said_to(session)[1] == ["Build it.", "None", "a long listing"]
    assert said_to(session)[-1] == ["<state_snapshot>It is built.</state_snapshot>", "Built.", "Test it."]
    assert len(bodies_of(session, ev.SummaryWritten)) == 1 and len(bodies_of(session, ev.ModelReplied)) == 3


def test_a_checkpoint_is_read_and_what_gemini_cli_tells_of_the_place_is_not_the_task(tmp_path: Path) -> None:
    history = [
        {"role": "user", "parts": [{"text": "This is the Gemini CLI. We are setting up the context for our chat."}]},
        {"role": "model", "parts": [{"text": "Got it. Thanks for the context!"}]},
        {"role": "user", "parts": [{"text": "List the files."}]},
        {"role": "model", "parts": [{"text": "I look."}, {"functionCall": {"name": "ls", "args": {"path": "."}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "ls", "response": {"output": "a.py"}}}]},
        {"role": "model", "parts": [{"text": "a.py"}]},
    ]
    path = tmp_path / "checkpoint-x.json"
    path.write_text(json.dumps(history))
    [session] = import_file(path)
    assert session.created.task == "List the files." and len(bodies_of(session, ev.ModelReplied)) == 2
    assert [said for _, _, said in results_of(session)] == ["a.py"] and len(calls_of(session)[0]) == 1
    assert len(said_to(session)[0]) == 3


def test_a_command_that_failed_failed_and_a_file_that_says_so_did_not(tmp_path: Path) -> None:
    said = "Command: make\nOutput: boom\nExit Code: 2"
    failing, fine = call("c1", said), call("c2", said.replace("Code: 2", "Code: 0"))
    read, stopped = call("c3", said), call("c4", "the user cancelled", "error")
    for one, name in ((failing, "run_shell_command"), (fine, "run_shell_command"), (read, "read_file")):
        one["name"] = name
    stopped["status"] = "cancelled"
    path = tmp_path / "session-1.json"
    messages = [user("1", "Go."), gemini("2", "", failing, fine, read, stopped), gemini("3", "Done.")]
    path.write_text(json.dumps(HEAD | {"messages": messages}))
    [session] = import_file(path)
    assert [outcome for _, outcome, _ in results_of(session)] == ["error", "ok", "ok", "interrupted"]


def test_an_image_inside_what_a_function_answered_is_lost(tmp_path: Path) -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AA"}}
    looking = call("c1", "read")
    looking["result"][0]["functionResponse"]["parts"] = [image]
    path = tmp_path / "session-1.json"
    path.write_text(json.dumps(HEAD | {"messages": [user("1", "Go."), gemini("2", "", looking), gemini("3", "Done.")]}))
    [session] = import_file(path)
    assert [body.what for body in bodies_of(session, ev.RecordingLoss)] == ["image"]


def test_a_rewind_at_the_end_of_a_log_took_nothing_yet(tmp_path: Path) -> None:
    records = [HEAD, user("1", "Go."), gemini("2", "Yes."), {"$rewindTo": "1"}]
    [session] = imports_of(tmp_path / "session-1.jsonl", *records)
    assert session.created.task == "Go." and len(bodies_of(session, ev.ModelReplied)) == 1
