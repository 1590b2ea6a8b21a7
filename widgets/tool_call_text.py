"""How a tool call is said in one line: ``run  python train.py``, ``edit_file  src/x.py``, ``wait  job 3``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

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

_SLEEPS: Final = re.compile(r"^\s*sleep\s+[\d.]+\s*(?:[;&]|$)")

POLLING: Final = frozenset({"wait", "job_output", "sleep", "get_session_output", "check_session", "session_output"})
"""Tools that only look whether something has moved."""


def call_line(name: str, arguments: Mapping[str, Any]) -> Line:
    """Name and the arguments that say most, as the headline of an action."""
    main, rest = _split_arguments(arguments)
    return _line(name, main, rest)


def raw_call_line(name: str, arguments: str) -> Line:
    """The headline of a call whose arguments are a text that may be malformed or incomplete."""
    try:
        parsed = json.loads(arguments) if arguments else {}
    except ValueError:
        parsed = None
    return call_line(name, parsed) if isinstance(parsed, dict) else _line(name, clean_line(arguments))


def polls(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the call only waits or looks."""
    command = arguments.get("command")
    return name in POLLING or (isinstance(command, str) and _SLEEPS.match(command[:200]) is not None)


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
