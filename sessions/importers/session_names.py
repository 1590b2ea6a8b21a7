"""What a session that was recorded elsewhere is called: its id, always the same, and its title."""

from __future__ import annotations

import hashlib
from typing import Final

from sessions import ulid

TITLE_CHARS: Final = 60
TIME_CHARS: Final = 10
"""Characters of an id that say when its session began."""


def session_id(key: str, at: int) -> str:
    """The id of the session that ``key`` names and that began ``at`` (Unix ms): always the same."""
    chance = int.from_bytes(hashlib.sha256(key.encode(errors="replace")).digest()[:10], "big")
    return ulid.encode((at & ((1 << 48) - 1)) << 80 | chance)


def id_ending(key: str) -> str:
    """How the id of the session that ``key`` names ends, whenever it began."""
    return session_id(key, 0)[TIME_CHARS:]


def title_of(task: str, otherwise: str, marks: str = "#<-=") -> str:
    """The first line that says something: it begins with none of the ``marks``."""
    lines = (line.strip() for line in task.splitlines())
    first = next((line for line in lines if line and line[0] not in marks), otherwise)
    return first if len(first) <= TITLE_CHARS else first[: TITLE_CHARS - 1].rstrip() + "…"
