"""Conversations that the model's server keeps: a request then names the reply it goes on from, and brings what is new.

What the log knows of such a conversation is the prompt all the same: the request whose reply was named, and that reply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.events.text import Blob, canonical_json
from sessions.gateway.dialects import Dialect
from sessions.gateway.dialects.base import HistoryName
from sessions.gateway.exchange import Exchange


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A reply that the server keeps. ``number``: that of its request among those of the harness; ``request`` and
    ``reply``: their seqs."""

    number: int
    request: int
    reply: int


@dataclass(frozen=True, slots=True)
class History:
    """What stands before the messages of a request that the server has. ``identity``: the same for two requests that go
    on from the same, "": the request has all of its conversation in it. ``reply``: what it goes on from, None: the log
    has nothing of it."""

    identity: str = ""
    reply: StoredReply | None = None

    @property
    def lead(self) -> tuple[str, ...]:
        """What stands for it before the identities of the request's own units."""
        return (self.identity,) if self.identity else ()

    @property
    def is_unread(self) -> bool:
        """Whether nobody knows what it holds."""
        return bool(self.identity) and self.reply is None


ALL_SENT: Final = History()
"""That of a request which has all of its conversation in it."""


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest reply in a conversation, and what its request was: the same request may come again for it."""

    response: str
    reply: StoredReply
    before: History
    chain: str


class StoredReplies:
    """The replies of one session that a later request may name. ``chain_of``: the hash of a conversation of units."""

    def __init__(self, chain_of: Callable[[Sequence[str]], str]) -> None:
        self._chain_of = chain_of
        self._replies: dict[str, StoredReply] = {}
        self._newest: dict[str, _Newest] = {}
        """By conversation."""

    def find(self, exchange: Exchange, units: Sequence[str], is_handed: Callable[[str], bool]) -> History:
        """What a request with these units goes on from.

        A conversation grows with each reply, so that the same words said again are another turn in it. They are the
        same request where the newest reply to it was lost: ``is_handed(chain)`` says whether that is known to have gone
        over.
        """
        name = exchange.dialect.history_of(exchange.request.fields)
        if name is None:
            return ALL_SENT
        newest = self._newest.get(name.id) if name.kind == "conversation" else None
        if newest is not None and not is_handed(newest.chain) and self._is_again(newest, units):
            return newest.before
        return self._after(name)

    def _is_again(self, newest: _Newest, units: Sequence[str]) -> bool:
        return self._chain_of([*newest.before.lead, *units]) == newest.chain

    def restore(self, dialect: Dialect, fields: Mapping[str, Any]) -> History:
        """What a request of an earlier host went on from; ask in the order of the log."""
        name = dialect.history_of(fields)
        return self._after(name) if name is not None else ALL_SENT

    def note(
        self,
        dialect: Dialect,
        fields: Mapping[str, Any],
        before: History,
        chain: str,
        response: str,
        reply: StoredReply,
    ) -> None:
        """The server has answered a request with these fields, which went on from ``before``: it calls its reply
        ``response``."""
        if not dialect.keeps_replies or not response:
            return
        self._replies[response] = reply
        name = dialect.history_of(fields)
        if name is not None and name.kind == "conversation":
            self._newest[name.id] = _Newest(response, reply, before, chain)

    def _after(self, name: HistoryName) -> History:
        if name.kind == "reply":
            return History(f"reply {name.id}", self._replies.get(name.id))
        newest = self._newest.get(name.id)
        if newest is None:
            return History(f"conversation {name.id}")
        return History(f"conversation {name.id} after {newest.response}", newest.reply)


def make_reply_refs(reply: ev.Event) -> list[tuple[ev.MessageRef, Blob]]:
    """A reply as the server has it in its conversation, a message an item; the first one stands for all of it."""
    assert isinstance(reply.body, ev.ModelReplied), "it is a reply"
    blobs = [Blob.of(canonical_json(_item_of(part))) for part in reply.body.parts]
    sources = [(reply.seq,), *[()] * len(blobs)]
    return [(ev.MessageRef(blob.hash, "assistant", own), blob) for blob, own in zip(blobs, sources, strict=False)]


def _item_of(part: TextPart | ReasoningPart | CallPart) -> dict[str, Any]:
    """A part as an item of Responses: the server's own where it is known."""
    if part.raw is not None:
        return part.raw
    if isinstance(part, CallPart):
        id = part.server_id or part.id
        return {"type": "function_call", "call_id": id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, ReasoningPart):
        return {"type": "reasoning", "summary": [{"type": "summary_text", "text": part.text}]}
    content = [{"type": "output_text", "text": part.text}]
    return {"type": "message", "role": "assistant", "content": content}
