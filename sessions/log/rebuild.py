"""A request's prompt, byte for byte, from the log alone: no template and no adapter takes part."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Protocol

from sessions.events import MessageRef, ModelRequested
from sessions.events.text import canonical_json
from sessions.log.errors import LogReadFailed, PromptMismatch
from sessions.log.reader import LogReader


def request_chain(reader: LogReader, session: str, seq: int) -> list[MessageRef]:
    """The messages of the request at ``seq``, in order: those of its parents, oldest first, then its own.

    Raises LogReadFailed where the chain does not hold.
    """
    pieces: list[tuple[MessageRef, ...]] = []
    at: int | None = seq
    while at is not None:
        request = request_at(reader, session, at)
        pieces.append(request.append)
        if request.parent is not None and request.parent >= at:
            raise LogReadFailed(f"request {at} of session {session} names a later parent: the log is not whole")
        at = request.parent
    return [ref for piece in reversed(pieces) for ref in piece]


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
