from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from claude_tree import CLOCK, Tree, call, text
from imported_sessions import (
    CASES,
    advice_of,
    bodies_of,
    calls_of,
    imports_of,
    prompts_of,
    results_of,
    said_to,
)

from sessions import events as ev
from sessions.importers.builder import NO_RESULT
from sessions.importers.files import import_file, load_recording
from sessions.task_ids import group_of, make_task_id


def test_the_request_is_the_task_also_when_it_comes_after_what_a_command_left() -> None:
    [session] = import_file(CASES / "cc-clear.jsonl")
    assert session.created.task == session.created.title == "Rename the helper in util.py to slug()."
    assert advice_of(session) == []
    assert len(bodies_of(session, ev.HarnessTurn)) == 3
    [prompt] = prompts_of(session)
    assert [message["role"] for message in prompt] == ["user"] * 4
    assert prompt[-1]["content"] == "Rename the helper in util.py to slug()."


@pytest.mark.parametrize(
    "noise",
    [
        "<ide_opened_file>The user opened the file a.py in the IDE.</ide_opened_file>",
        "<system-reminder>\nToday is Monday.\n</system-reminder>",
        "<local-command-caveat>Caveat: made by local commands.</local-command-caveat>",
        "<command-message>model</command-message>\n<command-name>/model</command-name>",
        "<bash-input>ls</bash-input>",
        "[Request interrupted by user]",
        "<task-notification><task-id>b1</task-id>done</task-notification>",
        '<teammate-message teammate_id="lead">Go on.</teammate-message>',
    ],
)
@pytest.mark.parametrize("place", ["turn", "block", "text"])
def test_what_a_harness_says_is_neither_task_nor_advice(tmp_path: Path, noise: str, place: str) -> None:
    tree = Tree()
    for words in ("Mend it.", "Not so fast."):
        if place == "turn":
            tree.user(noise)
            tree.user(words)
        elif place == "block":
            tree.user([text(noise), text(words)])
        elif not noise.startswith("["):
            tree.user(f"{noise}\n{words}")
        else:
            tree.user(words)
        tree.reply(words, text("Yes."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert session.created.task == session.created.title == "Mend it."
    assert advice_of(session) == ["Not so fast."]
    if place != "text":
        assert sum(noise in said for said in said_to(session)[-1]) == 2, "the model read it"


def test_two_requests_have_two_task_ids(tmp_path: Path) -> None:
    ids = set()
    for words in ("Mend the lexer.", "Mend the parser."):
        tree = Tree(words)
        tree.user("Caveat: what follows was made by local commands.", isMeta=True)
        tree.user(words)
        tree.reply("m", text("Done."))
        [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
        ids.add(session.created.task_id)
    assert len(ids) == 2


def test_sessions_of_one_repository_have_task_ids_of_one_group(tmp_path: Path) -> None:
    found = {}
    for place, words in (
        ("/home/ann/parser", "Mend  it."),
        ("/home/bob/parser", "mend it."),
        ("/srv/lexer", "Mend it."),
    ):
        tree = Tree(place)
        tree.user(words, cwd=place)
        tree.reply("m", text("Done."), cwd=place)
        [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
        found[place] = session.created.task_id
    first, second, other = found.values()
    assert first == second == make_task_id("parser", "Mend it.") and group_of(first) == "repo:parser"
    assert group_of(other) == "repo:lexer"


def test_a_command_that_stands_for_a_request_is_the_task_where_nothing_else_is(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("<command-name>/review</command-name><command-args>PR 12</command-args>")
    tree.user("Review the pull request.", isMeta=True)
    tree.reply("m", text("Done."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert session.created.title == "/review PR 12"
    assert session.created.task == "/review PR 12\n\nReview the pull request."


def test_only_the_way_that_led_to_the_end_is_the_session_and_the_other_is_a_branch() -> None:
    main, branch = import_file(CASES / "claude_rewind.jsonl")
    assert said_to(main)[-1] == [
        "Fix the parser.",
        "Do not delete anything. Read the test first.",
        "None",
        "def test(): ...",
    ]
    assert main.created.begins is None
    begins = branch.created.begins
    assert begins is not None and (begins.session, begins.kind) == (main.session, "branch")
    assert isinstance(main.events[begins.seq - 1].body, ev.StateChanged), "before anything but the task was said"
    assert [len(prompt) for prompt in prompts_of(branch)] == [1, 3]
    assert said_to(branch)[0] == ["Fix the parser."]
    assert branch.created.task == "Fix the parser." and branch.created.task_id == main.created.task_id


def test_a_branch_has_the_context_of_the_place_where_it_left(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Build it.")
    tree.reply("m1", call("t1", command="make"), stop="tool_use")
    tree.result("t1", "ok")
    stayed = tree.reply("m2", text("Built."), stop="end_turn")
    tree.user("Delete the tests.")
    tree.reply("m3", call("t2", command="rm -r tests"), stop="tool_use")
    left = tree.result("t2", "gone")
    tree.reply("m4", text("Deleted."), stop="end_turn")
    tree.user("And the docs.", after=left)
    tree.reply("m5", text("No docs."), stop="end_turn")
    tree.user("Run the tests.", after=stayed)
    tree.reply("m6", text("They pass."), stop="end_turn")
    main, one, other = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(main)[-1] == ["Build it.", "None", "ok", "Built.", "Run the tests."]
    assert said_to(one, main)[0] == ["Build it.", "None", "ok", "Built.", "Delete the tests."]
    assert said_to(other, main, one)[0][-2:] == ["None", "gone"]
    assert other.created.begins is not None and other.created.begins.session == one.session
    assert len({session.session for session in (main, one, other)}) == 3
    assert load_recording(tmp_path / "s.jsonl").task == "Build it."


def test_the_first_request_may_be_taken_back(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Delete it.")
    tree.reply("m1", text("Deleted."))
    tree.user("Mend it.", after=None)
    tree.reply("m2", text("Mended."))
    main, branch = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert (main.created.task, branch.created.task) == ("Mend it.", "Delete it.")
    assert advice_of(main) == [] and said_to(main) == [["Mend it."]] and said_to(branch) == [["Delete it."]]


def test_a_message_that_was_taken_back_before_any_reply_is_counted(tmp_path: Path) -> None:
    tree = Tree()
    first = tree.user("Look.")
    second = tree.reply("m1", text("Seen."), after=first)
    tree.user("Delete all.", after=second)
    tree.user("Mend it.", after=second)
    tree.reply("m2", text("Mended."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert advice_of(session) == ["Mend it."] and said_to(session)[-1] == ["Look.", "Seen.", "Mend it."]
    assert any("message that was taken back before any reply (1)" in note for note in session.warnings)


def test_parts_of_one_message_are_one_reply_also_with_results_between_them() -> None:
    [session] = import_file(CASES / "claude_interleaved.jsonl")
    replies = bodies_of(session, ev.ModelReplied)
    assert [len(calls) for calls in calls_of(session)] == [2, 0]
    assert [body.usage.input_tokens for body in replies] == [150, 150] and replies[0].usage.output_tokens == 20
    assert said_to(session)[1] == ["Look around.", "I look at both.", "a.txt", "b.txt"]


def test_a_message_that_grew_is_taken_as_it_was_in_the_end() -> None:
    [session] = import_file(CASES / "claude_snapshots.jsonl")
    first = bodies_of(session, ev.ModelReplied)[0]
    assert [part.text for part in first.parts[:1]] == ["I count the files."]
    assert calls_of(session) == [[("t1", '{"command": "ls"}')], []]
    assert first.usage.output_tokens == 20


def test_snapshots_may_hold_all_parts_so_far(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Count.")
    tree.reply("m", text("I"), tokens=1)
    tree.reply("m", text("I count."), call("t1", command="l"), tokens=3)
    tree.reply("m", text("I count."), call("t1", command="ls"), call("t2", command="pwd"), tokens=9)
    tree.result("t2", "/w")
    tree.result("t1", "a")
    tree.reply("m2", text("One."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert calls_of(session)[0] == [("t1", '{"command": "ls"}'), ("t2", '{"command": "pwd"}')]
    assert results_of(session) == [("t2", "ok", "/w"), ("t1", "ok", "a")]
    assert [body.usage.output_tokens for body in bodies_of(session, ev.ModelReplied)] == [9, 5]


def test_two_calls_of_one_id_have_two_results() -> None:
    [session] = import_file(CASES / "claude_same_id.jsonl")
    [first, _] = calls_of(session)
    assert [arguments for _, arguments in first] == ['{"command": "echo one"}', '{"command": "echo two"}']
    assert first[0][0] == "t1" and len({name for name, _ in first}) == 2
    assert [said for _, _, said in results_of(session)] == ["one", "two"]
    messages = prompts_of(session)[1]
    assert [one["id"] for one in messages[1]["tool_calls"]] == [one["tool_call_id"] for one in messages[2:]]


def test_an_id_that_is_used_again_in_a_later_reply_is_that_of_the_later_call(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", call("t1", command="a"))
    tree.user("Stop.")
    tree.reply("m2", call("t1", command="b"))
    tree.result("t1", "b")
    tree.reply("m3", text("Done."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [(outcome, said) for _, outcome, said in results_of(session)] == [("unknown", NO_RESULT), ("ok", "b")]


def test_a_result_belongs_to_its_call_also_after_a_text_in_between() -> None:
    [session] = import_file(CASES / "cc-text-between-results.jsonl")
    assert results_of(session) == [
        ("t1", "ok", "Launching skill: release"),
        ("t2", "ok", "Rule 1: never tag on Friday."),
    ]
    assert advice_of(session) == []
    assert said_to(session)[-1][2:] == [
        "Launching skill: release",
        "Rule 1: never tag on Friday.",
        "Skill text: tag first, then build.",
    ]


def test_advice_between_a_call_and_its_result_comes_after_the_result(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", call("t1", command="a"), call("t2", command="b"))
    tree.result("t1", "one")
    tree.user("Be quick.")
    tree.result("t2", "two")
    tree.reply("m2", text("Done."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session)[-1][2:] == ["one", "two", "Be quick."] and advice_of(session) == ["Be quick."]
    assert NO_RESULT not in str(results_of(session))


def test_what_was_said_while_the_agent_worked_is_advice(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", call("t1", command="a"))
    tree.result("t1", "one")
    tree.add("attachment", attachment={"type": "queued_command", "prompt": "Be quick.", "commandMode": "prompt"})
    tree.add("attachment", attachment={"type": "todo_reminder", "content": []})
    tree.reply("m2", text("Done."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert advice_of(session) == ["Be quick."]
    assert any("attachment todo_reminder (1)" in note for note in session.warnings)


def test_after_a_compaction_the_context_is_the_summary_and_what_was_kept(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Port it.")
    tree.reply("m1", call("t1", command="ls"))
    tree.result("t1", "a.py")
    kept = tree.user("Keep the old one.")
    last = tree.reply("m2", text("Fine."))
    segment = {"headUuid": kept, "anchorUuid": "r6", "tailUuid": last}
    tree.add(
        "system",
        subtype="compact_boundary",
        after=None,
        logicalParentUuid=last,
        compactMetadata={"trigger": "auto", "preTokens": 9, "preservedSegment": segment},
    )
    tree.user("This session is being continued: the parser is half ported.", isCompactSummary=True)
    tree.reply("m3", text("I go on."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session)[-1] == [
        "This session is being continued: the parser is half ported.",
        "Keep the old one.",
        "Fine.",
    ]
    [summary] = bodies_of(session, ev.SummaryWritten)
    assert summary.text.text.endswith("half ported.") and summary.to_step == 2
    request = [event.body for event in session.events if isinstance(event.body, ev.ModelRequested)][-1]
    delivered = next(n for n, event in enumerate(session.events, 1) if isinstance(event.body, ev.AdviceDelivered))
    assert delivered in request.append[1].sources, "advice that stays is known as such"


def test_a_session_that_begins_with_a_summary_has_it_as_its_context(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("This session is being continued from a previous conversation that ran out of context.")
    tree.user("Go on with the lexer.")
    tree.reply("m3", text("Yes."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert session.created.title == "Go on with the lexer." and len(said_to(session)[0]) == 2


def test_sub_agents_are_children_of_the_call_that_started_them(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Tidy up.")
    asked = tree.reply("m1", call("t1", "Task", prompt="Look for unused imports."))
    tree.user("Look for unused imports.", after=None, isSidechain=True)
    tree.reply("a1", call("t9", "Grep", pattern="import"), isSidechain=True)
    tree.result("t9", "a.py:1", isSidechain=True)
    tree.reply("a2", text("One unused import."), isSidechain=True)
    tree.result("t1", "One unused import.", after=asked)
    tree.reply("m2", text("Tidied."))
    main, child = imports_of(tmp_path / "s.jsonl", *tree.records)
    begins = child.created.begins
    assert begins is not None and (begins.session, begins.kind) == (main.session, "child")
    started = main.events[begins.seq - 1].body
    assert isinstance(started, ev.ActionStarted) and started.call_id == "t1"
    assert child.created.task == "Look for unused imports." and results_of(child) == [("t9", "ok", "a.py:1")]
    assert said_to(main)[-1] == ["Tidy up.", "None", "One unused import."]
    assert child.created.task_id == main.created.task_id


def test_a_file_of_a_sub_agent_is_a_child_of_a_session_that_is_not_here() -> None:
    [child] = import_file(CASES / "cc-subagent.jsonl")
    begins = child.created.begins
    assert begins is not None and (begins.session, begins.kind) == ("", "child")
    assert child.created.task == "Look for unused imports." and len(bodies_of(child, ev.ModelReplied)) == 2


def test_files_of_sub_agents_beside_that_of_their_session_are_read_with_it(tmp_path: Path) -> None:
    tree = Tree("s-9")
    tree.user("Tidy up.")
    tree.reply("m1", call("t1", "Task", prompt="Look."))
    tree.result("t1", "Nothing.", toolUseResult={"agentId": "a7", "totalDurationMs": 7000})
    tree.reply("m2", text("Tidy."))
    agent = Tree("s-9")
    agent.user("Look.", isSidechain=True, agentId="a7")
    agent.reply("a1", text("Nothing."), isSidechain=True, agentId="a7")
    folder = tmp_path / "s-9" / "subagents"
    folder.mkdir(parents=True)
    lone = imports_of(folder / "agent-a7.jsonl", *agent.records)
    assert [session.created.begins.session for session in lone if session.created.begins] == [""]
    main, child = imports_of(tmp_path / "s-9.jsonl", *tree.records)
    [alone] = import_file(folder / "agent-a7.jsonl")
    assert alone.session == child.session and alone.created.begins == child.created.begins
    assert child.created.begins == ev.Beginning(main.session, _seq_of_call(main, "t1"), "child")
    assert bodies_of(main, ev.ActionResult)[0].duration_ms == 7000


def _seq_of_call(session: Any, name: str) -> int:
    return next(
        seq
        for seq, event in enumerate(session.events, 1)
        if isinstance(event.body, ev.ActionStarted) and event.body.call_id == name
    )


def test_failed_is_failed_and_rejected_is_interrupted(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", call("t1"), call("t2"), call("t3"), call("t4"))
    tree.result("t1", "Exit code 1\nno", failed=True)
    tree.result("t2", "killed", toolUseResult={"stdout": "killed", "interrupted": True})
    tree.result("t3", "The user doesn't want to proceed with this tool use.", failed=True)
    tree.result("t4", "no", toolUseResult={"exitCode": 3})
    tree.reply("m2", text("Done."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [outcome for _, outcome, _ in results_of(session)] == ["error", "interrupted", "interrupted", "error"]


def test_a_reply_that_a_person_cut_off_did_not_end_normally(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", text("I will"))
    tree.user("[Request interrupted by user]")
    tree.user("Wait.")
    tree.reply("m2", text("Yes."), stop="end_turn")
    tree.reply("m3", text("A long"), stop="max_tokens")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [body.finish for body in bodies_of(session, ev.ModelReplied)] == ["interrupted", "stop", "length"]
    assert advice_of(session) == ["Wait."]


def test_durations_lie_between_call_and_result_and_rest_is_no_active_time(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.", at=1)
    tree.reply("m1", call("t1"), at=2)
    tree.result("t1", "ok", at=14)
    tree.reply("m2", text("Done."), at=20)
    tree.user("More.", at=50 * 60)
    tree.reply("m3", text("No."), at=50 * 60 + 10)
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert bodies_of(session, ev.ActionResult)[0].duration_ms == 12_000
    states = [(event.body.state, event.at) for event in session.events if isinstance(event.body, ev.StateChanged)]
    ran = sum((later or 0) - (at or 0) for (state, at), (_, later) in pairwise(states) if state == "running")
    assert ran == 29_000


def test_what_stream_json_prints_is_read(tmp_path: Path) -> None:
    def line(kind: str, message: Any, parent: str | None = None) -> dict[str, Any]:
        return {"type": kind, "message": message, "session_id": "s", "parent_tool_use_id": parent, "uuid": str(message)}

    [main, child] = imports_of(
        tmp_path / "out.jsonl",
        {"type": "system", "subtype": "init", "session_id": "s", "cwd": "/w"},
        line("assistant", {"id": "m1", "model": "c", "content": [call("t1", "Task", prompt="Look.")]}),
        line("user", {"role": "user", "content": [text("Look.")]}, "t1"),
        line("assistant", {"id": "a1", "model": "c", "content": [text("Seen.")]}, "t1"),
        line("user", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "Seen."}]}),
        line("assistant", {"id": "m2", "model": "c", "content": [text("Done.")]}),
        {"type": "result", "session_id": "s", "total_cost_usd": 0.1},
    )
    assert len(bodies_of(main, ev.ModelReplied)) == 2 and results_of(main) == [("t1", "ok", "Seen.")]
    assert child.created.begins == ev.Beginning(main.session, _seq_of_call(main, "t1"), "child")


def test_images_and_hidden_reasoning_are_said_where_they_were(tmp_path: Path) -> None:
    [session] = import_file(CASES / "cc-image-result.jsonl")
    [result] = [n for n, event in enumerate(session.events, 1) if isinstance(event.body, ev.ActionResult)]
    assert bodies_of(session, ev.RecordingLoss) == [ev.RecordingLoss(what="image", of=result)]
    tree = Tree()
    tree.user([{"type": "image", "source": {}}, text("What is it?")])
    tree.reply("m1", {"type": "redacted_thinking", "data": "x"}, text("A dot."))
    tree.reply("m2", {"type": "thinking", "thinking": "", "signature": "s"}, text("Red."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [body.what for body in bodies_of(session, ev.RecordingLoss)] == ["image", "reasoning", "reasoning"]


def test_records_that_name_no_parents_follow_each_other(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.", after=None)
    tree.reply("m1", call("t1", command="a"), after=None)
    tree.result("t1", "ok", after=None)
    tree.user("More.", after=None)
    tree.reply("m2", text("Done."), after=None)
    tree.user(["Thanks."], after=None)
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert said_to(session)[-1] == ["Go.", "None", "ok", "More."] and advice_of(session) == ["More.", "Thanks."]


def _named(session: str, *, linked: bool) -> Tree:
    """A task, a reply and words that no reply follows, under ids of the session's own."""
    tree = Tree(session)
    tree.user(f"Task of {session}.")
    tree.reply(f"m-{session}", text("Done."))
    tree.user(f"Last words of {session}.")
    for record in tree.records:
        record["uuid"] = f"{session}-{record['uuid']}"
        record["parentUuid"] = f"{session}-{record['parentUuid']}" if linked and record["parentUuid"] else None
    return tree


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("mixed", [True, False])
def test_of_two_sessions_in_a_file_each_keeps_the_words_that_no_reply_follows(
    tmp_path: Path, linked: bool, mixed: bool
) -> None:
    one, two = _named("s-1", linked=linked).records, _named("s-2", linked=linked).records
    found = imports_of(tmp_path / "s.jsonl", *([*one[:2], *two, *one[2:]] if mixed else [*one, *two]))
    assert [(session.created.task, advice_of(session)) for session in found] == [
        (f"Task of {name}.", [f"Last words of {name}."]) for name in ("s-1", "s-2")
    ]


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("nothing", ["error", {"role": "user"}, {"role": "user", "content": "Look at it first."}])
def test_words_whose_record_has_the_uuid_of_another_one_are_kept(tmp_path: Path, linked: bool, nothing: Any) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", text("Done."))
    tree.add("user", nothing)
    tree.user("Once more.")
    tree.records[-1] |= {"uuid": tree.records[-2]["uuid"], "parentUuid": tree.records[-2]["parentUuid"]}
    tree.reply("m2", text("Done again."))
    for record in tree.records if not linked else ():
        record["parentUuid"] = None
    before = ["Look at it first."] if isinstance(nothing, dict) and "content" in nothing else []
    for records in (tree.records[:-1], tree.records):  # at the end, and before a reply
        [session] = imports_of(tmp_path / "s.jsonl", *records)
        assert advice_of(session) == [*before, "Once more."]
    assert len(bodies_of(session, ev.ModelReplied)) == 2


def test_what_was_copied_when_a_session_was_resumed_is_said_once(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Go.")
    tree.reply("m1", text("Done."))
    tree.user("Once more.")
    copies = [{**record, "timestamp": CLOCK.format(30, 0), "version": "9"} for record in tree.records]
    copies[2] |= {"message": {"role": "user", "content": [text("Once more.")]}}  # in the other form
    tree.records += copies
    tree.reply("m2", text("Done again."))
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert (session.created.task, advice_of(session)) == ("Go.", ["Once more."])
    assert len(bodies_of(session, ev.ModelReplied)) == 2


@pytest.mark.parametrize("telling", ["requests", "prompts", "words of a person"])
def test_an_id_that_a_server_gives_to_every_reply_makes_no_one_reply_of_them(tmp_path: Path, telling: str) -> None:
    tree = Tree()
    tree.user("Mend it.")
    for number in range(3):
        more = {"requestId": f"q{number}"} if telling == "requests" else {}
        tree.reply("m", call(f"c{number}", command=f"echo {number}"), **more)
        usage = tree.records[-1]["message"]["usage"]
        usage["input_tokens"] = 10 + number if telling == "prompts" else 10 if telling == "requests" else 0
        if telling == "words of a person":
            usage["cache_read_input_tokens"] = 0
        tree.result(f"c{number}", f"{number}")
        if telling == "words of a person":
            tree.user(f"Advice {number}.")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [[name for name, _ in calls] for calls in calls_of(session)] == [["c0"], ["c1"], ["c2"]]
    assert [said for _, _, said in results_of(session)] == ["0", "1", "2"]
    assert [len(prompt) for prompt in said_to(session)] == ([1, 4, 7] if telling.startswith("words") else [1, 3, 5])


def test_words_of_a_person_between_parts_of_one_request_leave_them_one_reply(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m", text("I look."), requestId="q")
    tree.user("Hurry.")
    tree.reply("m", call("c1", command="ls"), requestId="q")
    tree.result("c1", "a.py")
    tree.reply("n", text("Done."), requestId="r")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    first, _ = bodies_of(session, ev.ModelReplied)
    assert len(first.parts) == 2 and advice_of(session) == ["Hurry."]


def test_a_record_without_a_message_is_no_reply(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    for message in (None, {"role": "assistant", "content": None}, {"role": "assistant", "content": []}):
        tree.add("assistant", message)
    tree.reply("m", text("Done."))
    tree.reply("n", stop="end_turn")
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert [len(body.parts) for body in bodies_of(session, ev.ModelReplied)] == [1, 0]


@pytest.mark.parametrize(
    ("said", "told", "outcome"),
    [
        ("Exit code 2\nboom", "Error: Exit code 2\nboom", "error"),
        ("boom", "Error: boom", "error"),
        ("<tool_use_error>File has not been read yet.</tool_use_error>", None, "error"),
        ("boom", {"metadata": {"exit_code": 3}}, "error"),
        ("boom", {"exitCode": 1}, "error"),
        ("Exit code 0 is good", {"stdout": "x"}, "ok"),
        ("the page", {"code": 200}, "ok"),
    ],
)
def test_a_failure_is_found_where_no_flag_says_it(tmp_path: Path, said: str, told: Any, outcome: str) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m", call("c1", command="x"))
    tree.user([{"type": "tool_result", "tool_use_id": "c1", "content": said}], toolUseResult=told)
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert results_of(session) == [("c1", outcome, said)]


def test_a_file_that_ends_after_a_rewind_is_what_was_done_before_it(tmp_path: Path) -> None:
    tree = Tree()
    tree.user("Mend it.")
    tree.reply("m", text("I did."))
    tree.user("Do it otherwise.", after=None)
    [session] = imports_of(tmp_path / "s.jsonl", *tree.records)
    assert session.created.task == "Mend it." and len(bodies_of(session, ev.ModelReplied)) == 1
    assert any("message that no reply follows (1)" in note for note in session.warnings)
