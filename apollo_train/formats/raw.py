"""``raw``: all events of a session with all they point to. Nothing is filtered; importing it loses nothing.

A file is lines of JSON in canonical form. Each session begins with ``{"apollo":"raw","v":1,"session":ID}``, then come
its events in order, each after the blobs that it is the first to name, and ``{"end":ID,"events":N,"blobs":M}`` closes
it. What belongs to a log and not to a session is left out: an event's ``id``, the id of the request that it answered,
and the session's number on the board.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import takewhile
from types import MappingProxyType
from typing import Any, Final, Self

import msgspec

from apollo_train.formats.base import Format, Line, Unit
from apollo_train.samples.step_samples import Exclusion, Source
from sessions import events as ev
from sessions.events.seq_references import renumber, renumber_left
from sessions.importers.continuation import made_up_seqs
from sessions.log.codec import UnknownEvent
from sessions.log.reader import LogReader

PAGE: Final = 128
"""Events whose blobs are read at once."""
LARGE: Final = 128 << 10
"""Blobs of more bytes are read one by one: each may have 8 MB."""

_HASH: Final = re.compile(rb'"([0-9a-f]{64})"')
_encoder: Final = msgspec.json.Encoder(order="sorted")


class RawFormat(Format):
    """The log's own form, one session after the other. Policies do not apply."""

    name = "raw"
    version = 1
    unit: Unit = "event"
    has_meta = False
    about = "everything in the log about the sessions; can be imported again without loss"
    borders: Mapping[str, int] = MappingProxyType({})
    """Of sessions that are there only because a branch left them: the seq of the last event before it did."""

    def with_ancestors(self, reader: LogReader, sessions: Sequence[str]) -> tuple[Self, list[str]]:
        """The format and the sessions that make a whole of these: those that branches among them left, up to there."""
        borders: dict[str, int] = {}
        todo = [*sessions]
        while todo:
            summary = reader.summary(todo.pop())
            begins = summary.begins if summary is not None else None
            if begins is None or begins.kind != "branch" or begins.session in sessions:
                continue
            if begins.seq > borders.get(begins.session, 0) and reader.summary(begins.session) is not None:
                borders[begins.session] = begins.seq
                todo.append(begins.session)
        whole = copy(self)
        whole.borders = borders
        return whole, [*sessions, *borders]

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """All lines of one session; the rows that are counted are its events."""
        reader, session = source.reader, source.judged.session
        yield Line(_encoder.encode({"apollo": "raw", "v": self.version, "session": session}), rows=0)
        events, written = 0, set[bytes]()
        renew = _renumbering(reader, session, source.judged.position)
        border = self.borders.get(session)
        told = reader.stream(session, up_to=source.judged.position)
        for page in _pages(told if border is None else takewhile(lambda event: event.seq <= border, told), renew):
            lines = [_encoder.encode({"event": _event_line(event)}) for event in page]
            events += len(lines)
            yield from _with_blobs(reader, lines, written)
        yield Line(_encoder.encode({"end": session, "events": events, "blobs": len(written)}), rows=0)


Renew = Callable[[ev.Event], ev.Event | None]
"""An event as the file has it; None for one that is not in the file."""


def _renumbering(reader: LogReader, session: str, position: int) -> Renew:
    """Leaves out what imports made up, and numbers the rest without gaps."""
    made_up: dict[str, list[int]] = {}

    def gone(name: str) -> list[int]:
        if name not in made_up:
            states = [event for event in reader.events(name, kinds=("session.state",)) if event.id <= position]
            made_up[name] = sorted(made_up_seqs(states, reader.count(name, up_to=position)))
        return made_up[name]

    def place(name: str, seq: int) -> tuple[str, int]:
        return name, seq - bisect_right(gone(name), seq)

    def number(seq: int) -> int:
        return place(session, seq)[1]

    def renew(event: ev.Event) -> ev.Event | None:
        if event.seq in gone(session):
            return None
        body = event.body if isinstance(event.body, UnknownEvent) else renumber_left(event.body, place)
        if gone(session) and event.seq > gone(session)[0] and not isinstance(body, UnknownEvent):
            body = renumber(body, number)
        return msgspec.structs.replace(event, seq=number(event.seq), body=body)

    return renew


def _pages(events: Iterator[ev.Event], renew: Renew) -> Iterator[list[ev.Event]]:
    """The events of the file, some at a time."""
    page: list[ev.Event] = []
    for event in filter(None, map(renew, events)):
        page.append(event)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _with_blobs(reader: LogReader, lines: list[bytes], written: set[bytes]) -> Iterator[Line]:
    """The lines, each after the blobs that it is the first to name."""
    named = [_hashes(line) for line in lines]
    wanted = {name for names in named for name in names if bytes.fromhex(name) not in written}
    blobs = reader.find_blobs(wanted, up_to=LARGE) if wanted else {}
    written.update(map(bytes.fromhex, blobs))
    done: list[bytes] = []
    events = 0
    for line, names in zip(lines, named, strict=True):
        for name in names:
            if name in blobs:
                data = blobs.pop(name)
                if data is None:
                    yield Line(b"\n".join((*done, _blob_line(name, reader.blob(name)))), rows=events)
                    done, events = [], 0
                else:
                    done.append(_blob_line(name, data))
        done.append(line)
        events += 1
    yield Line(b"\n".join(done), rows=events)


def _hashes(line: bytes) -> list[str]:
    """The texts in a line that may be the hash of a blob, in order; one too many does no harm."""
    return [name.decode() for name in dict.fromkeys(_HASH.findall(line))]


def body_of(event: ev.Event) -> Any:
    """The body in the newest version of its shape; the session's number and address are left to the log."""
    if isinstance(event.body, UnknownEvent):
        return msgspec.json.decode(event.body.raw)
    if isinstance(event.body, ev.SessionCreated):
        body = msgspec.to_builtins(event.body)
        del body["number"]
        body.pop("child_address", None)
        return body
    return event.body


def _event_line(event: ev.Event) -> dict[str, Any]:
    known = not isinstance(event.body, UnknownEvent)
    line = {
        "seq": event.seq,
        "kind": event.kind,
        "v": event.body.v if known else event.v,
        "at": event.at,
        "actor": event.actor,
        "body": body_of(event),
    }
    if event.step is not None:
        line["step"] = event.step
    if event.call is not None:
        line["call"] = event.call
    return line


def _blob_line(name: str, data: bytes) -> bytes:
    """Text as text, so that people can read it and files compress well; all else in base 64."""
    try:
        return _encoder.encode({"blob": name, "text": data.decode()})
    except UnicodeDecodeError:
        return _encoder.encode({"base64": base64.b64encode(data).decode(), "blob": name})
