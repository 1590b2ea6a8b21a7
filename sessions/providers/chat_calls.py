"""The calls of a Chat Completions stream, put together from pieces by whatever identifies them: index, id or order.

What servers were seen to do: no index, one index for all, another one for each piece; no id, a late one, the same for
all calls, a new one for each piece; the name after the id or after the arguments, in pieces, or with every piece.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sessions.events.messages import CallPart
from sessions.events.text import canonical_json
from sessions.providers.assembler import Slot, Slots
from sessions.providers.base import Delta
from sessions.providers.chat_wire import call_block

_OWN_FIELDS: Final = frozenset({"index", "id", "type", "function", "name", "arguments", "custom"})
"""Fields of a piece that the call itself holds; what else there is goes back as it came."""


class CallPieces:
    """Takes the pieces of one reply's calls in."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._by_index: dict[int, Slot] = {}
        self._by_id: dict[str, Slot] = {}
        self._server_ids: dict[int, str] = {}
        """The id that the server gave a call, by the call's place among the parts."""
        self._extras: dict[int, dict[str, Any]] = {}
        self._last: Slot | None = None

    def take(self, block: object) -> Delta | None:
        """One piece; None for one that says nothing. What cannot be understood is a call without a name."""
        if block is None:
            return None
        if not isinstance(block, dict):
            return self._begin(None, "", "").add(_text(block))
        call = next((block[name] for name in ("function", "custom") if isinstance(block.get(name), dict)), block)
        index, id = index_of(block.get("index")), _string(block.get("id"))
        name, text = _string(call.get("name")), _text(call.get("arguments", call.get("input")))
        if call is block and isinstance(said := block.get("function"), str):
            name, text = (name, text or said) if said.lstrip().startswith("{") else (name or said, text)
        if self._is_said_again(index, id, name, text):
            return None
        slot = self._find(index, id, name, text)
        if slot is None:
            if not (id or name or text):
                return None
            slot = self._begin(index, id, name)
        self._last = slot
        if _is_placeholder(slot) and text.lstrip().startswith("{"):
            slot.pieces.clear()
        if index is not None:
            self._by_index[index] = slot
        if id and slot.index not in self._server_ids:
            slot.id, self._server_ids[slot.index] = id, id
            self._by_id.setdefault(id, slot)
        known = slot.name
        if not _has_begun(slot):
            slot.name = _join_names(slot.name, name)
        elif not slot.name:
            slot.name = name
        extra = {field: value for field, value in block.items() if field not in _OWN_FIELDS and value is not None}
        if extra:
            # Gemini signs its calls here and wants the signature back.
            self._extras.setdefault(slot.index, {}).update(extra)
        delta = slot.add(text)
        return Delta(delta.channel, delta.text, delta.index, slot.name if slot.name != known else delta.name)

    def close(self) -> None:
        """Give each call that the server said more of its raw block."""
        for slot in self._slots.of("call"):
            if extra := self._extras.get(slot.index):
                slot.raw = call_block(CallPart(slot.id, slot.name, slot.text)) | extra

    @property
    def is_cut(self) -> bool:
        """Whether the newest call breaks off in the middle of its arguments."""
        return self._last is not None and _is_open(self._last)

    def _is_said_again(self, index: int | None, id: str, name: str, text: str) -> bool:
        """Whether a piece is a call that is whole already, as some servers repeat it with the end of the reply."""
        known = self._by_id.get(id) if id and name and text else None
        if known is None or (index is not None and self._by_index.get(index) is not known):
            return False
        return known.name == name and known.text.strip() != "{}" and _is_whole(known) and _is_same(known, text)

    def _begin(self, index: int | None, id: str, name: str) -> Slot:
        slot = self._slots.begin(("call", len(self._slots.of("call"))), "call", id=id)
        if id:
            self._server_ids[slot.index] = id
            self._by_id[id] = slot
        self._last = slot
        return slot

    def _find(self, index: int | None, id: str, name: str, text: str) -> Slot | None:
        """The call that a piece goes on with, None if it begins one."""
        if index is not None and (found := self._by_index.get(index)) is not None:
            return self._go_on_at_index(found, id, name, text)
        known = self._by_id.get(id)
        if known is not None:
            return self._go_on_with_id(known, index, name, text)
        last = self._last
        if last is None:
            return None
        if index is not None:
            # A new index begins a call, but for one that counts the pieces of a call that is not whole yet.
            return last if not id and not name and not _is_whole(last) else None
        return self._go_on_in_order(last, id, name, text)

    def _go_on_at_index(self, slot: Slot, id: str, name: str, text: str) -> Slot | None:
        own = self._server_ids.get(slot.index, "")
        if id and own and id != own:
            if (other := self._by_id.get(id)) is not None:
                return other  # all calls claim one index
            return None if name or _is_whole(slot) else slot
        begins = name and _is_whole(slot) and (name != slot.name or text.lstrip().startswith("{"))
        return None if begins else slot

    def _go_on_with_id(self, slot: Slot, index: int | None, name: str, text: str) -> Slot | None:
        if index is not None and name:
            # One id for several calls: a head at an index of its own begins one, a piece of what is open does not.
            return slot if text and _is_open(slot) else None
        if not _is_whole(slot) or (_is_placeholder(slot) and not name):
            return slot
        return None if text.lstrip().startswith("{") or (name and name != slot.name) else slot

    def _go_on_in_order(self, last: Slot, id: str, name: str, text: str) -> Slot | None:
        has_id = last.index in self._server_ids
        if id:
            if not has_id and not _is_whole(last) and not (name and last.name):
                return last  # its id comes late
            return last if not name and _is_open(last) else None
        if not name:
            return None if not last.name and text.lstrip().startswith("{") and _is_whole(last) else last
        if not last.name:
            return last
        if _is_open(last):
            return last
        if not _has_begun(last):
            return last if name == last.name or not text else None
        return last if name == last.name and not text else None


def index_of(value: object) -> int | None:
    """An index, also where it came as a text or a float; None for what is none."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _join_names(known: str, piece: str) -> str:
    """A name that comes in pieces, grows with each piece, or is said again."""
    return piece if piece.startswith(known) else known + piece


def _has_begun(slot: Slot) -> bool:
    """Whether any of its arguments came."""
    return any(slot.pieces)


def _is_whole(slot: Slot) -> bool:
    """Whether its arguments are a whole JSON object. Cheap while they end in anything but a bracket."""
    if not next((piece for piece in reversed(slot.pieces) if piece.strip()), "").rstrip().endswith("}"):
        return False
    try:
        return isinstance(json.loads(slot.text), dict)
    except (ValueError, RecursionError):
        return False


def _is_placeholder(slot: Slot) -> bool:
    """Whether its arguments are an empty object, which may stand for those that are still to come."""
    return len(slot.pieces) <= 2 and slot.text.strip() == "{}"


def _is_same(slot: Slot, text: str) -> bool:
    try:
        return bool(json.loads(slot.text) == json.loads(text))
    except (ValueError, RecursionError):
        return False


def _is_open(slot: Slot) -> bool:
    """Whether its arguments have begun and are not whole."""
    return _has_begun(slot) and not _is_whole(slot)


def _string(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and value is not True else ""


def _text(value: object) -> str:
    """Arguments as text: as they are, or the JSON of what else they are."""
    return value if isinstance(value, str) else "" if value is None else canonical_json(value).decode()
