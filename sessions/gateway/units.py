"""A request as its units: the blocks that its conversation consists of, each with the text that stands around it.

Put together again they are the request, byte for byte. What a harness moves about or makes anew with each request
(``cache_control``, the ids of items) is taken out of a unit and kept beside it: the unit stays the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

from sessions.events import Mark
from sessions.gateway.json_spans import Span, find_members
from sessions.log.rebuild import put_marks

UnitKind = Literal["text", "result", "call", "reasoning", "reply", "other"]
"""``reply``: a whole message of the model; ``call``, ``reasoning``, an assistant's ``text``: a part of one."""
_SAYS_NOTHING: Final = frozenset({"cache_control"})
"""Keys that say nothing of what the model reads, wherever they stand."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One block of a conversation.

    ``lead``: what stands between the block before it and this one; ``tail``: what ends its message, where it is the
    last block of one; ``text``: itself, without ``marks``: (offset in the text, what stood there). ``value``: itself,
    as JSON. ``identity``: the same for two blocks that say the same, however they are written. ``call``: the id of the
    call that it is, or the result of. ``own``: where a person's words are joined to it, the hash of it without them.
    """

    lead: str
    text: str
    role: str
    kind: UnitKind
    value: Any
    identity: str
    marks: tuple[Mark, ...] = ()
    call: str = ""
    tail: str = ""
    own: str = ""

    @property
    def calls(self) -> tuple[str, ...]:
        """The ids of the calls that the model made in it."""
        if self.kind == "call":
            return (self.call,)
        made = self.value.get("tool_calls") if self.kind == "reply" and isinstance(self.value, dict) else None
        return tuple(str(call.get("id", "")) for call in made or () if isinstance(call, dict))

    @property
    def whole(self) -> str:
        """Its text as it was sent."""
        return put_marks(self.text, self.marks)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request taken apart. ``before`` and ``after`` are the pieces around its units, a piece a member.

    ``fields``: its members but the conversation, as JSON.
    """

    before: tuple[str, ...]
    units: tuple[Unit, ...]
    after: tuple[str, ...]
    fields: dict[str, Any]

    def body(self) -> bytes:
        """The request as it was sent, or as it is to be sent."""
        units = "".join(unit.lead + unit.whole + unit.tail for unit in self.units)
        return f"{''.join(self.before)}{units}{''.join(self.after)}".encode()

    def with_unit(self, place: int, unit: Unit) -> WireRequest:
        """With one unit more, before the one at ``place``; a block becomes the last of the message before it."""
        before = self.units[:place]
        if before and before[-1].tail and is_block(unit):
            last = before[-1]
            before, unit = (*before[:-1], replace(last, tail="")), replace(unit, tail=last.tail)
        return replace(self, units=(*before, unit, *self.units[place:]))


def text_of(value: Any) -> str:
    """The words of a unit: of a message, of a block, of a result."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n\n".join(filter(None, map(text_of, value)))
    if not isinstance(value, dict):
        return "" if value is None else json.dumps(value, ensure_ascii=False)
    for name in ("text", "content", "output", "thinking"):
        if isinstance(value.get(name), str | list):
            return text_of(value[name])
    return f"[{value.get('type', 'something')}]"


def is_block(unit: Unit) -> bool:
    """Whether it is a part of a message, and no message."""
    return isinstance(unit.value, dict) and "role" not in unit.value


def take_marks(text: str, keys: Collection[str]) -> tuple[str, tuple[Mark, ...]]:
    """The object ``text`` without the members ``keys``, and these as marks.

    >>> take_marks('{"type":"text","text":"a","cache_control":{}}', ["cache_control"])
    ('{"type":"text","text":"a"}', (Mark(offset=25, text=',"cache_control":{}'),))
    """
    if not any(f'"{key}"' in text for key in keys):
        return text, ()
    ordered = sorted(find_members(text)[0].items(), key=lambda member: member[1].begin)
    cuts = [(span.begin, span.end) for key, span in ordered if key in keys]
    if cuts and ordered[0][0] in keys:  # the comma behind it goes with it
        if len(ordered) < 2 or ordered[1][0] in keys:
            return text, ()
        cuts[0] = (ordered[0][1].begin, ordered[1][1].begin + 1)
    kept: list[str] = []
    marks: list[Mark] = []
    at = gone = 0
    for begin, end in cuts:
        kept.append(text[at:begin])
        marks.append(Mark(begin - gone, text[begin:end]))
        gone += end - begin
        at = end
    return "".join([*kept, text[at:]]), tuple(marks)


def split_members(text: str, key: str) -> tuple[dict[str, Span], Span, tuple[str, ...]]:
    """The members of a request, its conversation (under ``key``), and the pieces before that, a piece a member.

    Raises ValueError for what is no object, or has no conversation.
    """
    members, _ = find_members(text)
    talk = members.get(key)
    if talk is None:
        raise ValueError(f"it has no {key}")
    starts = sorted(span.begin for span in members.values() if span.begin <= talk.begin)
    return members, talk, _pieces(text, [0, *starts, talk.start])


def pieces_after(text: str, members: dict[str, Span], start: int) -> tuple[str, ...]:
    """What comes after the last unit, which ends at ``start``, a piece a member."""
    starts = sorted(span.begin for span in members.values() if span.begin > start)
    return _pieces(text, [start, *starts, len(text)])


def identify(value: Any, message: dict[str, Any] | None = None, *, without: Collection[str] = ()) -> str:
    """The identity of a block; ``message``: the keys of its message beside the content, if it is the first there.

    ``without``: keys of the block itself that say nothing.
    """
    block = {k: v for k, v in value.items() if k not in without} if isinstance(value, dict) else value
    said = [_meaning(message or {}), _meaning(_level_texts(block))]
    data = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(data.encode(), digest_size=16).hexdigest()


def _pieces(text: str, cuts: Sequence[int]) -> tuple[str, ...]:
    return tuple(text[a:b] for a, b in pairwise(cuts) if a < b)


def _level_texts(value: Any) -> Any:
    """A text is a text block, in whatever form it was written."""
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        value = value | {"content": [{"type": "text", "text": value["content"]}]}
    if isinstance(value, dict) and isinstance(value.get("content"), list):
        value = value | {"content": [_level_texts(item) for item in value["content"]]}
    if isinstance(value, dict) and value.get("type") in ("input_text", "output_text"):
        value = value | {"type": "text"}
    return value


def _meaning(value: Any) -> Any:
    """``value`` without what says nothing."""
    if isinstance(value, dict):
        return {k: _meaning(v) for k, v in value.items() if v is not None and k not in _SAYS_NOTHING}
    if isinstance(value, list):
        return [_meaning(item) for item in value]
    return value
