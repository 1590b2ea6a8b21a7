"""Where one imported session leaves another one: what a branch begins with."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from msgspec import structs

from sessions import events as ev
from sessions.events.seq_references import renumber_left
from sessions.events.text import Blob
from sessions.importers.base import ImportedSession

BEGINNING: Final = ("session.created", "session.state")
"""The events with which every session begins."""


HeldBlobs = dict[str, Blob] | ChainMap[str, Blob]
"""The blobs of a session, and of a branch those of what it left."""


@dataclass(frozen=True, slots=True)
class Border:
    """Where another session begins: what this one was, and what its context held, after the event ``seq``."""

    session: str
    seq: int
    task: str | None
    task_id: str
    system: str
    messages: tuple[ev.MessageRef, ...]
    blobs: HeldBlobs
    tools: Sequence[Any] = ()
    request: ev.EventPlace | None = None
    """The newest request whose messages the context begins with; the first request of the branch goes on from it."""
    held: int = 0
    """How many messages that request has."""

    def join_blobs(self, own: dict[str, Blob]) -> HeldBlobs:
        """The blobs of a branch, and those that its context has from before."""
        return ChainMap(own, *(self.blobs.maps if isinstance(self.blobs, ChainMap) else [self.blobs]))

    @classmethod
    def before(cls, session: ImportedSession) -> Border:
        """The border before the first turn of a session: what begins there shares nothing of it but the place."""
        created = session.created
        return cls(session.session, len(BEGINNING), None, created.task_id, "", (), {})


Number = Callable[[int], int]
"""From the seqs of a file to those of the log."""


def move_border(session: ImportedSession, names: Mapping[str, str], numbers: Mapping[str, Number]) -> ImportedSession:
    """The session, which names what it left as the log does.

    ``names``: new ids of sessions that are copied. ``numbers``: of sessions that the log has.
    """
    if session.created.begins is None or not (names or numbers):
        return session

    def place(name: str, seq: int) -> tuple[str, int]:
        return names.get(name, name), numbers[name](seq) if name in numbers else seq

    events = [structs.replace(event, body=renumber_left(event.body, place)) for event in session.events]
    return replace(session, events=events)


def parents_first(found: Sequence[ImportedSession]) -> list[ImportedSession]:
    """The sessions of a file, each after the one that it left or was started by."""
    left = {one.session: one for one in found}
    placed: list[ImportedSession] = []
    while left:
        ready = [one for one in left.values() if one.created.begins is None or one.created.begins.session not in left]
        for one in ready or [*left.values()]:
            placed.append(left.pop(one.session))
    return placed
