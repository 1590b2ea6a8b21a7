from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from imported_sessions import CASES, advice_of, bodies_of, calls_of, imports_of, prompts_of, results_of, said_to

from sessions import events as ev
from sessions.importers.files import import_file
from sessions.task_ids import make_task_id


def line(kind: str, payload: Any, second: int = 0) -> dict[str, Any]:
    return {"timestamp": f"2026-01-05T10:{second // 60:02}:{second % 60:02}.000Z", "type": kind, "payload": payload}


def meta(**more: Any) -> dict[str, Any]:
    about = {"id": "c-1", "timestamp": "2026-01-05T10:00:00.000Z", "cwd": "/w", "originator": "codex_cli_rs"}
    return line("session_meta", about | more)


def said(role: str, *texts: str, second: int = 0) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text} for text in texts]
    return line("response_item", {"type": "message", "role": role, "content": content}, second)


def call(name: str, *command: str, second: int = 0) -> dict[str, Any]:
    arguments = json.dumps({"command": command})
    item = {"type": "function_call", "name": "shell", "arguments": arguments, "call_id": name}
    return line("response_item", item, second)


def output(name: str, text: Any, second: int = 0) -> dict[str, Any]:
    return line("response_item", {"type": "function_call_output", "call_id": name, "output": text}, second)


def event(kind: str, **more: Any) -> dict[str, Any]:
    return line("event_msg", {"type": kind, **more})


def tokens(total: int, last: int) -> dict[str, Any]:
    usage = {"input_tokens": last, "cached_input_tokens": 1, "output_tokens": 2}
    sums = {"input_tokens": total, "output_tokens": total}
    info = {"total_token_usage": sums, "last_token_usage": usage, "model_context_window": 272_000}
    return event("token_count", info=info)


@pytest.mark.parametrize(
    "noise",
    [
        "<environment_context>\n<cwd>/w</cwd>\n</environment_context>",
        "<user_instructions>\nBe brief.\n</user_instructions>",
        "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>",
        "<turn_aborted>\nThe user interrupted.\n</turn_aborted>",
        "<subagent_notification>{}</subagent_notification>",
        "<user_shell_command>ls</user_shell_command>",
        "<some_future_context>x</some_future_context>",
    ],
)
def test_what_codex_says_of_the_place_is_neither_task_nor_advice(tmp_path: Path, noise: str) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl",
        meta(base_instructions={"text": "You code."}),
        said("developer", "Ask before you delete."),
        said("user", noise),
        said("user", "Mend it."),
        said("assistant", "Mended."),
        said("user", noise),
        said("user", "<div> is wrong too."),
        said("assistant", "Right."),
    )
    assert session.created.task == session.created.title == "Mend it."
    assert advice_of(session) == ["<div> is wrong too."]
    last = prompts_of(session)[-1]
    assert [message["role"] for message in last[:4]] == ["system", "developer", "user", "user"]
    assert sum(message["content"] == noise for message in last) == 2


def test_the_request_in_the_context_of_an_editor_is_the_task(tmp_path: Path) -> None:
    turn = "# Context from my IDE setup:\n\n## Active file: a.py\n\n## My request for Codex:\nMend it."
    [session] = imports_of(tmp_path / "r.jsonl", meta(), said("user", turn), said("assistant", "Mended."))
    assert session.created.task == session.created.title == "Mend it." and said_to(session) == [[turn]]


def test_a_result_is_kept_as_the_model_read_it_and_failed_is_failed() -> None:
    [session] = import_file(CASES / "codex-result.jsonl")
    [result] = bodies_of(session, ev.ActionResult)
    whole = '{"output": "cc: not found\\n", "metadata": {"exit_code": 127, "duration_seconds": 0.1}}'
    assert (result.output.text, result.outcome, result.duration_ms) == (whole, "error", 100)
    assert prompts_of(session)[-1][-1]["content"] == whole


@pytest.mark.parametrize(
    ("told", "outcome", "took"),
    [
        ("Exit code: 2\nWall time: 1.5 seconds\nOutput:\nno", "error", 1500),
        ("Exit code: 0\nWall time: 1 seconds\nOutput:\nExit code: 3", "ok", 1000),
        ("Chunk ID: a\nWall time: 0.0520 seconds\nProcess exited with code 1\nOutput:\nx", "error", 52),
        ("command timed out after 10000 milliseconds", "timeout", 1000),
        ("aborted by user after 3.2s", "interrupted", 1000),
        ({"content": "no", "success": False}, "error", 1000),
        ([{"type": "input_text", "text": "fine"}], "ok", 1000),
        ("Exit code: none of yours", "ok", 1000),
    ],
)
def test_exit_codes_and_durations_are_found_wherever_a_result_says_them(
    tmp_path: Path, told: Any, outcome: str, took: int
) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl", meta(), said("user", "Go."), call("k", "make", second=1), output("k", told, second=2)
    )
    [result] = bodies_of(session, ev.ActionResult)
    assert (result.outcome, result.duration_ms) == (outcome, took)


def test_what_the_end_of_a_call_says_is_not_lost(tmp_path: Path) -> None:
    ended = {"call_id": "k", "exit_code": 4, "duration": {"secs": 2, "nanos": 500_000_000}}
    [session] = imports_of(
        tmp_path / "r.jsonl", meta(), said("user", "Go."), call("k", "make"), event("exec_command_end", **ended),
        output("k", "no"),
    )  # fmt: skip
    [result] = bodies_of(session, ev.ActionResult)
    assert (result.outcome, result.duration_ms, result.data) == ("error", 2500, {"exit_code": 4})


def test_after_a_compaction_the_context_is_the_replaced_history() -> None:
    [session] = import_file(CASES / "codex-compacted.jsonl")
    assert said_to(session)[-2] == ["Port the parser to C.", "Keep the old one until I say so."]
    assert len(bodies_of(session, ev.SummaryWritten)) == 1
    request = [one.body for one in session.events if isinstance(one.body, ev.ModelRequested)][-2]
    delivered = next(n for n, one in enumerate(session.events, 1) if isinstance(one.body, ev.AdviceDelivered))
    assert delivered in request.append[1].sources, "advice that stays is known as such"


def test_an_older_compaction_keeps_what_people_said_and_the_summary(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl",
        meta(base_instructions="You code."),
        said("user", "Port it."),
        said("assistant", "Half."),
        said("user", "Go on."),
        said("assistant", "More."),
        line("compacted", {"message": "Half of it is ported."}),
        said("user", "All of it."),
        said("assistant", "Done."),
    )
    assert said_to(session)[-1] == ["You code.", "Port it.", "Go on.", "Half of it is ported.", "All of it."]


def test_what_was_rolled_back_is_a_branch(tmp_path: Path) -> None:
    main, branch = imports_of(
        tmp_path / "r.jsonl",
        meta(),
        said("user", "<environment_context>here</environment_context>"),
        said("user", "Build it."),
        said("assistant", "Built."),
        said("user", "Delete it."),
        call("k", "rm"),
        output("k", "gone"),
        said("assistant", "Deleted."),
        event("thread_rolled_back", num_turns=1),
        said("user", "Test it."),
        said("assistant", "It passes."),
    )
    assert said_to(main)[-1][1:] == ["Build it.", "Built.", "Test it."]
    assert said_to(branch, main)[0][1:] == ["Build it.", "Built.", "Delete it."]
    begins = branch.created.begins
    assert begins is not None and (begins.session, begins.kind) == (main.session, "branch")
    assert branch.created.task_id == main.created.task_id and results_of(main) == []


def test_several_turns_and_the_first_one_can_be_rolled_back(tmp_path: Path) -> None:
    main, first, second = imports_of(
        tmp_path / "r.jsonl",
        meta(),
        said("user", "<environment_context>here</environment_context>"),
        said("user", "One."),
        said("assistant", "1"),
        said("user", "Two."),
        said("assistant", "2"),
        event("thread_rolled_back", num_turns=1),
        said("user", "Three."),
        said("assistant", "3"),
        event("thread_rolled_back", num_turns=2),
        said("user", "Four."),
        said("assistant", "4"),
    )
    assert said_to(main) == [["<environment_context>here</environment_context>", "Four."]]
    assert main.created.task == "Four."
    assert {tuple(said_to(one, main, first, second)[-1][1:]) for one in (first, second)} == {
        ("One.", "1", "Two."),
        ("One.", "1", "Three."),
    }
    assert {one.created.task for one in (first, second)} == {"One."}


def test_parallel_calls_and_words_after_them_are_one_reply_and_usage_is_told_once(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl",
        meta(),
        line("turn_context", {"model": "g-1"}),
        said("user", "Go."),
        said("assistant", "I look."),
        call("k1", "a"),
        call("k2", "b"),
        tokens(100, 100),
        tokens(100, 100),
        output("k1", "1"),
        output("k2", "2"),
        said("assistant", "One."),
        tokens(250, 150),
        line("turn_context", {"model": "g-2"}),
        said("user", "More."),
        said("assistant", "Two."),
        tokens(450, 200),
    )
    replies = bodies_of(session, ev.ModelReplied)
    assert [len(calls) for calls in calls_of(session)] == [2, 0, 0]
    assert [body.usage.input_tokens for body in replies] == [100, 150, 200]
    assert [body.model for body in replies] == ["g-1", "g-1", "g-2"]
    assert session.created.model.context_tokens == 272_000


def test_replies_side_by_side_are_told_apart_by_their_tokens(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl", meta(), said("user", "Go."), said("assistant", "One."), tokens(10, 10),
        said("assistant", "Two."), tokens(30, 20),
    )  # fmt: skip
    assert [body.usage.input_tokens for body in bodies_of(session, ev.ModelReplied)] == [10, 20]


def test_a_result_after_a_text_of_the_user_belongs_to_its_call(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl", meta(), said("user", "Go."), call("k", "a"), said("user", "Quick."), output("k", "1"),
        said("assistant", "Done."),
    )  # fmt: skip
    assert results_of(session) == [("k", "ok", "1")] and said_to(session)[-1][2:] == ["1", "Quick."]


def test_a_sub_agent_s_file_is_a_child_and_finds_its_session_beside_it(tmp_path: Path) -> None:
    [parent] = imports_of(tmp_path / "rollout-2026-c-1.jsonl", meta(), said("user", "Go."), said("assistant", "Done."))
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": "c-1", "depth": 1}}}
    [child] = imports_of(
        tmp_path / "rollout-2026-c-2.jsonl",
        meta(id="c-2", source=spawn),
        said("user", "Look."),
        said("assistant", "Seen."),
    )
    assert child.created.begins == ev.Beginning(parent.session, 1, "child")
    [lone] = imports_of(
        tmp_path / "x.jsonl", meta(id="c-3", parent_thread_id="c-9"), said("user", "Look."), said("assistant", "Seen.")
    )
    assert lone.created.begins == ev.Beginning("", 0, "child")


def test_what_a_fork_copied_is_context_and_no_target(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl",
        meta(id="c-2", forked_from_id="c-1"),
        meta(),
        said("user", "Go."),
        said("assistant", "One."),
        said("user", "Other way.", second=60),
        said("assistant", "Two.", second=61),
    )
    assert [body.salvaged for body in bodies_of(session, ev.ModelReplied)] == [True, False]
    assert any("fork of session c-1" in note for note in session.warnings)


def test_a_session_that_ended_in_an_error_says_so(tmp_path: Path) -> None:
    [session] = imports_of(
        tmp_path / "r.jsonl", meta(), said("user", "Go."), said("assistant", "One."), event("error", message="quota")
    )
    last = bodies_of(session, ev.StateChanged)[-1]
    assert (last.state, last.reason) == ("stopped", "quota")


def test_what_codex_exec_prints_is_imported() -> None:
    [session] = import_file(CASES / "codex-exec-json.jsonl")
    first, second = bodies_of(session, ev.ModelReplied)
    assert [part.text for part in first.parts[:1]] == ["Look first"] and second.parts[0].text == "One file."
    assert calls_of(session) == [[("i1", '{"command": "ls"}')], []] and results_of(session) == [("i1", "ok", "a.py")]
    assert second.usage is None and session.created.meta["recording"] == "th-1"
    [read] = bodies_of(session, ev.RecordingRead)
    assert (read.usage.input_tokens, read.usage.output_tokens) == (10, 3), "of the turn, and of no single reply"
    assert any("does not hold the request" in note for note in session.warnings)


def test_items_that_began_together_are_one_reply_and_are_taken_once(tmp_path: Path) -> None:
    def item(kind: str, name: str, **more: Any) -> dict[str, Any]:
        return {"type": f"item.{kind}", "item": {"id": name, "type": "command_execution", "command": name} | more}

    failed = {"aggregated_output": "no", "exit_code": 2, "status": "failed"}
    [session] = imports_of(
        tmp_path / "out.jsonl",
        {"type": "thread.started", "thread_id": "t"},
        {"type": "turn.started"},
        item("started", "a", status="in_progress"),
        item("started", "b", status="in_progress"),
        item("completed", "b", **failed),
        item("completed", "a", aggregated_output="yes", exit_code=0, status="completed"),
        item("completed", "c", aggregated_output="c", exit_code=0, status="completed"),
        {"type": "turn.failed", "error": {"message": "quota"}},
    )
    assert [[name for name, _ in calls] for calls in calls_of(session)] == [["a", "b"], ["c"]]
    assert results_of(session) == [("b", "error", "no"), ("a", "ok", "yes"), ("c", "ok", "c")]
    assert bodies_of(session, ev.StateChanged)[-1].reason == "quota"


def test_what_is_encrypted_is_said_and_bars_nothing(tmp_path: Path) -> None:
    [session] = import_file(CASES / "codex-compacted.jsonl")
    [summary] = [n for n, one in enumerate(session.events, 1) if isinstance(one.body, ev.SummaryWritten)]
    assert bodies_of(session, ev.RecordingLoss) == [ev.RecordingLoss(what="history", of=summary)]
    request = [one.body for one in session.events if isinstance(one.body, ev.ModelRequested)][-2]
    assert summary in request.append[-1].sources
    sealed = line("response_item", {"type": "reasoning", "summary": [], "encrypted_content": "x"})
    [session] = imports_of(tmp_path / "r.jsonl", meta(), said("user", "Go."), sealed, said("assistant", "Done."))
    assert [body.what for body in bodies_of(session, ev.RecordingLoss)] == ["reasoning"]


def test_tokens_that_are_told_before_the_items_of_a_reply_are_those_of_that_reply(tmp_path: Path) -> None:
    records = [meta(), said("user", "Go.")]
    for number in (1, 2, 3):
        records += [event("agent_reasoning", text="Look."), tokens(number * 10, number), call(f"k{number}", "a")]
        records += [output(f"k{number}", "ok")]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert [body.usage.input_tokens for body in bodies_of(session, ev.ModelReplied)] == [1, 2, 3]


def test_the_task_id_has_the_remote_of_the_repository_and_without_one_its_folder(tmp_path: Path) -> None:
    git = {"repository_url": "git@github.com:acme/parser.git", "branch": "main"}
    for about, task in (
        ({"cwd": "/home/ann/copy-2", "git": git}, make_task_id("parser", "Mend it.")),
        ({"cwd": "/home/ann/copy-2"}, make_task_id("copy-2", "Mend it.")),
        ({"cwd": "/workspace"}, make_task_id("", "Mend it.")),
    ):
        records = (meta(**about), said("user", "Mend it."), said("assistant", "Done."))
        [session] = imports_of(tmp_path / "c.jsonl", *records)
        assert session.created.task_id == task


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ('{"exit_code": 4, "output": "boom"}', "error"),
        ('{"exit_code": 0, "output": "fine"}', "ok"),
        ('{"exit_code": 4, "name": "a record that was read"}', "ok"),
        ("failed to parse function arguments: missing field `command`", "error"),
        ("unsupported call: browse", "error"),
        ("apply_patch verification failed: no such file", "error"),
        ("Exit code: 124\nWall time: 10 seconds\nOutput:\ncommand timed out after 10000 milliseconds\n", "timeout"),
        ("Exit code: 0\nWall time: 1 seconds\nOutput:\ncommand timed out after it was read\n", "ok"),
    ],
)
def test_what_a_result_says_of_a_failure_in_words_is_taken(tmp_path: Path, words: str, outcome: str) -> None:
    records = [meta(), said("user", "Go."), call("c1", "x"), output("c1", words), said("assistant", "Done.")]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert results_of(session) == [("c1", outcome, words)]


def test_a_server_that_says_of_its_result_that_it_is_an_error(tmp_path: Path) -> None:
    ended = event("mcp_tool_call_end", call_id="c1", result={"Ok": {"content": [], "isError": True}})
    records = [meta(), said("user", "Go."), call("c1", "x"), ended, output("c1", "boom"), said("assistant", "Done.")]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert results_of(session) == [("c1", "error", "boom")]


@pytest.mark.parametrize(("kind", "what"), [("web_search_call", "result"), ("image_generation_call", "image")])
def test_what_a_tool_of_the_server_found_is_said_to_be_lost(tmp_path: Path, kind: str, what: str) -> None:
    used = line("response_item", {"type": kind, "status": "completed"})
    records = [meta(), said("user", "Go."), used, said("assistant", "Found it.")]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert [(body.what, body.count) for body in bodies_of(session, ev.RecordingLoss)] == [(what, 1)]
    assert len(bodies_of(session, ev.ModelReplied)) == 1


def test_the_label_of_an_image_is_no_word_of_the_person(tmp_path: Path) -> None:
    turn = said("user", "What is this?", "<image name=[Image #1]>", "</image>")
    turn["payload"]["content"].insert(2, {"type": "input_image", "image_url": "data:image/png;base64,AA"})
    [session] = imports_of(tmp_path / "r.jsonl", meta(), turn, said("assistant", "A cat."))
    assert session.created.task == "What is this?"
    assert "<image name=[Image #1]>" in said_to(session)[0][0], "the model read it"


def test_a_session_that_was_resumed_is_no_fork_of_itself(tmp_path: Path) -> None:
    records = [
        meta(),
        said("user", "Go."),
        said("assistant", "Yes."),
        meta(),
        said("user", "On."),
        said("assistant", "Y"),
    ]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert not any("fork" in note for note in session.warnings)
    assert not any(body.salvaged for body in bodies_of(session, ev.ModelReplied))


def test_a_rollback_at_the_end_of_a_file_took_nothing_yet(tmp_path: Path) -> None:
    records = [meta(), said("user", "Go."), said("assistant", "Yes."), event("thread_rolled_back", num_turns=1)]
    [session] = imports_of(tmp_path / "r.jsonl", *records)
    assert session.created.task == "Go." and len(bodies_of(session, ev.ModelReplied)) == 1
