"""Trajectories recorded elsewhere, imported as sessions to read and judge."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from sessions import events as ev
from sessions.events.states import ENDED
from sessions.events.text import Blob
from sessions.fold.families import next_child_address
from sessions.fold.recording import RecordingBook
from sessions.fold.summary import Summary
from sessions.host.child_imports import join_parent
from sessions.host.examination import examine
from sessions.host.handlers.context import HandlerContext, refusal, require_person
from sessions.host.protocol import Examined, ExamineFile, Imported, ImportFile
from sessions.host.wire import RpcError
from sessions.importers.base import ImportedSession, NoKnownFormat, as_copy
from sessions.importers.border import move_border, parents_first
from sessions.importers.continuation import Continuation, OtherRecording, continue_session
from sessions.log.codec import encode_body
from sessions.redaction import Redactor
from sessions.ulid import new_ulid

_HASH: Final = re.compile(rb'"([0-9a-f]{64})"')


@dataclass(slots=True)
class _WriteSet:
    """What a file adds to the log."""

    events: list[ev.NewEvent] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    """The new ids of sessions that are copied."""
    numbers: dict[str, Callable[[int], int]] = field(default_factory=dict)
    """Of sessions that the log has: from the file's seqs to the log's."""
    lengths: dict[str, int] = field(default_factory=dict)
    """How many events the sessions of the file have."""
    addresses: dict[str, str] = field(default_factory=dict)
    """What sessions are called by that are new or were looked up, by id; filled when the first is asked for."""

    def name_child(self, session: ImportedSession, known: Mapping[str, Summary]) -> str:
        """What a sub-agent is called by, "" for any other session."""
        begins = session.created.begins
        if begins is None or begins.kind != "child":
            return ""
        if not self.addresses.keys() >= known.keys():
            self.addresses = {id: summary.address for id, summary in known.items()} | self.addresses
        parent = self.addresses.get(begins.session, "")
        return next_child_address(parent, self.addresses.values()) if parent else ""


async def import_file(context: HandlerContext, call: ImportFile, actor: str) -> Imported:
    """Read the file off the loop, then commit all of it as one write set: a file is imported whole or not at all."""
    require_person(actor, "import a file")
    path = _absolute(call.path)
    from sessions.importers import files  # the readers of all formats are no part of the host's start

    try:
        found = await asyncio.to_thread(files.import_file, path, call.format)
    except NoKnownFormat as problem:
        raise RpcError("unknown_format", str(problem)) from problem
    async with AsyncExitStack() as turns:
        # From here to the commit nobody says anything of the sessions that are to go on.
        for name in sorted({session.session for session in found if context.writer.summary(session.session)}):
            await turns.enter_async_context(context.turn(name))
        made = _WriteSet()
        for session in parents_first(found):
            await _add_session(context, session, call, made)
        if not made.events:
            return Imported(sessions=(), events=0, known=tuple(made.known))
        # The request stands on the first event of the set, and the log finds the whole set by it.
        made.events[0] = msgspec.structs.replace(made.events[0], request=call.request)
        if secret := await asyncio.to_thread(_secret_in, context.keys.redactor(), made.events, made.blobs):
            # Not replaced: a request that holds it would no longer be what its hash says.
            raise refusal(f"{path.name} holds the value of your key {secret}: take it out of the file, then import it")
        answer = import_answer(await context.writer.append(*made.events, blobs=made.blobs))
    return msgspec.structs.replace(answer, known=tuple(made.known))


async def examine_file(context: HandlerContext, call: ExamineFile) -> Examined:
    """What an import would do; nothing is written."""
    try:
        return await asyncio.to_thread(examine, _absolute(call.path), call.format, context.reader)
    except NoKnownFormat as problem:
        raise RpcError("unknown_format", str(problem)) from problem


def import_answer(events: Sequence[ev.Event]) -> Imported:
    """The answer that ``events`` stand for. What could not be kept is in them, too."""
    books: dict[str, RecordingBook] = {}
    for event in events:
        books.setdefault(event.session, RecordingBook()).fold(event)
    new = {event.session for event in events if isinstance(event.body, ev.SessionCreated)}
    return Imported(
        sessions=tuple(name for name in books if name in new),
        events=len(events),
        warnings=tuple(line for book in books.values() for line in book.lines),
        continued=tuple(name for name in books if name not in new),
    )


def _absolute(path: str) -> Path:
    found = Path(path)
    if not found.is_absolute():
        raise refusal(f"{path} is not an absolute path")
    return found


async def _add_session(context: HandlerContext, session: ImportedSession, call: ImportFile, made: _WriteSet) -> None:
    """Add a session, or what is new of one that the log has. Raises RpcError where that is another one."""
    known = context.writer.summary(session.session)
    made.lengths[session.session] = len(session.events)
    if session.started_by is not None and (known is None or call.copy):
        session = await asyncio.to_thread(join_parent, session, context.writer.summaries(), context.reader)
    _require_parent(context, session, made, Path(call.path).name)
    session = move_border(session, made.copies, made.numbers)
    if known is not None and not call.copy:
        new = await asyncio.to_thread(_continue, context, known, session, Path(call.path).name)
        made.numbers[session.session] = new.number
        if new.events:
            made.events += new.events
            made.blobs += await asyncio.to_thread(_blobs_of, new.events, session.blobs)
        else:
            made.known.append(session.session)
        return
    if known is not None:
        made.copies[session.session] = new_ulid()
        session = as_copy(session, made.copies[session.session])
    number, child = context.writer.next_number(), made.name_child(session, context.writer.summaries())
    numbered = session.with_number(number, child)
    made.addresses[numbered.session] = numbered.created.address
    made.events += numbered.events
    made.blobs += numbered.blobs


def _require_parent(context: HandlerContext, session: ImportedSession, made: _WriteSet, name: str) -> None:
    """A branch without the session that it left is half a session. Raises RpcError where that is not there."""
    begins = session.created.begins
    if begins is None or begins.kind != "branch":
        return
    known = context.writer.summary(begins.session)
    last = made.lengths.get(begins.session, known.last_seq if known is not None else 0)
    if last >= begins.seq and (begins.session in made.lengths or _has_requests(context, session)):
        return
    what = "which is another one in this log" if last else "which is neither in the file nor in this log"
    raise refusal(
        f"{name} holds session {session.session}, a branch of session {begins.session} from its event {begins.seq} on, "
        f"{what}: import that one first, or export the branch again, with what it left"
    )


def _has_requests(context: HandlerContext, session: ImportedSession) -> bool:
    """Whether the log has the requests that those of the branch go on from."""
    places = {event.body.across for event in session.events if isinstance(event.body, ev.ModelRequested)}
    found = (context.reader.event(place.session, place.seq) for place in places if place is not None)
    return all(event is not None and event.kind == ev.ModelRequested.kind for event in found)


def _continue(context: HandlerContext, known: Summary, session: ImportedSession, name: str) -> Continuation:
    """What the file has beyond the log. Raises RpcError."""
    try:
        new = continue_session(context.reader.events(known.session), session)
    except OtherRecording as other:
        raise refusal(
            f"{name} holds session {known.address}, but begins otherwise than it does in this log ({other}): "
            "--copy imports it beside the other one"
        ) from other
    if new.events and known.state not in ENDED and known.origin != "import":
        raise refusal(f"{name} holds more of session {known.address}, which runs in this log itself: --copy copies it")
    return new


def _blobs_of(events: Iterable[ev.NewEvent], blobs: Sequence[Blob]) -> list[Blob]:
    """The blobs that these events name; messages name none."""
    named = {name for event in events for name in _HASH.findall(encode_body(event.body)[0])}
    return [blob for blob in blobs if blob.hash.encode() in named]


def _secret_in(redactor: Redactor, events: Sequence[ev.NewEvent], blobs: Sequence[Blob]) -> str:
    """The name of a key whose value is in what would be imported, "" if there is none."""
    if not redactor.longest:
        return ""
    texts = chain((encode_body(event.body)[0] for event in events), (blob.data for blob in blobs))
    return next((name for text in texts if (name := redactor.secret_in(text.decode(errors="replace")))), "")
