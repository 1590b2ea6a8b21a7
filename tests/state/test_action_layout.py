from __future__ import annotations

import json
from typing import Any

import msgspec

from apollo_tui.state.action_details import EntryDetails
from apollo_tui.state.action_layout import details_lines, details_rows
from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.labels import load_labels
from widgets.cells import text_of
from widgets.models import TextRow


def details(
    name: str, arguments: dict[str, Any], output: str = "", outcome: Any = "ok", diff: str = "", **data: Any
) -> EntryDetails:
    """One call, and its result."""
    call = ev.ActionStarted(call_id="c", name=name, arguments=arguments)
    started = ev.Event(1, "s", 1, 7, 1, call.kind, 1, 0, "agent", None, call)
    body = ev.ActionResult(call_id="c", outcome=outcome, output=ev.LongText(output, chars=len(output)), data=data)
    result = ev.Event(2, "s", 2, 7, 1, body.kind, 1, 0, "agent", None, body)
    changed = ((ev.FileChanged(path=str(arguments.get("path")), added=1, removed=1), diff),) if diff else ()
    return EntryDetails(anchor=started, related=(result,), output=output, diffs=changed)


def shown(found: EntryDetails, tools: dict[str, str] | None = None) -> list[TextRow]:
    return details_rows(found, load_labels(), tools or {})


def texts(rows: list[TextRow]) -> list[str]:
    return [text_of(row.line) for row in rows]


def roles(rows: list[TextRow]) -> dict[str, str]:
    return {text.strip(): role for row in rows for text, role in row.line}


def test_a_command_has_the_words_of_its_shell_and_no_arguments_that_hold_anyway_and_its_result_is_set_apart() -> None:
    told = {"command": "echo 'a' && ls", "timeout": 6.0, "background": False, "tty": False}
    rows = shown(details("run", told, "ab\n[exit code 0 after 0.1 s]"))
    assert texts(rows)[0].startswith("7.1 run  ✓ ok  ")
    assert texts(rows)[1:] == [
        "arguments ─",
        "$ echo 'a' && ls",
        "timeout  6.0",
        "output ─",
        "ab",
        "[exit code 0 after 0.1 s]",
    ]
    assert roles(rows)["'a'"] == "code-string"


def test_what_is_copied_and_paged_is_all_of_it_as_it_was_written() -> None:
    told = {"command": "echo **a**", "timeout": 120, "background": False, "tty": False}
    output = '{"a":[1,2],"b":"' + "w" * 80 + '"}'
    found = details("run", told, output)
    lines = [text_of(line) for line in details_lines(found, load_labels())]
    assert lines[1:] == [
        "", "arguments", "command: echo **a**", "timeout: 120", "background: false", "tty: false", "", "output", output,
    ]  # fmt: skip
    rendered = shown(found)
    assert output in "".join(row.raw for row in rendered) and output not in texts(rendered)


def test_a_failed_command_says_with_what_code_whoever_ran_it() -> None:
    own = shown(details("run", {"command": "make"}, "no\n[exit code 2]", "error", exit_code=2))
    foreign = shown(details("Bash", {"command": "make"}, "Exit code 2\nno"), {"Bash": "run"})
    for rows in (own, foreign):
        assert "✗ exit 2" in text_of(rows[0].line)
        assert roles(rows)["✗ exit 2"] == "error"


def test_an_edit_is_its_diff_and_not_its_arguments_once_more() -> None:
    diff = "--- a.py\n+++ a.py\n@@ -1,1 +1,1 @@\n-x = 1\n+x = 2"
    told = {"path": "a.py", "old": "x = 1", "new": "x = 2", "all": False}
    rows = shown(details("edit_file", told, "Changed.", diff=diff))
    assert texts(rows)[1:] == ["a.py +1 −1 ─", "@@ -1,1 +1,1 @@", "-x = 1", "+x = 2", "output ─", "Changed."]
    assert (roles(rows)["-x = 1"], roles(rows)["+x = 2"]) == ("remove", "add")


def test_an_edit_that_failed_shows_what_it_would_have_changed_and_says_that_it_did_not() -> None:
    told = {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}
    rows = texts(shown(details("Edit", told, "not found", "error")))
    assert rows[2] == "not made: the call failed" and "-x = 1" in rows and "+x = 2" in rows


def test_plans_thoughts_and_long_arguments_are_read_as_what_they_are() -> None:
    plan = {"todos": [{"content": "Read", "status": "completed"}, {"content": "Build", "status": "pending"}]}
    assert texts(shown(details("TodoWrite", plan)))[2:4] == ["[x] Read", "[ ] Build"]
    thought = shown(details("think", {"thought": "**So**\nit is"}, "Logged."))
    assert texts(thought)[1:4] == ["thought ─", "┊ So", "┊ it is"]
    file = shown(details("Write", {"file_path": "a.py", "content": "def f():\n    pass"}, "no space", "error"))
    assert [row.line[0][1] for row in file if text_of(row.line).startswith("+")] == ["add", "add"]
    nested = texts(shown(details("call", {"options": {"a": ["w" * 60, "x" * 60]}, "n": 1})))
    assert nested[2:4] == ["n  1", "options"] and '│   "a": [' in nested


def test_outputs_are_read_as_json_diffs_files_and_text() -> None:
    assert '  "a": 1,' in texts(shown(details("x", {}, json.dumps({"a": 1, "b": "w" * 80}))))
    listing = shown(details("read_file", {"path": "a.py"}, "     1  def f():\n     2      pass"))
    assert roles(listing)["def"] == "code-keyword"
    assert roles(shown(details("run", {"command": "cat src/a.py"}, "def f():\n    pass")))["def"] == "code-keyword"
    assert roles(shown(details("run", {"command": "ls"}, "def f():")))["def f():"] == "text"
    assert roles(shown(details("run", {"command": "ls"}, "# no head\n- x")))["# no head"] == "text", "no Markdown"


def test_why_it_was_done_is_read_first_if_it_is_brief_and_at_the_end_if_it_is_long() -> None:
    found = details("run", {"command": "ls"}, "a.py")
    for thought, first in (("Look.", True), ("Look. " * 200, False)):
        reply = ev.ModelReplied(request=1, parts=(ReasoningPart(thought),), finish="calls")
        rows = texts(shown(msgspec.structs.replace(found, reply=reply)))
        assert (rows.index("reasoning before it ─") < rows.index("output ─")) == first


def test_a_command_in_the_background_says_how_its_job_ended() -> None:
    found = details("run", {"command": "make"}, "[Started as job 3.]", background="asked", job=3)
    for ended, said, role in (
        (None, "has not ended", "text"),
        (ev.JobEnded(job=3, exit_code=2, duration_ms=62_000), "✗ exit 2 after 1 min", "error"),
        (ev.JobEnded(job=3, exit_code=0, duration_ms=2_000), "✓ exit 0 after 2.0 s", "text"),
        (ev.JobEnded(job=3, how="killed_by_agent"), "killed by agent", "text"),
    ):
        row = shown(msgspec.structs.replace(found, job=3, ended=ended))[1]
        assert row.line == (("job 3 ", "dim"), (said, role))


def test_a_good_mark_has_its_own_glyph() -> None:
    good = ev.FlagSet(flag="a", target=ev.Target(7, "call", 1), verdict="good")
    rows = texts(shown(msgspec.structs.replace(details("run", {"command": "ls"}), flags=(("human:ada", good, 0),))))
    assert rows[1].startswith("✚ good by ada")


def test_a_reply_is_markdown_its_reasoning_has_a_bar_and_its_calls_are_read_as_calls() -> None:
    parts = (
        ReasoningPart(text="Why **not**"),
        TextPart(text="## So\n- wait"),
        CallPart("c", "run", '{"command": "ls -l"}'),
    )
    body = ev.ModelReplied(request=1, parts=parts, finish="calls")
    anchor = ev.Event(1, "s", 1, 7, None, body.kind, 1, 0, "agent", None, body)
    rows = shown(EntryDetails(anchor=anchor, reply=body, reply_seq=1))
    assert text_of(rows[0].line).startswith("7 reply")
    assert texts(rows)[1:] == ["reasoning ─", "┊ Why not", "text ─", "So", "• wait", "call run ─", "$ ls -l"]


def test_a_call_that_is_no_json_stands_as_the_model_wrote_it_and_what_was_wrong_is_red_and_said_once() -> None:
    body = ev.ActionRefused(
        call_id="c", name="run", why="malformed", problem="no JSON", arguments='{"a', shown="no JSON"
    )
    anchor = ev.Event(1, "s", 1, 7, 1, body.kind, 1, 0, "agent", None, body)
    rows = shown(EntryDetails(anchor=anchor, output="no JSON"))
    assert texts(rows)[1:] == ["what the model wrote ─", '{"a', "what was wrong ─", "no JSON"]
    assert (roles(rows)["no JSON"], roles(rows)["✗ malformed"]) == ("error", "error")
