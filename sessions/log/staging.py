"""From a write set to rows: ids and seqs given, bodies encoded, summaries folded. Pure; nothing is written here."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sessions.fold.summary import IllegalTransition, Summary, fold
from sessions.log.codec import encode_body
from sessions.log.errors import BadEvent
from sessions.log.events import HOST_SESSION, Event, NewEvent, SessionCreated
from sessions.log.heads import Heads, SummaryRow, summary_row
from sessions.log.text import Blob, valid_unicode

INSERT_EVENT: Final = (
    "INSERT INTO events (id, session, seq, step, call, kind, v, at, actor, request, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_BLOB: Final = "INSERT INTO blobs (hash, size, codec, data) VALUES (?, ?, ?, ?)"
INSERT_REQUEST: Final = "INSERT INTO requests (request, first, last) VALUES (?, ?, ?)"
WORTH_PACKING: Final = 1024
"""Bytes from which on a blob is compressed: below, inflating costs every reader more than the room is worth."""

EventRow = tuple[int, str, int, int | None, int | None, str, int, int, str, str | None, str]
BlobRow = tuple[str, int, str, bytes]
RequestRow = tuple[str, int, int]


@dataclass(slots=True)
class Staged:
    """A write set, ready to be inserted."""

    events: list[Event] = field(default_factory=list)
    rows: list[EventRow] = field(default_factory=list)
    requests: list[RequestRow] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    summaries: dict[str, Summary] = field(default_factory=dict)
    summary_rows: dict[str, SummaryRow] = field(default_factory=dict)

    def join(self, heads: Heads) -> None:
        """Make the heads what they are after this set."""
        if self.events:
            heads.position = self.events[-1].id
        heads.seqs.update(self.seqs)
        heads.summaries.update(self.summaries)


def stage(events: Sequence[NewEvent], heads: Heads, clock: Callable[[], int]) -> Staged:
    """Number, encode and fold a write set on top of ``heads``, which stays as it is.

    Raises BadEvent or IllegalTransition; any other error comes from a fold that met what it did not expect.
    A request id is kept by the first event that carries it, and covers the set.
    """
    staged = Staged()
    seen: set[str] = set()
    first = heads.position + 1
    for number, new in enumerate(events, start=first):
        session = new.session
        seq = staged.seqs.get(session, heads.seqs.get(session, 0)) + 1
        data, body = encode_body(new.body)
        request = None if new.request in seen else new.request
        if request is not None:
            seen.add(request)
        at = clock() if new.at is None else new.at
        actor = valid_unicode(new.actor)
        event = Event(number, session, seq, new.step, new.call, body.kind, body.v, at, actor, request, body)
        if session != HOST_SESSION:
            staged.summaries[session] = _folded(event, staged, heads)
        staged.seqs[session] = seq
        staged.events.append(event)
        row = (number, session, seq, new.step, new.call, body.kind, body.v, at, actor, request, data.decode())
        staged.rows.append(row)
    last = heads.position + len(events)
    staged.summary_rows = {session: summary_row(summary) for session, summary in staged.summaries.items()}
    staged.requests = [(request, first, last) for request in sorted(seen)]
    return staged


def pack(blobs: Iterable[Blob]) -> list[BlobRow]:
    """The rows of blobs, compressed where that pays. May take a while: run it off the event loop."""
    rows: list[BlobRow] = []
    for blob in blobs:
        small = zlib.compress(blob.data) if len(blob.data) >= WORTH_PACKING else blob.data
        codec, data = ("zlib", small) if len(small) < len(blob.data) else ("raw", blob.data)
        rows.append((blob.hash, len(blob.data), codec, data))
    return rows


def _folded(event: Event, staged: Staged, heads: Heads) -> Summary:
    before = staged.summaries.get(event.session) or heads.summaries.get(event.session)
    if before is None and isinstance(event.body, SessionCreated):
        number = event.body.number
        if number in {known.number for known in (*heads.summaries.values(), *staged.summaries.values())}:
            raise BadEvent(f"number {number} belongs to another session already")
    if before is None and event.seq > 1:
        raise IllegalTransition(f"session {event.session} has no summary to build on")
    return fold(before, event)
