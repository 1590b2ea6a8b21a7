"""What of a user turn a person said, and what a harness put there: environment, IDE, commands, reminders, hand-offs.

The prompt keeps all of it, as the model read it. The task, its title and advice are the person's words alone.
"""

from __future__ import annotations

import re
from typing import Final

# fmt: off
ELEMENTS: Final = frozenset({
    "additional_context", "agent-notification", "apps_instructions", "background-task-input", "bash-input",
    "bash-stderr", "bash-stdout", "channel", "collaboration_mode", "command-args", "command-contents",
    "command-message", "command-name", "context_window", "cross-session-message", "current_note",
    "editor_context", "editor_selection", "environment_context", "environment_details", "fork-boilerplate",
    "git_status", "goal_context", "hook_prompt", "ide_diagnostics", "ide_opened_file", "ide_selection",
    "ide_state", "internal_context", "local-command-caveat", "local-command-stderr", "local-command-stdout",
    "mcp-polling-update", "mcp-resource-update", "model_switch", "multi_agent_mode", "new-diagnostics",
    "open_and_recently_viewed_files", "open_files", "permissions", "persisted-output", "personality_spec",
    "plugins_instructions", "post-tool-use-hook", "project_layout", "realtime_conversation",
    "recently_viewed_files", "remote-review", "rules", "session-start-hook", "session_context", "skill",
    "skills_instructions", "state_snapshot", "subagent_notification", "system-reminder", "system_reminder",
    "task-notification", "teammate-message", "tick", "token_budget", "tool_use_error", "turn_aborted",
    "user-memory-input", "user-prompt-submit-hook", "user_action", "user_info", "user_instructions",
    "user_shell_command", "workspace_context", "workspace_info",
})
# fmt: on
"""Elements that harnesses are known to write into user turns, at the beginning, at the end or alone."""
_WRAPPERS: Final = re.compile(r"user_(?:query|request|message|prompt)|advice(?:-\w+)?|real_user")
"""Elements around what a person said; ``advice-…`` is our own."""
OPENINGS: Final = (
    "Caveat:",
    "[Request interrupted by user",
    "[Request cancelled",
    "[SYSTEM NOTIFICATION",
    "[Image: source:",
    "# AGENTS.md instructions",
    "# CLAUDE.md instructions",
    "# GEMINI.md instructions",
    "This session is being continued from a previous conversation",
    "Another language model started to solve this problem",
    "You were originally given instructions from a user over one or more turns",
    "Stop hook feedback",
    "Base directory for this skill:",
    "The user opened the file ",
    "The user selected the lines ",
    "Warning: The maximum number of unified exec processes",
    "Warning: apply_patch was requested via",
    "This is the Gemini CLI. We are setting up the context for our chat",
    "Continue from where you left off.",
    "System: Please continue.",
)
"""How user turns begin that no person wrote."""
HAND_OFFS: Final = (
    "This session is being continued from a previous conversation",
    "Another language model started to solve this problem",
    "You were originally given instructions from a user over one or more turns",
)
"""How summaries begin that one context hands to the next."""
_REQUEST: Final = re.compile(r"^## My request(?: for \w+)?:?[ \t]*$", re.M)
"""Codex's IDE extension puts the request under this heading."""
_IDE: Final = "# Context from my IDE"
_FIRST: Final = re.compile(r"<([A-Za-z][\w-]*)(?:\s[^<>]*)?>")
_COMMAND: Final = re.compile(r"<command-name>\s*(.*?)\s*</command-name>", re.S)
_ARGUMENTS: Final = re.compile(r"<command-args>\s*(.*?)\s*</command-args>", re.S)


def person_words(text: str) -> str:
    """The words of ``text`` that a person said; "" if a harness wrote all of it.

    ``"<ide_selection>…</ide_selection>\\n\\nFix this."`` gives ``"Fix this."``.
    """
    left = text.strip()
    if left.startswith(_IDE) and (found := _REQUEST.search(left)):
        left = left[found.end() :].strip()
    left = _without_elements(left)
    if left.startswith(OPENINGS):
        return ""
    return left


def is_hand_off(text: str) -> bool:
    """Whether the turn is a summary that an earlier context left to this one."""
    return text.lstrip().startswith(HAND_OFFS)


def command_words(text: str) -> str:
    """A slash command as a person typed it, "" if the turn is none: ``/review PR 12``."""
    name = _COMMAND.search(text)
    if name is None or not name[1]:
        return ""
    arguments = _ARGUMENTS.search(text)
    command = name[1] if name[1].startswith("/") else f"/{name[1]}"
    return f"{command} {arguments[1] if arguments else ''}".strip()


def _without_elements(text: str) -> str:
    """The text without the harness's elements before and after it, and out of the element around what a person said."""
    left, before = text, ""
    while left != before:
        before = left
        left = _cut_first(left)
        left = _cut_last(left)
    if _is_all_elements(left):
        return ""
    return left


def _cut_first(text: str) -> str:
    first = _FIRST.match(text)
    if first is None:
        return text
    name = first[1].lower()
    end = _end_of(text, name, first.end())
    if end is None:
        return text
    if _WRAPPERS.fullmatch(name) and end == len(text):
        return text[first.end() : text.rindex("</")].strip()
    return text[end:].strip() if name in ELEMENTS else text


def _cut_last(text: str) -> str:
    if not text.endswith(">"):
        return text
    opened = text.rfind("</")
    name = text[opened + 2 : -1].strip().lower()
    if opened < 0 or name not in ELEMENTS:
        return text
    starts = [found.start() for found in _FIRST.finditer(text) if found[1].lower() == name]
    return text[: starts[-1]].strip() if starts else text


def _is_all_elements(text: str) -> bool:
    """Whether nothing but elements is left, whose names say that a program made them (``some_context``)."""
    if not text.startswith("<"):
        return False
    while text:
        first = _FIRST.match(text)
        if first is None or not ("_" in first[1] or "-" in first[1] or first[1].lower() in ELEMENTS):
            return False
        end = _end_of(text, first[1].lower(), first.end())
        if end is None:
            return False
        text = text[end:].strip()
    return True


def _end_of(text: str, name: str, start: int) -> int | None:
    """Where the element ends that began before ``start``; None if it does not end."""
    found = re.compile(rf"</{re.escape(name)}\s*>", re.I).search(text, start)
    return found.end() if found else None
