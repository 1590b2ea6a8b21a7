"""What a call is for, whoever's tool it is: it runs a command, edits files, or only looks or waits. Pure.

A harness's preset says which of its tools do what (``Harness.tools``); what a call is told decides the rest. Sessions
without such a table, our own and recordings, go by the names below and by the form of the arguments.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final, Literal

from sessions.fold.tool_edits import read_edits

Role = Literal["run", "edit", "wait", ""]

WAITS: Final = frozenset(
    {"job_output", "wait", "sleep", "get_session_output", "get_session_recent_output", "get_session_status",
     "check_session", "check_session_idle", "list_sessions", "session_output"}
)  # fmt: skip
"""Tools that only look or wait, where no table says so."""

THINKS: Final = frozenset({"think", "thinking", "thought", "sequentialthinking", "scratchpad"})
"""Tools that only take a thought, without the name of their server and without underscores."""
THOUGHTS: Final = ("thought", "thoughts", "thinking", "text", "content", "reasoning")
"""Arguments that hold it."""
COMMANDS: Final = ("command", "cmd")
"""Arguments that hold a command: a text, or its words."""
TYPED: Final = ("chars", "input")
"""Arguments that hold what is typed into a program that runs: without any, a call only looks."""
HANDLES: Final = ("bash_id", "shell_id", "session_id", "task_id")
"""Arguments by which a harness calls what it runs in the background."""
LOOKS: Final = frozenset(
    {"cat", "tail", "head", "grep", "ls", "ps", "pgrep", "jobs", "wc", "echo", "date", "nvidia-smi", "squeue", "sleep"}
)
"""Commands after a ``sleep`` that make it a look and no work."""
MOST_LOOKED_AT: Final = 400
"""Characters of a command that say whether it only waits."""

_SLEEPS: Final = re.compile(r"\s*sleep\s+[\d.]+[smhd]?\s*(?=[;&\n]|$)")
_PARTS: Final = re.compile(r"&&|[;|&\n]")
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash"})


def role_of(name: str, arguments: Mapping[str, Any], tools: Mapping[str, str]) -> Role:
    """What the call is for, "" for what is none of these. ``tools``: the table of the session's harness.

    >>> role_of("Bash", {"command": "sleep 60; tail train.log"}, {"Bash": "run"})
    'wait'
    """
    known = tools.get(name) or ("wait" if name in WAITS else "")
    if known == "wait":
        return "run" if any(arguments.get(key) for key in TYPED) else "wait"
    if known == "edit" or (not known and read_edits(arguments)):
        return "edit"
    command = command_of(arguments)
    if known == "run" or (not known and command and "path" not in arguments):
        return "wait" if only_waits(command) else "run"
    return ""


def thought_of(name: str, arguments: Mapping[str, Any]) -> str:
    """What a call thinks that does nothing else, "" for every other call.

    >>> thought_of("mcp__x__sequentialthinking", {"thought": "First the data.", "thoughtNumber": 1})
    'First the data.'
    """
    if name.rpartition("__")[2].lower().replace("_", "") not in THINKS:
        return ""
    return next((text for key in THOUGHTS if isinstance(text := arguments.get(key), str) and text.strip()), "")


def is_poll(name: str, arguments: Mapping[str, Any], tools: Mapping[str, str]) -> bool:
    """Whether the call only looks or waits. A ``wait`` for a job is no poll: it is the cure for it."""
    return role_of(name, arguments, tools) == "wait" and not (name == "wait" and arguments.get("job"))


def command_of(arguments: Mapping[str, Any]) -> str:
    """The command that a call runs, without the shell around it; "" if it has none.

    >>> command_of({"command": ["bash", "-lc", "make test"]})
    'make test'
    """
    for key in COMMANDS:
        command = arguments.get(key)
        if isinstance(command, str) and command:
            return command
        if isinstance(command, list) and command:
            words = [str(word) for word in command]
            in_shell = len(words) == 3 and words[0].rpartition("/")[2] in _SHELLS and words[1].startswith("-")
            return words[2] if in_shell else shlex.join(words)
    return ""


def only_waits(command: str) -> bool:
    """Whether a command sleeps first, and then at most looks."""
    begin = command[:MOST_LOOKED_AT]
    if _SLEEPS.match(begin) is None:
        return False
    words = (part.split() for part in _PARTS.split(begin))
    return all(part[0] in LOOKS for part in words if part)


def same_call(name: str, arguments: Mapping[str, Any], tools: Mapping[str, str]) -> Any:
    """What makes two calls of a tool the same one: of a command its text, of other calls all that they are told."""
    role = role_of(name, arguments, tools)
    return command_of(arguments) or arguments if role == "run" else arguments


def handle_of(arguments: Mapping[str, Any]) -> str:
    """What a harness calls the program in the background that the call is about, "" for none."""
    found = (arguments.get(key) for key in HANDLES)
    return next((str(handle)[:80] for handle in found if isinstance(handle, str | int) and handle != ""), "")


def kills(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the call ends a program in the background: by its name, or by the ctrl+c that it types."""
    typed = next((value for key in TYPED if isinstance(value := arguments.get(key), str)), "")
    return "kill" in name.lower() or "\x03" in typed
