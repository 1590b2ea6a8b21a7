"""One paragraph more in the system prompt of a request, wherever its dialect keeps that; all else stays as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sessions.gateway.json_spans import find_members
from sessions.gateway.units import Unit, WireRequest, identify, is_block

_KEY: Final = re.compile(r'[\s,{]*"(system|instructions)"\s*:\s*')
_VALUE: Final = json.JSONDecoder().raw_decode


def add_to_field(request: WireRequest, key: str, note: str) -> WireRequest | None:
    """With ``note`` at the end of the member ``key``, a text or a list of blocks; None if it is neither, or not there.

    >>> request = WireRequest(('{"system":"Be brief.",', '"messages":'), (), ('[]}',), {})
    >>> add_to_field(request, "system", "Ask.").body()
    b'{"system":"Be brief.\\\\n\\\\nAsk.","messages":[]}'
    """
    for where in ("before", "after"):
        pieces = list(getattr(request, where))
        for place, piece in enumerate(pieces):
            found = _KEY.match(piece)
            if found is None or found[1] != key:
                continue
            value, end = _VALUE(piece, found.end())
            cut = _add_to(value, piece[:end], note)
            if cut is None:
                return None
            pieces[place] = cut + piece[end:]
            grown = f"{value}\n\n{note}" if isinstance(value, str) else [*value, {"type": "text", "text": note}]
            return replace(request, fields={**request.fields, key: grown}, **{where: tuple(pieces)})
    return None


def add_to_first_unit(request: WireRequest, note: str) -> WireRequest | None:
    """With ``note`` at the end of the system message that the conversation begins with; None if it does not."""
    units = list(request.units)
    last = next((place for place, unit in enumerate(units) if unit.role not in ("system", "developer")), len(units)) - 1
    if last < 0:
        return None
    while last > 0 and not _begins_message(units[last]):
        last -= 1
    # The first message alone: some templates take no second one.
    first = next((place for place in range(1, last + 1) if _begins_message(units[place])), last + 1) - 1
    changed = _with_note(units[first], note)
    if changed is None:
        return None
    units[first] = changed
    return replace(request, units=tuple(units))


def _begins_message(unit: Unit) -> bool:
    return not is_block(unit) or "{" in unit.lead


def _with_note(unit: Unit, note: str) -> Unit | None:
    """The last unit of a system message, with the note: in its text, or in the text of its block."""
    key = "text" if is_block(unit) else "content"
    if not isinstance(unit.value, dict) or not isinstance(unit.value.get(key), str) or unit.marks:
        return None
    span = find_members(unit.text)[0][key]
    text = _grow(unit.text[: span.end], note) + unit.text[span.end :]
    value: dict[str, Any] = {**unit.value, key: f"{span.value}\n\n{note}"}
    return replace(unit, text=text, value=value, identity=identify(value))


def _add_to(value: Any, text: str, note: str) -> str | None:
    if isinstance(value, str):
        return _grow(text, note)
    if isinstance(value, list) and _is_blocks(value):
        block = json.dumps({"type": "text", "text": note}, ensure_ascii=False)
        return f"{text[:-1]}{',' if value else ''}{block}]"
    return None


def _is_blocks(value: Sequence[Any]) -> bool:
    return all(isinstance(block, dict) for block in value)


def as_written(note: str) -> str:
    """The note as it stands in a JSON text."""
    return json.dumps(f"\n\n{note}", ensure_ascii=False)[1:-1]


def _grow(text: str, note: str) -> str:
    """A JSON text that ends in a string, which ends in ``note`` now."""
    return f'{text[:-1]}{as_written(note)}"'
