"""A request's prompt, byte for byte, from the log alone: no template and no adapter takes part."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from msgspec import structs

from sessions.events import EventPlace, FramePiece, Mark, MessageRef, ModelRequested, ReplacedMessage
from sessions.events.text import canonical_json
from sessions.log.errors import LogReadFailed, PromptMismatch
from sessions.log.reader import LogReader


def request_chain(reader: LogReader, session: str, seq: int) -> list[MessageRef]:
    """The messages of the request at ``seq``, in order: those of its parents, oldest first, then its own.

    Of a branch the oldest are of the sessions that it left, and say so. Raises LogReadFailed where the chain does not
    hold.
    """
    requests: list[ModelRequested] = []
    at: EventPlace | None = EventPlace(session, seq)
    seen: set[str] = set()
    while at is not None:
        request = request_at(reader, at.session, at.seq)
        here, at = at, parent_of(request, at, seen)
        requests.append(request if here.session == session else _as_foreign(request, here.session))
    messages: list[MessageRef] = []
    for request in reversed(requests):
        messages = extend_messages(messages, request)
    return messages


def extend_messages(messages: list[MessageRef], request: ModelRequested) -> list[MessageRef]:
    """The messages of ``request``, whose parent has ``messages``."""
    if request.keep is None and not request.replaced:
        return [*messages, *request.append]
    own = [*messages]
    for replaced in request.replaced:
        own[replaced.at] = replaced.ref
    kept = own if request.keep is None else [ref for kept in request.keep for ref in own[kept.start : kept.stop]]
    return [*kept, *request.append]


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
    return tuple(structs.replace(ref, session=ref.session or session) for ref in refs)


def _as_foreign(request: ModelRequested, session: str) -> ModelRequested:
    changes = [ReplacedMessage(each.at, foreign_refs([each.ref], session)[0]) for each in request.replaced]
    return structs.replace(request, append=foreign_refs(request.append, session), replaced=tuple(changes))


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
    """The body of a request: blobs are joined as they are, and not parsed."""
    head, tail = body_around(reader, request)
    sent = messages[count_stored(request) :]
    blobs = reader.blobs([ref.hash for ref in sent])
    return head + join_messages(request, sent, [blobs[ref.hash] for ref in sent]) + tail


def count_stored(request: ModelRequested) -> int:
    """How many messages of the prompt the server has itself: they are no part of the body."""
    return request.wire.stored if request.wire is not None else 0


def body_around(reader: Blobs, request: ModelRequested) -> tuple[bytes, bytes]:
    """What stands before and after the messages in the body of a request."""
    if request.wire is not None:
        return _join_pieces(reader, request.wire.before), _join_pieces(reader, request.wire.after)
    slots = {name: hash for name, hash in (("system", request.system), ("tools", request.tools)) if hash}
    blobs = reader.blobs(list(slots.values()))
    values = {name: canonical_json(value) for name, value in request.envelope.items()}
    values |= {name: blobs[hash] for name, hash in slots.items()} | {"messages": b""}
    written = {name: canonical_json(name) + b":" + value for name, value in values.items()}
    names = sorted(values)
    place = names.index("messages")
    head = b"{" + b",".join([*(written[name] for name in names[:place]), written["messages"]]) + b"["
    return head, b",".join([b"]", *(written[name] for name in names[place + 1 :])]) + b"}"


def join_messages(
    request: ModelRequested, refs: Sequence[MessageRef], data: Sequence[bytes], *, begun: bool = False
) -> bytes:
    """Messages as they stand in the body of ``request``; ``data``: what their blobs hold. ``begun``: others precede.

    The host writes canonical JSON with a comma between two; a harness writes what it likes, which the refs say.
    """
    if request.wire is None:
        joined = b",".join(data)
        return b"," + joined if begun and joined else joined
    return b"".join(_write_block(ref, block) for ref, block in zip(refs, data, strict=True))


def put_marks(text: str, marks: Sequence[Mark]) -> str:
    """``text`` with its marks, whose offsets rise."""
    pieces: list[str] = []
    at = 0
    for mark in marks:
        pieces += [text[at : mark.offset], mark.text]
        at = mark.offset
    return "".join(pieces) + text[at:]


def _write_block(ref: MessageRef, data: bytes) -> bytes:
    own = put_marks(data.decode(), ref.marks).encode() if ref.marks else data
    return ref.lead.encode() + own + ref.tail.encode()


def _join_pieces(reader: Blobs, pieces: Sequence[FramePiece]) -> bytes:
    blobs = reader.blobs([piece.blob for piece in pieces if piece.blob])
    return b"".join(blobs[piece.blob] if piece.blob else piece.text.encode() for piece in pieces)
