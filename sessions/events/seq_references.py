"""Where events refer to other events of their session, found by the types of their fields: ``Seq`` and ``SignalId``."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from sessions.events.base import SEQ, Body, EventPlace, MessageRef
from sessions.events.session import Beginning, SessionCreated
from sessions.events.step import ModelRequested

S = TypeVar("S", bound=msgspec.Struct)

B = TypeVar("B", bound=Body)

Place = Callable[[str, int], tuple[str, int]]
"""From session and seq of an event to what they are to be."""
Number = Callable[[int], int]
"""From the seq of an event to what it is to be."""
_Change = Callable[[Any, Number], Any]


def renumber(body: S, number: Number) -> S:
    """``body`` with every reference to an event of its own session replaced by ``number`` of it."""
    if isinstance(body, MessageRef) and body.session:
        return body
    found = _fields(type(body))
    if not found:
        return body
    changed = {name: change(getattr(body, name), number) for name, change in found}
    return msgspec.structs.replace(body, **changed)


def renumber_left(body: B, place: Place) -> B:
    """``body`` with every reference to an event of the session that it left, or was started by, replaced."""
    if isinstance(body, SessionCreated) and body.begins is not None and body.begins.session:
        session, seq = place(body.begins.session, body.begins.seq)
        return msgspec.structs.replace(body, begins=Beginning(session, seq, body.begins.kind))
    if isinstance(body, ModelRequested) and (body.across is not None or any(ref.session for ref in body.append)):
        across = body.across
        if across is not None:
            across = EventPlace(*place(across.session, across.seq))
        refs = tuple(_place_ref(ref, place) if ref.session else ref for ref in body.append)
        return msgspec.structs.replace(body, across=across, append=refs)
    return body


def _place_ref(ref: MessageRef, place: Place) -> MessageRef:
    sources = tuple(place(ref.session, seq)[1] for seq in ref.sources)
    return msgspec.structs.replace(ref, sources=sources, session=place(ref.session, 0)[0])


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Change], ...]:
    """The fields of a struct that hold references, at any depth."""
    hints = get_type_hints(kind, include_extras=True)
    found = ((name, _change_of(hints[name])) for name in kind.__struct_fields__)
    return tuple((name, change) for name, change in found if change is not None)


def _change_of(hint: Any) -> _Change | None:
    """How a value of this type is renumbered; None where it holds no reference."""
    origin = get_origin(hint)
    if origin is Annotated:
        marks = (meta.extra or {} for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta))
        return next((_MARKED[mark[SEQ]] for mark in marks if SEQ in mark), None)
    if origin is tuple:
        inner = _change_of(get_args(hint)[0])
        return None if inner is None else lambda values, number: tuple(inner(value, number) for value in values)
    if origin in (Union, types.UnionType):
        return _change_of_union(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and _fields(hint):
        return renumber
    return None


def _change_of_union(hint: Any) -> _Change | None:
    """A union holds one type of references at most, or several structs."""
    changes = [change for one in get_args(hint) if (change := _change_of(one)) is not None]
    if not changes:
        return None

    def change_value(value: Any, number: Number) -> Any:
        if isinstance(value, msgspec.Struct):
            return renumber(value, number)
        return value if value is None else changes[0](value, number)

    return change_value


def _renumber_ending(text: str, number: Number) -> str:
    rule, colon, seq = text.rpartition(":")
    return f"{rule}:{number(int(seq))}" if colon and seq.isdecimal() else text


_MARKED: Final[dict[str, _Change]] = {
    "number": lambda value, number: number(value),
    "ending": _renumber_ending,
}
