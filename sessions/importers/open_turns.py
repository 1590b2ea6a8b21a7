"""What a session that is being made still waits with: calls without a result, and words before there is a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sessions.events.recording import LostPart
from sessions.importers.reply_parts import Call

HarnessRole = Literal["user", "system", "developer", "assistant"]


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without a result; ``own`` is the id that it has in the log, unique in its reply."""

    number: int
    own: str
    call: Call
    at: int | None
    """When the file says that it was made."""


@dataclass(frozen=True, slots=True)
class Preface:
    """What a harness said before anybody had asked for anything."""

    text: str
    at: int | None
    lost: tuple[LostPart, ...]
    role: HarnessRole = "user"
