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

PAGE: Final = 128
"""Events whose blobs are looked for at once."""
BATCH: Final = 16
"""Events whose blobs are read at once: a blob may have 8 MB."""

_HASH: Final = re.compile(rb'"[0-9a-f]{64}"')
_encoder: Final = msgspec.json.Encoder(order="sorted")


class RawFormat:
    """The log's own form, one session after the other. Policies do not apply."""

    name = "raw"
    version = 1
    unit: Unit = "event"
    about = "everything in the log about the sessions; can be imported again without loss"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """All lines of one session; the rows that are counted are its events."""
        reader, session = source.reader, source.judged.session
        yield Line(_encoder.encode({"apollo": "raw", "v": self.version, "session": session}), rows=0)
        events, written = 0, set[str]()
        for page in _pages(reader.stream(session, up_to=source.judged.position)):
            lines = [_encoder.encode({"event": _event_line(event)}) for event in page]
            events += len(lines)
            yield from _with_blobs(reader, lines, written)
        yield Line(_encoder.encode({"end": session, "events": events, "blobs": len(written)}), rows=0)


def _pages(events: Iterator[ev.Event]) -> Iterator[list[ev.Event]]:
    """The events, some at a time; without the last one if it is what an import made up."""
    page: list[ev.Event] = []
    for event in events:
        if len(page) > PAGE:
            yield page[:-1]
            page = page[-1:]
        page.append(event)
    if page and is_made_up(page[-1].actor, page[-1].body):
        page.pop()
    if page:
        yield page


def _with_blobs(reader: LogReader, lines: list[bytes], written: set[str]) -> Iterator[Line]:
    """The lines, each after the blobs that it is the first to name."""
    named = [_hashes(line) for line in lines]
    wanted = {name for names in named for name in names} - written
    stored = reader.stored(wanted) if wanted else set()
    for start in range(0, len(lines), BATCH):
        some = named[start : start + BATCH]
        fresh = dict.fromkeys(name for names in some for name in names if name in stored and name not in written)
        blobs = reader.blobs(fresh) if fresh else {}
        done: list[bytes] = []
        for line, names in zip(lines[start : start + BATCH], some, strict=True):
            done += [_encoder.encode(_blob_line(name, blobs.pop(name))) for name in names if name in blobs]
            done.append(line)
        written.update(fresh)
        yield Line(b"\n".join(done), rows=len(some))


def _hashes(line: bytes) -> list[str]:
    """The texts in a line that may be the hash of a blob, in order; one too many does no harm."""
    return [name[1:-1].decode() for name in dict.fromkeys(_HASH.findall(line))]


def body_of(event: ev.Event) -> Any:
    """The body in the newest version of its shape; the session's number is left to the log."""
    if isinstance(event.body, UnknownEvent):
        return msgspec.json.decode(event.body.raw)
    if isinstance(event.body, ev.SessionCreated):
        body = msgspec.to_builtins(event.body)
        del body["number"]
        return body
    return event.body


def _event_line(event: ev.Event) -> dict[str, Any]:
    known = not isinstance(event.body, UnknownEvent)
    line = {"seq": event.seq, "kind": event.kind, "v": event.body.v if known else event.v, "at": event.at}
    line |= {"actor": event.actor, "body": body_of(event)}
    if event.step is not None:
        line["step"] = event.step
    if event.call is not None:
        line["call"] = event.call
    return line


def _blob_line(name: str, data: bytes) -> dict[str, str]:
    """Text as text, so that people can read it and files compress well; all else in base 64."""
    try:
        return {"blob": name, "text": data.decode()}
    except UnicodeDecodeError:
        return {"blob": name, "base64": base64.b64encode(data).decode()}
