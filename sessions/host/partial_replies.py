"""Replies under way, from their beginning: what streams to clients and is never stored.

A client is sent what it has not yet seen of each part, so a slow one gets fewer and longer frames, a new one the
whole reply so far, and no queue grows for anybody. The agent only appends here and never waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Literal

from sessions.host.protocol import DeltaFrame
from sessions.providers.base import Delta

EVERY = "*"
"""In a subscription: the frames of all sessions."""


@dataclass(slots=True)
class _Part:
    channel: Literal["reasoning", "text", "call"]
    name: str = ""
    length: int = 0
    _pieces: list[str] = field(default_factory=list)

    def append(self, text: str) -> None:
        self._pieces.append(text)
        self.length += len(text)

    def after(self, offset: int) -> str:
        if len(self._pieces) > 1:
            self._pieces[:] = ["".join(self._pieces)]
        return self._pieces[0][offset:] if self._pieces else ""


@dataclass(slots=True)
class _Reply:
    step: int
    attempt: int
    parts: dict[int, _Part] = field(default_factory=dict)


@dataclass(slots=True)
class _Sent:
    step: int
    attempt: int
    offsets: dict[int, int] = field(default_factory=dict)


class Cursor:
    """How much of each reply one client has been sent, for the sessions that it wants."""

    def __init__(self, wanted: Collection[str] = ()) -> None:
        self._wanted = frozenset(wanted)
        self._seen: dict[str, _Sent] = {}

    def wants(self, session: str) -> bool:
        """Whether the client asked for this session's frames."""
        return EVERY in self._wanted or session in self._wanted

    def offsets(self, session: str, reply: _Reply) -> dict[int, int]:
        """What was sent of ``reply``, by part; nothing yet if it is a new step or a new attempt."""
        seen = self._seen.get(session)
        if seen is None or (seen.step, seen.attempt) != (reply.step, reply.attempt):
            seen = self._seen[session] = _Sent(reply.step, reply.attempt)
        return seen.offsets


class PartialReplies:
    """All replies under way, one per session at most."""

    def __init__(self) -> None:
        self._replies: dict[str, _Reply] = {}

    def add(self, session: str, step: int, attempt: int, delta: Delta) -> None:
        """Append a piece; a new step or attempt begins the reply anew."""
        reply = self._replies.get(session)
        if reply is None or (reply.step, reply.attempt) != (step, attempt):
            reply = self._replies[session] = _Reply(step, attempt)
        part = reply.parts.get(delta.index)
        if part is None:
            part = reply.parts[delta.index] = _Part(delta.channel)
        if delta.name:
            part.name = delta.name
        part.append(delta.text)

    def clear(self, session: str) -> None:
        """The reply is in the log (or will never be): nobody needs its pieces any more."""
        self._replies.pop(session, None)

    def frames(self, cursor: Cursor) -> Iterator[DeltaFrame]:
        """What the client behind ``cursor`` has not been sent yet; counts as sent."""
        for session, reply in self._replies.items():
            if not cursor.wants(session):
                continue
            offsets = cursor.offsets(session, reply)
            for index, part in reply.parts.items():
                offset = offsets.get(index)
                if offset is not None and offset == part.length:
                    continue
                offsets[index] = part.length
                yield DeltaFrame(
                    session=session,
                    step=reply.step,
                    attempt=reply.attempt,
                    index=index,
                    channel=part.channel,
                    offset=offset or 0,
                    text=part.after(offset or 0),
                    name=part.name,
                )
