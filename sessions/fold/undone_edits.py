"""A text as it was before edits whose diffs the log has: each is taken back, and its hash checked. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final

from sessions import events as ev
from sessions.fold.file_history import Edit

_HUNK: Final = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NO_END: Final = "\\ No newline at end of file"


class CannotUndo(Exception):
    """An edit cannot be taken back; the text says why."""


def text_before(now: bytes | None, edits: Sequence[Edit], full_text: Callable[[ev.LongText], str]) -> bytes | None:
    """What a file held before ``edits`` (in order), which made it what it is ``now`` (None: there is none).

    Raises CannotUndo where something else changed it in between, or a diff is not whole.
    """
    held = now
    for edit in reversed(edits):
        if _hash(held) != edit.after:
            place = f"{edit.step}.{edit.call}" if edit.step else "an edit"
            raise CannotUndo(f"something else has changed it since {place}")
        if edit.before is None:
            held = None
            continue
        diff = full_text(edit.diff) if edit.diff is not None else ""
        if edit.diff is not None and edit.diff.lost:
            raise CannotUndo("the diff of an edit was too long to be kept whole")
        held = _take_back((held or b"").decode(errors="replace"), diff).encode()
        if _hash(held) != edit.before:
            raise CannotUndo("an edit of it cannot be taken back exactly: it is no plain text")
    return held


def _hash(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _take_back(text: str, diff: str) -> str:
    """``text`` before the unified ``diff`` was applied. Raises CannotUndo if they do not fit."""
    *lines, rest = text.split("\n")
    have = [f"{line}\n" for line in lines] + ([rest] if rest else [])
    made: list[str] = []
    at = 0
    for start, old, new in _hunks(diff):
        if start < at or have[start : start + len(new)] != new:
            raise CannotUndo("a diff in the log does not fit what the file holds")
        made += have[at:start] + old
        at = start + len(new)
    return "".join(made + have[at:])


def _hunks(diff: str) -> list[tuple[int, list[str], list[str]]]:
    """Where each hunk begins in the new text (line from 0), its old and its new lines."""
    found: list[tuple[int, list[str], list[str]]] = []
    sides: list[list[str]] = []
    for line in diff.split("\n"):
        if (head := _HUNK.match(line)) is not None:
            # Of no lines, the header names the line before.
            start = int(head[3]) - (0 if head[4] == "0" else 1)
            found.append((start, [], []))
        elif line == _NO_END:
            for side in sides:
                side[-1] = side[-1].removesuffix("\n")
        elif found and line[:1] in (" ", "-", "+"):
            _, old, new = found[-1]
            sides = {" ": [old, new], "-": [old], "+": [new]}[line[0]]
            for side in sides:
                side.append(f"{line[1:]}\n")
    return found
