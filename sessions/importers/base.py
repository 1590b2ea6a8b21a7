"""What every importer gives: a session as the events and blobs that the host would append."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from msgspec import structs

from sessions.errors import ApolloError
from sessions.events import NewEvent, RecordingRead, SessionCreated
from sessions.events.messages import Usage
from sessions.events.text import Blob
from sessions.importers.control_tokens import say_control_tokens

ACTOR: Final = "import"
"""Who did what an importer had to make up."""
ELSEWHERE: Final = "recorded elsewhere"
"""Why an imported session is in the state that it is in."""
UNFINISHED: Final = "imported before it had ended"
"""Reason of the state event that an import adds to a session which had not ended: nothing may go on by itself."""
CONTINUED: Final = "goes on in a later file"
"""Reason of the state event that an import adds where a session goes on that had not ended.

An export leaves out both, so that export, import, export gives the same bytes, however often it is imported meanwhile.
"""


class CannotImport(ApolloError):
    """The file cannot be imported, and nothing of it was; one line says why."""


class NoKnownFormat(CannotImport):
    """The file is a recording of no kind that is known here."""


@dataclass(frozen=True, slots=True)
class Starter:
    """What started a sub-agent whose file was read alone, so that a log which has it can be asked.

    ``ending``: how the session's id ends, which its name alone decides. ``call``: the id of the call, ``prompt``: what
    it was told; "" where the file does not say.
    """

    ending: str
    call: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class ImportedSession:
    """One session, whole and in order: its first event gets seq 1, and events refer to each other by that.

    Its number on the board is 0: the host gives it one when it appends. ``warnings`` are lines for a person, of the
    session as a whole; ``with_source`` puts them into its events. ``usage`` and ``cost``: see RecordingRead.
    """

    session: str
    events: list[NewEvent]
    blobs: list[Blob]
    warnings: list[str] = field(default_factory=list)
    usage: Usage | None = None
    cost: float | None = None
    started_by: Starter | None = None
    """Of a child whose parent is not in the file."""

    @property
    def created(self) -> SessionCreated:
        """Its first event."""
        body = self.events[0].body
        assert isinstance(body, SessionCreated)
        return body

    def with_number(self, number: int, child_address: str = "") -> ImportedSession:
        """The same session with its number on the board, or what it is called by as a sub-agent."""
        created = structs.replace(self.created, number=number, child_address=child_address)
        first = structs.replace(self.events[0], body=created)
        return replace(self, events=[first, *self.events[1:]])

    def with_source(self, file: str) -> ImportedSession:
        """The same session, which says at its end what file it came of and what of it could not be kept."""
        control = say_control_tokens(self.blobs)
        notes = (*self.warnings, control) if control else tuple(self.warnings)
        read = RecordingRead(file=file, notes=notes, usage=self.usage, cost=self.cost)
        return replace(self, events=[*self.events, NewEvent(self.session, read, actor=ACTOR, at=self.events[-1].at)])


def as_copy(imported: ImportedSession, session: str) -> ImportedSession:
    """The same session under a new id, for a log that has the old one already. It says what it is a copy of."""
    created = structs.replace(imported.created, meta={**imported.created.meta, "copy_of": imported.session})
    events = [structs.replace(event, session=session) for event in imported.events]
    events[0] = structs.replace(events[0], body=created)
    return replace(imported, session=session, events=events)
