"""Event bodies to JSON and back. What an older version wrote is upcast on read; what cannot be read is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from sessions.events import KINDS, Body, Event
from sessions.events.text import valid_unicode
from sessions.log.errors import BadEvent

COLUMNS: Final = "id, session, seq, step, call, kind, v, at, actor, request, CAST(body AS BLOB)"
"""What ``event_of`` takes. The body comes as bytes, so that damaged UTF-8 is our affair and not SQLite's."""

BY_REQUEST: Final = (
    f"SELECT {COLUMNS} FROM events WHERE id BETWEEN (SELECT first FROM requests WHERE request = ?1) "
    "AND (SELECT last FROM requests WHERE request = ?1) ORDER BY id"
)
"""The whole write set that answered the request ``?1``."""

Row = tuple[int, str, int, int | None, int | None, str, int, int, str, str | None, bytes]

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


def _cursor_2(body: dict[str, Any]) -> dict[str, Any]:
    """The first version knew only the newest event that was looked at: what of the rest was, nobody can say."""
    newest = body.get("read_seq", 0)
    return {**body, "read": [[newest, newest]] if newest else [], "let_go": newest}


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("cursor.moved", 1): _cursor_2,
    ("advice.outcome", 1): lambda body: body,  # None came with the second version
    ("model.request", 1): lambda body: body,  # what a harness writes came with the second version
}
"""``(kind, v)`` to a function from a body of version ``v`` to one of ``v + 1``. Pure; kept for ever."""


class UnknownEvent(Body, frozen=True, kw_only=True):
    """A body this version cannot read: an unknown kind, a newer version, or damage. ``raw`` is its JSON text."""

    kind_name: str
    version: int
    raw: str
    problem: str = ""


_DECODERS: dict[str, msgspec.json.Decoder[Body]] = {}


def _decoder(kind: str) -> msgspec.json.Decoder[Body]:
    found = _DECODERS.get(kind)
    if found is None:
        found = _DECODERS[kind] = msgspec.json.Decoder(KINDS[kind])
    return found


def encode_body(body: Body) -> tuple[bytes, Body]:
    """The JSON of ``body``, and the body as a reader will see it. Raises BadEvent where the two would differ in shape.

    A struct does not check its fields when it is made; here is where a wrong one is stopped, before it is for ever.
    """
    if body.kind not in KINDS:
        raise BadEvent(f"{type(body).__name__} is no kind of event")
    try:
        data = msgspec.json.encode(body)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_clean(msgspec.to_builtins(body)))
    except (TypeError, ValueError) as error:
        raise BadEvent(f"{body.kind} cannot be stored: {error}") from error
    try:
        return data, _decoder(body.kind).decode(data)
    except msgspec.MsgspecError as error:
        raise BadEvent(f"{body.kind} cannot be stored: {error}") from error


def decode_body(kind: str, v: int, data: bytes) -> Body:
    """The typed body, upcast to this version's shape; an UnknownEvent where that is impossible. Never raises."""
    known = KINDS.get(kind)
    if known is None or v > known.v:
        problem = "unknown kind" if known is None else f"version {v} is newer than {known.v}"
        return UnknownEvent(kind_name=kind, version=v, raw=data.decode(errors="replace"), problem=problem)
    try:
        if v == known.v:
            return (_DECODERS.get(kind) or _decoder(kind)).decode(data)
        value = msgspec.json.decode(data)
        for version in range(v, known.v):
            value = UPCASTERS[kind, version](value)
        return msgspec.convert(value, known)
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError) as error:
        text = data.decode(errors="replace")
        return UnknownEvent(kind_name=kind, version=v, raw=text, problem=f"{type(error).__name__}: {error}")


def event_of(row: Row) -> Event:
    """The event of a row of COLUMNS."""
    return Event(*row[:10], decode_body(row[5], row[6], row[10]))


def _clean(value: Any) -> Any:
    match value:
        case str():
            return valid_unicode(value)
        case dict():
            return {_clean(key): _clean(item) for key, item in value.items()}
        case list() | tuple():
            return [_clean(item) for item in value]
        case _:
            return value
