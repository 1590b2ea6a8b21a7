"""Ids of calls, unique in what a model is sent: in a reply and over a session, however its server numbers its calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import count
from typing import Final

import msgspec

from sessions.events.messages import CallPart, Part

_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
_NUMBERED: Final = re.compile(r"(.*[:._-])(\d{1,9})", re.DOTALL)
_NINE: Final = re.compile(r"[a-zA-Z0-9]{9}")
"""The only form that Mistral takes."""
MOST_CHARS: Final = 40
"""Some servers take no longer ids."""


def plain_id(id: str) -> str:
    """``id`` with the characters that every server takes; others become ``_``."""
    return _ODD.sub("_", id) or "call"


class CallIds:
    """The ids that a session's calls have so far. Two that are the same to the strictest server count as one."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def make_unique(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """``parts`` of the next reply: a call whose id another one has gets one of its own, in the server's manner."""
        return tuple(self._take(part) if isinstance(part, CallPart) else part for part in parts)

    def _take(self, part: CallPart) -> CallPart:
        plain = plain_id(part.id)
        if part.id and plain not in self._taken:
            self._taken.add(plain)
            return part
        fresh = self._find_free(part.id or "call")
        self._taken.add(plain_id(fresh))
        return msgspec.structs.replace(part, id=fresh, server_id=part.server_id or part.id)

    def _find_free(self, id: str) -> str:
        """An id that is free and looks like ``id``: ``run:0`` is followed by ``run:1``."""
        if _NINE.fullmatch(id):
            tries = (_digest(id, number)[:9] for number in count(1))
            return next(fresh for fresh in tries if fresh not in self._taken)
        numbered = _NUMBERED.fullmatch(id)
        stem, first = (numbered[1], int(numbered[2]) + 1) if numbered else (f"{id}_", 2)
        if len(stem) > MOST_CHARS - 6 and len(id) <= MOST_CHARS:
            stem, first = f"call_{_digest(id, 0)[:16]}_", 2
        number = max(first, self._numbers.get(stem, 0))
        while plain_id(f"{stem}{number}") in self._taken:
            number += 1
        self._numbers[stem] = number + 1
        return f"{stem}{number}"


def _digest(id: str, number: int) -> str:
    return hashlib.sha256(f"{id}\0{number}".encode(errors="replace")).hexdigest()
