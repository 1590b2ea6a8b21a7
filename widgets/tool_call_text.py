"""How a tool call is said in one line: ``run  python train.py``, ``edit_file  src/x.py``, ``wait  job 3``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from sessions.fold.tool_defaults import default_names
from sessions.fold.tool_edits import EditDiff, edit_diffs, read_edits
from sessions.fold.tool_roles import COMMANDS, command_of, handle_of, role_of
from widgets.glyphs import PLAN
from widgets.models import Line, Span
from widgets.sanitise import clean, clean_line

_MAIN: Final = (
    "command",
    "cmd",
    "path",
    "file_path",
    "file",
    "pattern",
    "query",
    "question",
    "url",
    "text",
    "code",
    "summary",
)
"""Arguments that say most, in this order."""

_ITEM_TEXTS: Final = ("text", "content", "step", "title", "task", "description")
_ITEM_STATES: Final = {
    "doing": "doing", "in_progress": "doing", "in progress": "doing", "active": "doing", "done": "done",
    "completed": "done", "complete": "done", "dropped": "dropped", "cancelled": "dropped", "canceled": "dropped",
}  # fmt: skip
"""How agents say where an item of their plan stands."""
NO_TOOLS: Final[Mapping[str, str]] = MappingProxyType({})
REMARKS: Final = frozenset({"description", "justification", "explanation"})
"""What a call says about its command."""
MOST_COMPARED: Final = 200_000
"""Characters of changes whose lines are told apart."""


def call_line(name: str, arguments: Mapping[str, Any], tools: Mapping[str, str] = NO_TOOLS) -> Line:
    """Name and the arguments that say most, without those that say what holds anyway, as the headline of an action.

    ``tools``: what those of the session's harness are for.
    """
    hidden = default_names(name, arguments)
    arguments = {key: value for key, value in arguments.items() if key not in hidden} if hidden else arguments
    match role_of(name, arguments, tools):
        case "run" | "wait" if command := command_of(arguments):
            rest = {key: value for key, value in arguments.items() if key not in REMARKS and key not in COMMANDS}
            return _line(name, *_split_arguments({"command": command, **rest}))
        case "wait" if handle := handle_of(arguments):
            return _line(name, clean_line(handle))
        case "edit" if edits := read_edits(arguments):
            paths = dict.fromkeys(edit.path for edit in edits)
            return _line(name, ", ".join(clean_line(path) for path in paths))
    main, rest_words = _split_arguments(arguments)
    return _line(name, main, rest_words)


def told_diffs(name: str, arguments: Mapping[str, Any], tools: Mapping[str, str] = NO_TOOLS) -> list[EditDiff]:
    """What a call changes in files, as far as its arguments tell: for tools whose changes no event tells.

    None of changes so long that telling their lines apart would take time.
    """
    if role_of(name, arguments, tools) != "edit":
        return []
    edits = read_edits(arguments)
    return edit_diffs(edits) if sum(len(edit.old or "") + len(edit.new) for edit in edits) <= MOST_COMPARED else []


def raw_call_line(name: str, arguments: str, tools: Mapping[str, str] = NO_TOOLS) -> Line:
    """The headline of a call whose arguments are a text that may be malformed or incomplete."""
    try:
        parsed = json.loads(arguments) if arguments else {}
    except ValueError:
        parsed = None
    return call_line(name, parsed, tools) if isinstance(parsed, dict) else _line(name, clean_line(arguments))


def held_reply(reason: str, tools: Mapping[str, str] = NO_TOOLS) -> tuple[str, str]:
    """The reason of a session that holds a reply: what it is, and what the reply would do, as its row would say it."""
    what, _, reply = reason.partition(": ")
    name, _, arguments = reply.partition(" ")
    if arguments.startswith("{"):
        reply = "".join(text for text, _ in raw_call_line(name, arguments, tools))
    return clean_line(what), reply


def plan_lines(arguments: Mapping[str, Any]) -> list[Line]:
    """The plan that a call writes down, a line for each of its items with its mark; none for a call that is no plan."""
    for value in arguments.values():
        if isinstance(value, list) and value and all(isinstance(item, dict) and "status" in item for item in value):
            found = [(_ITEM_STATES.get(str(item["status"]).lower(), "todo"), _item_text(item)) for item in value]
            if all(text for _, text in found):
                return [((f"{PLAN[state].glyph} ", "dim"), (text, PLAN[state].role)) for state, text in found]
    return []


def _item_text(item: Mapping[str, Any]) -> str:
    return next((clean_line(text) for key in _ITEM_TEXTS if isinstance(text := item.get(key), str)), "")


def argument_lines(arguments: Mapping[str, Any], limit: int = 200) -> list[Line]:
    """All arguments, one name per line, long values below it; at most ``limit`` lines."""
    lines: list[Line] = []
    for key, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        name: Span = (f"{clean_line(str(key), 80)}  ", "dim")
        rows = clean(text).split("\n")
        if len(rows) == 1:
            lines.append((name, (rows[0], "text")))
        else:
            lines.append((name,))
            lines.extend((("  " + row, "text"),) for row in rows)
        if len(lines) > limit:
            return [*lines[:limit], (("…", "dim"),)]
    return lines


def _line(name: str, main: str, rest: str = "") -> Line:
    """What says most in plain, the rest dim: where room is short, a painter leaves the rest out."""
    spans: list[Span] = [(clean_line(name, 60) or "(no tool)", "call")]
    if main:
        spans.append((f"  {main}", "text"))
    if rest:
        spans.append((f"  {rest}", "dim"))
    return tuple(spans)


def _split_arguments(arguments: Mapping[str, Any]) -> tuple[str, str]:
    rest = dict(arguments)
    parts: list[str] = []
    job = rest.pop("job", rest.pop("job_id", None))
    if job is not None:
        parts.append(f"job {clean_line(str(job), 40)}")
    main = next((key for key in _MAIN if key in rest), None)
    if main is not None:
        parts.append(clean_line(str(rest.pop(main))))
    if rest.get("seconds") is not None:
        parts.append(f"{clean_line(str(rest.pop('seconds')), 20)} s")
    more: list[str] = []
    for key, value in rest.items():
        if value is False:
            continue
        if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 40):
            more.append(f"{clean_line(str(key), 40)}={clean_line(str(value), 60)}")
        elif isinstance(value, list):
            more.append(f"{clean_line(str(key), 40)}: {len(value)}")
    return "  ".join(part for part in parts if part), "  ".join(more)
