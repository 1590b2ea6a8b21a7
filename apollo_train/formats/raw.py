"""``raw``: all events of a session with all they point to. Nothing is filtered; importing it loses nothing.

A file is lines of JSON in canonical form. Each session begins with ``{"apollo":"raw","v":1,"session":ID}``, then come
its events in order, each after the blobs that it is the first to name, and ``{"end":ID,"events":N,"blobs":M}`` closes
it. What belongs to a log and not to a session is left out: an event's ``id``, the id of the request that it answered,
and the session's number on the board.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from apollo_train.formats.base import Line, Unit
from apollo_train.samples import Excluded, Source
from sessions.importers.raw import is_made_up
from sessions.log import events as ev
from sessions.log.codec import UnknownEvent
from sessions.log.reader import LogReader
from sessions.log.text import canonical_json

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class RawFormat:
    """The log's own form, one session after the other. Policies do not apply."""

    name = "raw"
    version = 1
    unit: Unit = "event"
    about = "everything in the log about the sessions; can be imported again without loss"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """All lines of one session; the rows that are counted are its events."""
        reader, session = source.reader, source.judged.session
        yield Line(canonical_json({"apollo": "raw", "v": self.version, "session": session}), rows=0)
        events, written = 0, set[str]()
        for event, last in _with_last(reader.stream(session, up_to=source.judged.position)):
            if last and is_made_up(event.actor, event.body):
                break
            body = body_of(event)
            for name, data in _blobs(reader, body, written):
                yield Line(canonical_json(_blob_line(name, data)), rows=0)
            events += 1
            yield Line(canonical_json({"event": _event_line(event, body)}))
        yield Line(canonical_json({"end": session, "events": events, "blobs": len(written)}), rows=0)


def _with_last(events: Iterator[ev.Event]) -> Iterator[tuple[ev.Event, bool]]:
    """Each event, and whether it is the last."""
    before: ev.Event | None = None
    for event in events:
        if before is not None:
            yield before, False
        before = event
    if before is not None:
        yield before, True


def body_of(event: ev.Event) -> Any:
    """The body as plain values, in the newest version of its shape; the session's number is left to the log."""
    if isinstance(event.body, UnknownEvent):
        return msgspec.json.decode(event.body.raw)
    body = msgspec.to_builtins(event.body)
    if isinstance(event.body, ev.SessionCreated):
        del body["number"]
    return body


def _event_line(event: ev.Event, body: Any) -> dict[str, Any]:
    known = not isinstance(event.body, UnknownEvent)
    line = {"seq": event.seq, "kind": event.kind, "v": event.body.v if known else event.v, "at": event.at}
    line |= {"actor": event.actor, "body": body}
    optional = {"step": event.step, "call": event.call}
    return line | {key: value for key, value in optional.items() if value is not None}


def _blobs(reader: LogReader, body: Any, written: set[str]) -> Iterator[tuple[str, bytes]]:
    """Blobs that ``body`` names and that were not written yet. Hashes of files that are no blobs are just text."""
    named = [name for name in dict.fromkeys(_hashes(body)) if name not in written]
    stored = reader.stored(named) if named else set()
    for name in named:
        if name in stored:
            written.add(name)
            yield name, reader.blob(name)


def _hashes(value: Any) -> Iterator[str]:
    """All texts in a body that may be the hash of a blob, in a fixed order."""
    match value:
        case str():
            if _HASH.fullmatch(value):
                yield value
        case dict():
            for key in sorted(value):
                yield from _hashes(value[key])
        case list() | tuple():
            for item in value:
                yield from _hashes(item)


def _blob_line(name: str, data: bytes) -> dict[str, str]:
    """Text as text, so that people can read it and files compress well; all else in base 64."""
    try:
        return {"blob": name, "text": data.decode()}
    except UnicodeDecodeError:
        return {"blob": name, "base64": base64.b64encode(data).decode()}
