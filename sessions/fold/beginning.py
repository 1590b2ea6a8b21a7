"""Of which session another one is a branch or a child, in words."""

from __future__ import annotations

from collections.abc import Mapping

from sessions import events as ev


def say_beginning(begins: ev.Beginning | None, numbers: Mapping[str, int]) -> str:
    """``branch of 3``, or "" for a session that began by itself; ``numbers`` are those on the board, by id."""
    if begins is None:
        return ""
    number = numbers.get(begins.session)
    return f"{begins.kind} of {number}" if number else f"{begins.kind} of a session that is not in this log"
