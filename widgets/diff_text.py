"""Diffs as lines: added ones green with ``+``, removed ones red with ``-``; the sign stays, colour is not alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from widgets.models import Line, Role
from widgets.sanitise import clean

LINE_LIMIT: Final = 4000
"""Characters of a line."""

_HUNK: Final = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_HEADS: Final = ("diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "similarity ", "rename ", "old mode",
                 "new mode", "Binary files ")  # fmt: skip


def diff_lines(diff: str, limit: int = 2000) -> list[Line]:
    """A diff as lines, at most ``limit``; every line of it belongs to the diff."""
    lines: list[Line] = []
    for row in clean(diff).split("\n")[:limit]:
        role: Role = "text"
        if row.startswith(("---", "+++", "@@", "diff ")):
            role = "dim"
        elif row.startswith("+"):
            role = "add"
        elif row.startswith("-"):
            role = "remove"
        lines.append(((row[:LINE_LIMIT], role),))
    return lines


def changed_rows(diff: str, most: int) -> tuple[Line, ...]:
    """The first ``most`` lines that a diff adds or removes; if there are more, the last row says how many."""
    # The names of the files at its head begin as changes do; what is removed may begin so too, further down.
    rows = clean(diff).split("\n")
    body = rows[2:] if rows[0].startswith("--- ") and len(rows) > 1 and rows[1].startswith("+++ ") else rows
    changed = [row for row in body if row.startswith(("+", "-"))]
    shown: list[Line] = [((row[:LINE_LIMIT], "add" if row[0] == "+" else "remove"),) for row in changed[:most]]
    if len(changed) > most:
        shown.append(((f"… {len(changed) - most:,} more changed lines", "dim"),))
    return tuple(shown)


def holds_diff(lines: Iterable[str]) -> bool:
    """Whether lines have a unified diff in them."""
    return any(_HUNK.match(row) for row in lines)


def roles_in_output(rows: Iterable[str]) -> Iterator[Role]:
    """The role of each row of an output with diffs in it. What stands outside the hunks, as they count, is text."""
    old = new = 0
    for row in rows:
        if hunk := _HUNK.match(row):
            old, new = (1 if count is None else int(count) for count in hunk.groups())
            yield "dim"
        elif old > 0 and row.startswith("-"):
            old -= 1
            yield "remove"
        elif new > 0 and row.startswith("+"):
            new -= 1
            yield "add"
        elif old > 0 and new > 0 and row[:1] in ("", " "):
            old, new = old - 1, new - 1
            yield "text"
        elif row.startswith("\\ No newline"):
            yield "dim"
        else:
            old = new = 0
            yield "dim" if row.startswith(_HEADS) else "text"
