"""What a file is, and what an import of it would do: read, compared with the log, and nothing written."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sessions import events as ev
from sessions.fold.recording import RecordingBook
from sessions.host.protocol import Examined, ExaminedSession
from sessions.importers.base import ImportedSession
from sessions.importers.border import Number, move_border, parents_first
from sessions.importers.continuation import OtherRecording, continue_session
from sessions.log.reader import LogReader


def examine(path: Path, format: str, reader: LogReader | None) -> Examined:
    """The file's format and sessions; ``reader``: of the log, None where there is none yet. Raises CannotImport."""
    from sessions.importers.files import read_recording  # the readers of all formats are no part of the host's start

    name, found = read_recording(path, format)
    numbers: dict[str, Number] = {}
    seen: dict[str, ExaminedSession] = {}
    for one in parents_first(found):
        seen[one.session] = _examine_session(move_border(one, {}, numbers), reader, numbers)
    sessions = tuple(seen[session.session] for session in found)
    return Examined(name, sessions, tuple(line for session in found for line in _notes(session)))


def _examine_session(session: ImportedSession, reader: LogReader | None, numbers: dict[str, Number]) -> ExaminedSession:
    """``numbers``: of the sessions before it that the log has; this one is added."""
    created = session.created
    steps = _steps(session.events)
    seen = ExaminedSession(session.session, created.title, created.task, steps, len(session.events))
    known = reader.summary(session.session) if reader is not None else None
    if known is None or reader is None:
        return seen
    about = {"address": known.address}
    try:
        found = continue_session(reader.events(session.session), session)
    except OtherRecording as other:
        return _with(seen, standing="other", problem=str(other), **about)
    numbers[session.session] = found.number
    if not found.events:
        return _with(seen, standing="known", **about)
    return _with(seen, standing="longer", new_steps=_steps(found.events), **about)


def _notes(session: ImportedSession) -> list[str]:
    book = RecordingBook()
    for event in session.events:
        book.fold(event)
    return book.lines or session.warnings


def _with(seen: ExaminedSession, **more: object) -> ExaminedSession:
    return msgspec.structs.replace(seen, **more)


def _steps(events: list[ev.NewEvent]) -> int:
    return sum(isinstance(event.body, ev.ModelReplied | ev.ReplyInterrupted) for event in events)
