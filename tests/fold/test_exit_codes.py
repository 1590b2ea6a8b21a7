from __future__ import annotations

import json
from typing import Any

import pytest

from sessions import events as ev
from sessions.fold.exit_codes import exit_code
from sessions.fold.tool_defaults import default_names
from sessions.fold.tool_roles import thought_of
from sessions.tools.registry import TOOLS, as_json, decode


@pytest.mark.parametrize(
    ("text", "data", "code"),
    [
        ("whatever", {"exit_code": 2}, 2),
        ("exit 3", {"exitCode": 0}, 0),
        ("Exit code: 1\nWall time: 2 s\nOutput:\nno", {}, 1),
        ("Exit code 127\nsh: x: not found", {}, 127),
        ("<returncode>0</returncode>\n<output>\nexit 1\n</output>", {}, 0),
        ("Process exited with code -9\nOutput:", {}, -9),
        ("no such file\n(exit 1)", {}, 1),
        ("FAILED\n[exit code 5 after 0.4 s]\n", {}, 5),
        ("all is well\n", {}, None),
        ("please exit 1 of them", {}, None),
        ("", {}, None),
        ("", {"exit_code": None}, None),
    ],
)
def test_the_exit_code_is_told_in_a_field_or_in_the_words_of_a_harness(
    text: str, data: dict[str, Any], code: int | None
) -> None:
    result = ev.ActionResult(call_id="c", outcome="ok", output=ev.LongText(text, chars=len(text)), data=data)
    assert exit_code(result) == code


LEAST: dict[str, str] = {
    "run": '{"command": "ls"}',
    "job_output": '{"job": 1}',
    "job_input": '{"job": 1, "text": "y"}',
    "job_kill": '{"job": 1}',
    "wait": "{}",
    "read_file": '{"path": "a"}',
    "write_file": '{"path": "a", "content": "b"}',
    "edit_file": '{"path": "a", "old": "b", "new": "c"}',
    "search": '{"pattern": "a"}',
    "plan": '{"items": [{"text": "a"}]}',
    "evaluate": "{}",
    "ask_human": '{"question": "a"}',
    "finish": '{"summary": "a"}',
}


@pytest.mark.parametrize("name", list(TOOLS))
def test_what_a_call_of_our_tools_did_not_say_is_known_as_a_default(name: str) -> None:
    arguments = decode(name, LEAST[name])
    told = as_json(arguments)  # type: ignore[arg-type]
    assert told.keys() - default_names(name, told) == json.loads(LEAST[name]).keys()


def test_values_of_its_own_and_calls_of_other_tools_with_the_same_name_are_shown() -> None:
    told = {"command": "ls", "timeout": 6.0, "background": True, "tty": False}
    assert default_names("run", told) == {"tty"}
    assert default_names("run", {"command": "ls", "timeout": 120}) == set(), "not one of ours: they are logged whole"
    assert default_names("Bash", {"command": "ls", "timeout": None}) == {"timeout"}


def test_a_thought_is_told_by_the_name_of_its_tool() -> None:
    assert thought_of("think", {"thought": "so"}) == "so"
    assert thought_of("mcp__x__sequential_thinking", {"thought": "so", "nextThoughtNeeded": True}) == "so"
    assert (thought_of("think", {}), thought_of("write", {"thought": "so"})) == ("", "")
