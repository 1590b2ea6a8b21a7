"""Unified diffs of files in bounded time."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

MAX_COMPARED = 3000
"""Changed regions of more lines on both sides are shown as one replacement: comparing them takes too long."""
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Diff:
    """A unified diff and how many lines it adds and removes."""

    text: str
    added: int
    removed: int


def unified(path: str, before: str, after: str) -> Diff:
    """What turns ``before`` into ``after``; an absent file is the empty text."""
    old, new = _lines(before), _lines(after)
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    same_end = 0
    while same_end < min(len(old), len(new)) - same and old[-1 - same_end] == new[-1 - same_end]:
        same_end += 1
    first = max(0, same - CONTEXT)
    tail = max(0, same_end - CONTEXT)
    old_part, new_part = old[first : len(old) - tail], new[first : len(new) - tail]
    if len(old_part) > MAX_COMPARED and len(new_part) > MAX_COMPARED:
        gone, come = old[same : len(old) - same_end], new[same : len(new) - same_end]
        body = [f"@@ -{same + 1},{len(gone)} +{same + 1},{len(come)} @@\n"]
        body += [f"-{line}" for line in gone] + [f"+{line}" for line in come]
    else:
        body = [_moved(line, first) for line in list(difflib.unified_diff(old_part, new_part, n=CONTEXT))[2:]]
    if not body:
        return Diff("", 0, 0)
    lines = [f"--- {path}\n", f"+++ {path}\n", *(_ended(line) for line in body)]
    return Diff(
        "".join(lines),
        sum(line.startswith("+") for line in body),
        sum(line.startswith("-") for line in body),
    )


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def _moved(line: str, by: int) -> str:
    """A hunk's header with its line numbers counted from the top of the file."""
    if not line.startswith("@@") or not by:
        return line
    _, old, new, rest = line.split(" ", 3)
    return f"@@ {_shifted(old, by)} {_shifted(new, by)} {rest}"


def _shifted(place: str, by: int) -> str:
    number, comma, count = place[1:].partition(",")
    return f"{place[0]}{int(number) + by}{comma}{count}"


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
