"""A request's prompt, byte for byte, from the log alone: no template and no adapter takes part."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Protocol

from sessions.events import EventPlace, MessageRef, ModelRequested
from sessions.events.text import canonical_json
from sessions.log.errors import LogReadFailed, PromptMismatch
from sessions.log.reader import LogReader


def request_chain(reader: LogReader, session: str, seq: int) -> list[MessageRef]:
    """The messages of the request at ``seq``, in order: those of its parents, oldest first, then its own.

    Of a branch the oldest are of the sessions that it left, and say so. Raises LogReadFailed where the chain does not
    hold.
    """
    pieces: list[tuple[MessageRef, ...]] = []
    at: EventPlace | None = EventPlace(session, seq)
    seen: set[str] = set()
    while at is not None:
        request = request_at(reader, at.session, at.seq)
        pieces.append(request.append if at.session == session else foreign_refs(request.append, at.session))
        at = parent_of(request, at, seen)
    return [ref for piece in reversed(pieces) for ref in piece]


def parent_of(request: ModelRequested, at: EventPlace, seen: set[str]) -> EventPlace | None:
    """The request that the one at ``at`` goes on from, None if none. ``seen``: the sessions that the chain has left.

    Raises LogReadFailed where it is no earlier one.
    """
    if request.parent is not None:
        if request.parent >= at.seq:
            raise LogReadFailed(f"request {at.seq} of session {at.session} names a later parent: the log is not whole")
        return EventPlace(at.session, request.parent)
    if request.across is not None:
        seen.add(at.session)
        if request.across.session in seen:
            raise LogReadFailed(f"request {at.seq} of session {at.session} goes on from itself: the log is not whole")
    return request.across


def foreign_refs(refs: Iterable[MessageRef], session: str) -> tuple[MessageRef, ...]:
    """Messages of ``session`` as a branch of it has them: they say whose events they came from."""
    return tuple(MessageRef(ref.hash, ref.role, ref.sources, ref.session or session) for ref in refs)


def request_at(reader: LogReader, session: str, seq: int) -> ModelRequested:
    """The request at ``seq``. Raises LogReadFailed if there is none."""
    event = reader.event(session, seq)
    if event is None or not isinstance(event.body, ModelRequested):
        raise LogReadFailed(f"event {seq} of session {session} is no model request")
    return event.body


def rebuild_request(reader: LogReader, session: str, seq: int) -> bytes:
    """The canonical JSON of the request's body as it was sent. Raises PromptMismatch if its SHA-256 is another."""
    request = request_at(reader, session, seq)
    data = assemble(reader, request, request_chain(reader, session, seq))
    found = hashlib.sha256(data).hexdigest()
    if found != request.sha256:
        raise PromptMismatch(f"request {seq} of session {session} rebuilds to {found}, the log says {request.sha256}")
    return data


class Blobs(Protocol):
    """Where blobs come from: a reader, or what keeps some of them in memory."""

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        """Many blobs by hash; an error if one is not there."""
        ...


def assemble(reader: Blobs, request: ModelRequested, messages: list[MessageRef]) -> bytes:
    """Envelope and blobs put together. Blobs are canonical JSON already, so they are joined and not parsed."""
    slots = {"system": request.system, "tools": request.tools}
    hashes = [ref.hash for ref in messages] + [hash for hash in slots.values() if hash]
    blobs = reader.blobs(hashes)
    values = {name: canonical_json(value) for name, value in request.envelope.items()}
    values["messages"] = b"[" + b",".join(blobs[ref.hash] for ref in messages) + b"]"
    values |= {name: blobs[hash] for name, hash in slots.items() if hash}
    return b"{" + b",".join(canonical_json(name) + b":" + values[name] for name in sorted(values)) + b"}"
