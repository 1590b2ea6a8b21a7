"""A person's words where a model's server wants user and assistant in turn: joined to a turn that is there already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sessions.events import Mark
from sessions.events.text import Blob
from sessions.gateway.dialects.system_text import as_written
from sessions.gateway.json_spans import find_members
from sessions.gateway.units import Unit, identify, is_block


def find_turn(units: Sequence[Unit]) -> int | None:
    """The place of the newest text of the user's, None: there is none that takes words."""
    own = (place for place in reversed(range(len(units))) if units[place].role == "user")
    return next((place for place in own if units[place].kind == "text" and _text_of(units[place]) is not None), None)


def join_words(unit: Unit, words: str) -> Unit | None:
    """The unit with ``words`` at the end of its text, an empty line before them; None if it has no text.

    What the harness wrote of it is known by ``own``; its marks stay where they stood.
    """
    text = _text_of(unit)
    if text is None:
        return None
    key, before = text
    end = (find_members(unit.text)[0][key].end if key else len(unit.text)) - 1  # before the quote
    added, both = as_written(words), f"{before}\n\n{words}"
    value: Any = {**unit.value, key: both} if key else both
    marks = tuple(Mark(mark.offset + len(added) * (mark.offset > end), mark.text) for mark in unit.marks)
    grown = f"{unit.text[:end]}{added}{unit.text[end:]}"
    return replace(unit, text=grown, value=value, identity=identify(value), marks=marks, own=unit.own or hash_of(unit))


def hash_of(unit: Unit) -> str:
    """By which the log knows what the harness wrote."""
    return unit.own or Blob.of(unit.text.encode()).hash


def without_words(body: bytes, words: str) -> bytes:
    """A request without words that were joined to a turn of it."""
    return body.replace(as_written(words).encode(), b"")


def _text_of(unit: Unit) -> tuple[str, str] | None:
    """The key of a unit's text ("": it is one), and the text."""
    if isinstance(unit.value, str):
        return "", json.loads(unit.text)
    key = "text" if is_block(unit) else "content"
    text = unit.value.get(key) if isinstance(unit.value, dict) else None
    return (key, text) if isinstance(text, str) else None
