"""Our own ``raw`` format (docs/formats.md): what a log says about a session, nothing left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from sessions.events import NewEvent, SessionCreated, StateChanged
from sessions.events.states import ENDED, may_change
from sessions.events.text import Blob, canonical_json
from sessions.importers.base import ACTOR, UNFINISHED, CannotImport, ImportedSession
from sessions.importers.packed import TRUNCATED, open_unpacked
from sessions.log.codec import UnknownEvent, decode_body
from sessions.ulid import is_ulid

VERSION: Final = 1


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """Any line of the file; which one it is, the fields say."""

    apollo: str = ""
    v: int = 0
    session: str = ""
    event: dict[str, Any] | None = None
    blob: str = ""
    text: str | None = None
    base64: str | None = None
    end: str = ""
    events: int = 0
    blobs: int = 0


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seq: int
    kind: str
    v: int
    at: int
    actor: str
    body: dict[str, Any]
    step: int | None = None
    call: int | None = None


@dataclass(slots=True)
class _OpenSession:
    """A session whose end was not read yet."""

    session: str
    events: list[NewEvent] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    state: str = ""


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is in this format."""
    return head.startswith(b'{"apollo":"raw"')


def parse(path: Path) -> list[ImportedSession]:
    """All sessions of the file. Raises CannotImport with the number of the line that is wrong."""
    found: list[ImportedSession] = []
    current: _OpenSession | None = None
    for number, line in _lines(path):
        where = f"{path.name}, line {number}"
        if line.apollo:
            current = _begin_session(line, current, where)
        elif current is None:
            raise CannotImport(f"{where}: no session has begun here")
        elif line.event is not None:
            _add_event(current, line.event, where)
        elif line.blob:
            current.blobs.append(_blob(line, where))
        elif line.end:
            found.append(_end_session(current, line, where))
            current = None
        else:
            raise CannotImport(f"{where}: neither an event nor a blob nor an end")
    if current is not None:
        raise CannotImport(f"{path.name}: session {current.session} has no end: the file is cut off")
    return found


def _lines(path: Path) -> Iterator[tuple[int, _Line]]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        with open_unpacked(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        if str(problem) == TRUNCATED:
            raise CannotImport(f"{path.name} is cut off in the middle of a line: nothing of it is imported") from None
        raise CannotImport(f"{path.name}: a line is not as the raw format has it: {problem}") from problem


def _begin_session(line: _Line, before: _OpenSession | None, where: str) -> _OpenSession:
    if line.apollo != "raw" or line.v != VERSION:
        raise CannotImport(
            f"{where}: {line.apollo} version {line.v} is not known here; this Apollo reads raw {VERSION}"
        )
    if before is not None:
        raise CannotImport(f"{where}: session {before.session} has no end")
    # The id becomes the name of a folder: nothing but a ULID may.
    if not is_ulid(line.session):
        raise CannotImport(f"{where}: {line.session[:40]!r} is no session id")
    return _OpenSession(line.session)


def _add_event(current: _OpenSession, value: dict[str, Any], where: str) -> None:
    try:
        event = msgspec.convert(value, _Event)
    except msgspec.ValidationError as problem:
        raise CannotImport(f"{where}: {problem}") from problem
    if event.seq != len(current.events) + 1:
        raise CannotImport(f"{where}: event {event.seq} follows event {len(current.events)}: something is missing")
    first = event.kind == SessionCreated.kind
    if first != (event.seq == 1):
        raise CannotImport(f"{where}: a session begins with {SessionCreated.kind}, and has it once")
    data = {**event.body, "number": 0} if first else event.body
    body = decode_body(event.kind, event.v, canonical_json(data))
    if isinstance(body, UnknownEvent):
        raise CannotImport(f"{where}: {event.kind} cannot be read: {body.problem}")
    if isinstance(body, StateChanged):
        if not may_change(current.state, body.state) and current.state != body.state:  # type: ignore[arg-type]  # a State
            raise CannotImport(f"{where}: a session cannot go from {current.state} to {body.state}")
        current.state = body.state
    elif first:
        current.state = "created"
    new = NewEvent(current.session, body, event.step, event.call, event.actor, None, event.at)
    current.events.append(new)


def _blob(line: _Line, where: str) -> Blob:
    try:
        data = line.text.encode() if line.text is not None else base64.b64decode(line.base64 or "", validate=True)
    except (binascii.Error, UnicodeEncodeError) as problem:
        raise CannotImport(f"{where}: the blob cannot be decoded: {problem}") from problem
    blob = Blob.of(data)
    if blob.hash != line.blob:
        raise CannotImport(f"{where}: the blob's content does not have the hash {line.blob[:12]}…: the file is damaged")
    return blob


def _end_session(current: _OpenSession, line: _Line, where: str) -> ImportedSession:
    if (line.end, line.events, line.blobs) != (current.session, len(current.events), len(current.blobs)):
        raise CannotImport(f"{where}: the end does not match what came before: the file is damaged")
    if not current.events:
        raise CannotImport(f"{where}: session {current.session} has no events")
    warnings: list[str] = []
    if current.state not in ENDED:
        last = current.events[-1].at
        ended = StateChanged(state="stopped", reason=UNFINISHED)
        current.events.append(NewEvent(current.session, ended, actor=ACTOR, at=last))
        warnings.append(f"session {current.session} was {current.state} when it was exported; here it is stopped")
    return ImportedSession(current.session, current.events, current.blobs, warnings)
