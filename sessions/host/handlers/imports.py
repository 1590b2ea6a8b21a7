"""Trajectories recorded elsewhere, imported as sessions to read and judge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import msgspec

from sessions import events as ev
from sessions import importers
from sessions.events.text import Blob
from sessions.fold.recording import RecordingBook
from sessions.host.handlers.context import HandlerContext, refusal, require_person
from sessions.host.protocol import Imported, ImportFile
from sessions.importers import ImportedSession, as_copy
from sessions.log.codec import encode_body
from sessions.redaction import Redactor
from sessions.ulid import new_ulid


async def import_file(context: HandlerContext, call: ImportFile, actor: str) -> Imported:
    """Read the file off the loop, then commit all of it as one write set: a file is imported whole or not at all."""
    require_person(actor, "import a file")
    path = Path(call.path)
    if not path.is_absolute():
        raise refusal(f"{call.path} is not an absolute path")
    found = await asyncio.to_thread(importers.import_file, path, call.format)
    events: list[ev.NewEvent] = []
    for session in found:
        events += _number_session(context, session, call).events
    # The request stands on the first event of the set, and the log finds the whole set by it.
    events[0] = msgspec.structs.replace(events[0], request=call.request)
    blobs = [blob for session in found for blob in session.blobs]
    if secret := await asyncio.to_thread(_secret_in, context.keys.redactor(), events, blobs):
        # Not replaced: a request that holds it would no longer be what its hash says.
        raise refusal(f"{path.name} holds the value of your key {secret}: take it out of the file, then import it")
    return import_answer(await context.writer.append(*events, blobs=blobs))


def import_answer(events: Sequence[ev.Event]) -> Imported:
    """The answer that ``events`` stand for. What could not be kept is in them, too."""
    books: dict[str, RecordingBook] = {}
    for event in events:
        books.setdefault(event.session, RecordingBook()).fold(event)
    warnings = tuple(line for book in books.values() for line in book.lines)
    return Imported(sessions=tuple(books), events=len(events), warnings=warnings)


def _secret_in(redactor: Redactor, events: Sequence[ev.NewEvent], blobs: Sequence[Blob]) -> str:
    """The name of a key whose value is in what would be imported, "" if there is none."""
    if not redactor.longest:
        return ""
    texts = chain((encode_body(event.body)[0] for event in events), (blob.data for blob in blobs))
    return next((name for text in texts if (name := redactor.secret_in(text.decode(errors="replace")))), "")


def _number_session(context: HandlerContext, session: ImportedSession, call: ImportFile) -> ImportedSession:
    known = context.writer.summary(session.session)
    if known is not None:
        if not call.copy:
            raise refusal(
                f"{Path(call.path).name} holds session {known.number}, which is in this log: --copy copies it"
            )
        session = as_copy(session, new_ulid())
    return session.with_number(context.writer.next_number())
