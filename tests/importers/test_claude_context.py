"""What Claude Code did to a context beside summing it up: results cleared or replaced, copies of a parent, forks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from claude_tree import Tree, call, text
from imported_sessions import bodies_of, imports_of, results_of, said_to

from sessions import events as ev

CLEARED = "[Old tool result content cleared]"


def microcompact(tree: Tree, *calls: Any) -> str:
    told = {"trigger": "auto", "preTokens": 9, "tokensSaved": 5, "compactedToolIds": list(calls)}
    return tree.add("system", subtype="microcompact_boundary", microcompactMetadata=told)


def test_results_that_a_microcompaction_cleared_are_gone_from_later_prompts_alone(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m1", call("t1"), stop="tool_use")
    tree.result("t1", "a long file")
    tree.reply("m2", call("t2"), stop="tool_use")
    tree.result("t2", "another file")
    microcompact(tree, "t1", 7, "never made")
    tree.reply("m3", call("t3"), stop="tool_use")
    tree.result("t3", "ok")
    microcompact(tree, "t1")
    tree.reply("m4", text("Mended."), stop="end_turn")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session) == [
        ["Mend it."],
        ["Mend it.", "None", "a long file"],
        ["Mend it.", "None", CLEARED, "None", "another file"],
        ["Mend it.", "None", CLEARED, "None", "another file", "None", "ok"],
    ]
    assert [result[2] for result in results_of(session)] == ["a long file", "another file", "ok"]
    requests = bodies_of(session, ev.ModelRequested)
    # The second time nothing is left to clear: the last prompt goes on from the one before.
    assert [request.parent is None for request in requests] == [True, False, True, False]
    assert not any("record system" in note for note in session.warnings)


def test_a_microcompaction_of_nothing_changes_no_prompt(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m1", call("t1"), stop="tool_use")
    tree.result("t1", "a file")
    tree.add("system", subtype="microcompact_boundary", microcompactMetadata=None)
    microcompact(tree)
    tree.reply("m2", text("Mended."), stop="end_turn")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session)[-1] == ["Mend it.", "None", "a file"]


def test_a_result_that_was_replaced_is_what_the_model_read_from_the_first(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m1", call("t1"), call("t2"), stop="tool_use")
    tree.result("t1", "x" * 90_000)
    tree.result("t2", "short")
    replaced = [
        {
            "kind": "tool-result",
            "toolUseId": "t1",
            "replacement": "<persisted-output>saved to a.txt</persisted-output>",
        },
        {"kind": "tool-result", "toolUseId": 7},
    ]
    tree.reply("m2", text("Mended."), stop="end_turn")
    tree.records.insert(-1, {"type": "content-replacement", "sessionId": "s-1", "replacements": replaced})
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session)[-1][2:] == ["<persisted-output>saved to a.txt</persisted-output>", "short"]
    assert not any("content-replacement" in note for note in session.warnings)


def test_what_a_fork_copied_is_context_and_not_trained(tmp_path: Path) -> None:
    tree = Tree("parent")
    tree.user("Mend it.")
    tree.reply("m1", call("t1"), stop="tool_use")
    tree.result("t1", "ok")
    forked = Tree("fork")
    for record in tree.records:
        told = {"sessionId": "parent", "messageUuid": record["uuid"]}
        forked.records.append({**record, "sessionId": "fork", "forkedFrom": told})
    forked.reply("m2", text("Mended."), stop="end_turn")
    [session] = imports_of(tmp_path / "fork.jsonl", *forked.records)
    assert [reply.salvaged for reply in bodies_of(session, ev.ModelReplied)] == [True, False]
    assert said_to(session)[-1] == ["Mend it.", "None", "ok"]
    assert any(note.startswith("it is a fork of session parent: ") for note in session.warnings)
    [parent] = imports_of(tmp_path / "parent.jsonl", *tree.records)
    assert parent.session != session.session
    both = imports_of(tmp_path / "both.jsonl", *tree.records, *forked.records)
    assert {one.session for one in both} == {parent.session, session.session}


def test_a_sub_agent_that_began_with_the_context_of_its_parent_says_that_it_lacks_it(tmp_path: Path) -> None:
    tree = Tree("s")
    tree.user("Mend it.")
    tree.reply("m1", call("t1", "Task", prompt="Look around."), stop="tool_use")
    tree.result("t1", "seen")
    tree.reply("m2", text("Mended."), stop="end_turn")
    child = Tree("s")
    child.user("Look around.", isSidechain=True, agentId="a1")
    child.reply("n1", text("Seen."), isSidechain=True, agentId="a1")
    ref = {"type": "fork-context-ref", "agentId": "a1", "parentSessionId": "s", "parentLastUuid": "r1"}
    folder = tmp_path / "s" / "subagents"
    folder.mkdir(parents=True)
    imports_of(folder / "agent-a1.jsonl", ref, *child.records)
    main, agent = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert agent.created.begins is not None and agent.created.begins.session == main.session
    assert [(body.what, body.of) for body in bodies_of(agent, ev.RecordingLoss)] == [("instruction", 1)]
    assert any(note.startswith("it began with the context of session s,") for note in agent.warnings)
