from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessions.fold.tool_edits import edit_diffs, read_edits
from sessions.fold.tool_roles import command_of, is_poll, kills, role_of
from sessions.gateway.agents import read_agents

PRESETS = read_agents(Path("no folder of a config"))
PATCH = """*** Begin Patch
*** Update File: src/a.py
@@ def f():
 def f():
-    return 1
+    return 2
*** Add File: b.txt
+new
*** End Patch"""


@pytest.mark.parametrize(
    ("agent", "name", "arguments", "role"),
    [
        ("claude-code", "Bash", {"command": "make", "description": "Build"}, "run"),
        ("claude-code", "Bash", {"command": "sleep 60 && tail -n 5 train.log"}, "wait"),
        ("claude-code", "Bash", {"command": "sleep 5; make test"}, "run"),
        ("claude-code", "BashOutput", {"bash_id": "b1"}, "wait"),
        ("claude-code", "Edit", {"file_path": "a.py", "old_string": "x", "new_string": "y"}, "edit"),
        ("claude-code", "Read", {"file_path": "a.py"}, ""),
        ("claude-code", "Task", {"prompt": "look"}, ""),
        ("codex", "shell", {"command": ["bash", "-lc", "make"]}, "run"),
        ("codex", "exec_command", {"cmd": "sleep 10m", "yield_time_ms": 1000}, "wait"),
        ("codex", "write_stdin", {"session_id": 3, "chars": ""}, "wait"),
        ("codex", "write_stdin", {"session_id": 3, "chars": "y\n"}, "run"),
        ("codex", "apply_patch", {"input": PATCH}, "edit"),
        ("opencode", "edit", {"filePath": "a.py", "oldString": "x", "newString": "y"}, "edit"),
        ("qwen-code", "replace", {"file_path": "a.py", "old_string": "x", "new_string": "y"}, "edit"),
        ("mini-swe-agent", "bash", {"command": "ls"}, "run"),
        ("innovatorbench", "sleep", {"sleep_time": 60}, "wait"),
        ("innovatorbench", "run_command", {"command": "python train.py", "session_id": "s"}, "run"),
        # a person's own program, our own agent, recordings: no table
        ("", "execute", {"command": "ls"}, "run"),
        ("", "edit_file", {"path": "a.py", "old": "x", "new": "y"}, "edit"),
        ("", "str_replace_editor", {"command": "view", "path": "a.py"}, ""),
        ("", "str_replace_editor", {"command": "create", "path": "a.py", "file_text": "x"}, "edit"),
        ("", "get_session_output", {"session_id": "s"}, "wait"),
        ("", "job_kill", {"job": 7}, ""),
    ],
)
def test_what_a_call_is_for(agent: str, name: str, arguments: dict[str, Any], role: str) -> None:
    assert role_of(name, arguments, PRESETS[agent].tools if agent else {}) == role


def test_a_wait_for_a_job_is_no_poll_and_any_other_wait_is() -> None:
    assert is_poll("wait", {"seconds": 5}, {}) and not is_poll("wait", {"job": 3}, {})
    assert is_poll("look", {}, {"look": "wait"}) and not is_poll("look", {}, {})


def test_the_command_of_a_call_has_no_shell_around_it() -> None:
    assert command_of({"command": ["/bin/bash", "-lc", "ls | wc"]}) == "ls | wc"
    assert command_of({"command": ["git", "commit", "-m", "a b"]}) == "git commit -m 'a b'"
    assert command_of({"cmd": "ls"}) == "ls" and command_of({"command": [], "text": "x"}) == ""


def test_a_call_that_kills_is_known_by_its_name_or_by_what_it_types() -> None:
    assert kills("KillShell", {"shell_id": "b1"}) and kills("write_stdin", {"session_id": 3, "chars": "\x03"})
    assert not kills("write_stdin", {"session_id": 3, "chars": "y"})


@pytest.mark.parametrize(
    ("arguments", "diffs"),
    [
        ({"file_path": "a.py", "old_string": "x\ny", "new_string": "x\nz"}, [("a.py", " x\n-y\n+z", 1, 1)]),
        ({"filePath": "a.py", "oldString": "", "newString": "z"}, [("a.py", "+z", 1, 0)]),
        ({"path": "a", "edits": [{"old": "1", "new": "2"}, {"old": "3", "new": ""}]}, [("a", "-1\n+2\n@@\n-3", 1, 2)]),
        ({"file_path": "a.py", "content": "one\ntwo\n"}, [("a.py", "+one\n+two", 2, 0)]),
        ({"path": "a.py", "start": 3, "end": 4, "content": "x"}, [("a.py", "@@ lines 3 to 4\n+x", 1, 0)]),
        ({"filename": "a.py", "content": "x"}, [("a.py", "+x", 1, 0)]),
        ({"input": PATCH}, [("src/a.py", " def f():\n-    return 1\n+    return 2", 1, 1), ("b.txt", "+new", 1, 0)]),
        ({"path": "a.py"}, []),
        ({"path": "a.py", "edits": ["x", {"old": 1}]}, []),
        ({"input": "y\n"}, []),
    ],
)  # fmt: skip
def test_what_a_call_changes_is_read_from_what_it_is_told(
    arguments: dict[str, Any], diffs: list[tuple[str, str, int, int]]
) -> None:
    found = edit_diffs(read_edits(arguments))
    assert [(diff.path, diff.text, diff.added, diff.removed) for diff in found] == diffs
