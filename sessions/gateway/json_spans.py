"""Where the members of a JSON text stand in it, so that it can be taken apart and put together byte for byte."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner; typeshed does not list it
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_VALUE: Final = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Span:
    """A value and where it stands: ``text[start:end]``. ``begin``: where its member begins, with its key and comma."""

    begin: int
    start: int
    end: int
    value: Any


def find_members(text: str, start: int = 0) -> tuple[dict[str, Span], int]:
    """The members of the object that begins at ``start``, and where it ends. Raises ValueError for what is none.

    Of a key that is there twice the last one counts, as for every reader.

    >>> members, end = find_members('{"a": 1, "b": [2]}')
    >>> members["b"]
    Span(begin=7, start=14, end=17, value=[2])
    """
    found: dict[str, Span] = {}
    at = _skip(text, start)
    if text[at : at + 1] != "{":
        raise ValueError("no JSON object")
    at += 1
    begin, at = at, _skip(text, at)
    while text[at : at + 1] == '"':
        key, at = scanstring(text, at + 1)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError("a key without a value")
        value_at = _skip(text, at + 1)
        value, at = _VALUE(text, value_at)
        found[key] = Span(begin, value_at, at, value)
        begin, at = at, _skip(text, at)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    if text[at : at + 1] != "}":
        raise ValueError("an object that does not end")
    return found, at + 1


def find_items(text: str, start: int) -> list[Span]:
    """The items of the array that begins at ``start``; each begins with the bracket or comma before it."""
    found: list[Span] = []
    begin, at = start, _skip(text, start + 1)
    while text[at : at + 1] not in ("]", ""):
        value, end = _VALUE(text, at)
        found.append(Span(begin, at, end, value))
        begin, at = end, _skip(text, end)
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    if text[at : at + 1] != "]":
        raise ValueError("an array that does not end")
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()
