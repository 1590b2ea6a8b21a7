"""Where one imported session leaves another one: what a branch begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sessions import events as ev
from sessions.events.text import Blob
from sessions.importers.base import ImportedSession

BEGINNING: Final = ("session.created", "session.state")
"""The events with which every session begins."""


@dataclass(frozen=True, slots=True)
class Border:
    """Where another session begins: what this one was, and what its context held, after the event ``seq``."""

    session: str
    seq: int
    task: str | None
    task_id: str
    system: str
    messages: tuple[ev.MessageRef, ...]
    blobs: dict[str, Blob]
    tools: Sequence[Any] = ()

    @classmethod
    def before(cls, session: ImportedSession) -> Border:
        """The border before the first turn of a session: what begins there shares nothing of it but the place."""
        created = session.created
        return cls(session.session, len(BEGINNING), None, created.task_id, "", (), {})
