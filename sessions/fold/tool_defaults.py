"""What our own tools take where a call does not say it. The log keeps arguments whole, defaults included. Pure.

A test holds the table against the tools: what reads logs does not load them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_OWN: Final[Mapping[str, tuple[frozenset[str], Mapping[str, Any]]]] = {
    "run": (frozenset({"command"}), {"timeout": 120, "background": False, "tty": False}),
    "job_output": (frozenset({"job"}), {"lines": 50, "since": None}),
    "job_input": (frozenset({"job", "text"}), {"eof": False}),
    "wait": (frozenset(), {"seconds": None, "job": None}),
    "read_file": (frozenset({"path"}), {"start": 1, "lines": 500}),
    "edit_file": (frozenset({"path", "old", "new"}), {"all": False}),
    "ask_human": (frozenset({"question"}), {"timeout_minutes": 30}),
    "search": (frozenset({"pattern"}), {"path": ".", "glob": None}),
}
"""Per tool: what every call must say, and what the others are if it does not."""


def default_names(name: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """The arguments of a call that say only what holds anyway: defaults of our tools, and values that are null.

    >>> sorted(default_names("run", {"command": "ls", "timeout": 120, "background": False, "tty": True}))
    ['background', 'timeout']
    """
    empty = {key for key, value in arguments.items() if value is None}
    needed, defaults = _OWN.get(name, (frozenset(), {}))
    # A tool of another agent may have the same name: ours are logged with all of their arguments.
    if arguments.keys() != needed | defaults.keys():
        return frozenset(empty)
    same = {key for key, value in defaults.items() if _is_same(arguments[key], value)}
    return frozenset(empty | same)


def _is_same(told: Any, default: Any) -> bool:
    return bool(told == default) and isinstance(told, bool) == isinstance(default, bool)
