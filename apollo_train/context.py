"""The prompt of each request as chat messages, and what becomes of it when advice is left out.

It follows the chain of requests in the log, as the host does, and keeps in memory only what the requests around the
current one share: the messages of one context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from apollo_train import chat
from apollo_train.chat import Chat
from apollo_train.judgement import Judgement
from sessions.fold.prompt import messages_of
from sessions.log import events as ev
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader
from sessions.log.rebuild import assemble

KEPT: Final = 4096
"""Messages that are kept decoded; a context rarely has more."""
NODES: Final = 4
"""Requests whose chain is remembered: the current one, its parent, and a summary's between them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a prompt and the events it was made from."""

    chat: Chat
    sources: tuple[int, ...] = ()


@dataclass(slots=True)
class Prompt:
    """The whole prompt of a request."""

    request: ev.ModelRequested
    seq: int
    refs: list[ev.MessageRef]
    turns: list[Turn]
    tools: list[dict[str, Any]]
    root: int
    """The request that began this context: all requests up to the next summary share it."""


@dataclass(slots=True)
class _Node:
    request: ev.ModelRequested
    refs: list[ev.MessageRef] = field(default_factory=list)
    root: int = 0


class Prompts:
    """Prompts of one session, by the seq of their request; ask in the order of the log."""

    def __init__(self, reader: LogReader, judged: Judgement) -> None:
        self._reader = reader
        self._judged = judged
        self._nodes: dict[int, _Node] = {}
        self._wire: dict[str, bytes] = {}
        self._turns: dict[ev.MessageRef, list[Turn]] = {}
        self._tools: dict[str, list[dict[str, Any]]] = {}

    def of(self, request: int) -> Prompt:
        """The prompt of the request at this seq. Raises LogReadFailed if the log does not hold it whole."""
        node = self._node(request)
        self._load(node.refs)
        turns: list[Turn] = []
        if node.request.system:
            system = chat.system_of_wire(msgspec.json.decode(self._reader.blob(node.request.system)))
            turns += [Turn(system)] if system else []
        for ref in node.refs:
            turns += self._turns_of(ref)
        return Prompt(node.request, request, node.refs, turns, self._tools_of(node.request), node.root)

    def exact(self, prompt: Prompt) -> bool:
        """Whether the rebuilt body has the hash that the log says was sent."""
        body = assemble(self, prompt.request, prompt.refs)
        return hashlib.sha256(body).hexdigest() == prompt.request.sha256

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        """Blobs by hash, from memory where they are there."""
        missing = [name for name in hashes if name not in self._wire]
        more = self._reader.blobs(missing) if missing else {}
        return {name: self._wire.get(name) or more[name] for name in hashes}

    def _node(self, seq: int) -> _Node:
        path: list[tuple[int, ev.ModelRequested]] = []
        at: int | None = seq
        while at is not None and at not in self._nodes:
            event = self._reader.event(self._judged.session, at)
            if event is None or not isinstance(event.body, ev.ModelRequested):
                raise LogReadFailed(f"event {at} of session {self._judged.session} is no model request")
            path.append((at, event.body))
            if event.body.parent is not None and event.body.parent >= at:
                raise LogReadFailed(f"request {at} of session {self._judged.session} names a later parent")
            at = event.body.parent
        before = self._nodes[at] if at is not None else None
        for found, request in reversed(path):
            before = _extended(before, found, request)
            self._nodes[found] = before
        for old in sorted(self._nodes)[:-NODES]:
            del self._nodes[old]
        return self._nodes[seq]

    def _load(self, refs: Sequence[ev.MessageRef]) -> None:
        missing = [ref.hash for ref in refs if ref.hash not in self._wire]
        if not missing:
            return
        if len(self._wire) + len(missing) > KEPT:
            wanted = {ref.hash for ref in refs}
            self._wire = {name: data for name, data in self._wire.items() if name in wanted}
            self._turns = {ref: made for ref, made in self._turns.items() if ref.hash in wanted}
        self._wire |= self._reader.blobs(missing)

    def _turns_of(self, ref: ev.MessageRef) -> list[Turn]:
        made = self._turns.get(ref)
        if made is None:
            wire = msgspec.json.decode(self._wire[ref.hash])
            sent = chat.chat_of_wire(wire)
            made = self._turns[ref] = [Turn(sent, ref.sources)] if sent else self._neutral(ref, wire)
        return made

    def _neutral(self, ref: ev.MessageRef, wire: dict[str, Any]) -> list[Turn]:
        """The turns from the events they were made from: some providers send several of ours as one message."""
        session, wanted = self._judged.session, set(ref.sources)
        events = [event for seq in ref.sources if (event := self._reader.event(session, seq)) is not None]
        for event in list(events):
            if event.kind == "model.reply" and event.step is not None:
                step = (event.step, event.step)
                events += self._reader.events(session, steps=step, kinds=("action.refused",))
        events.sort(key=lambda event: event.seq)
        found = [m for m in messages_of(events, self._reader.text) if wanted.issuperset(m.sources)]
        if not found:
            raise LogReadFailed(f"a message of session {session} has no events that it was made from")
        reasoning = chat.wire_had_reasoning(wire)
        return [Turn(chat.chat_of_message(message, reasoning=reasoning), message.sources) for message in found]

    def _tools_of(self, request: ev.ModelRequested) -> list[dict[str, Any]]:
        if not request.tools:
            return []
        if request.tools not in self._tools:
            self._tools = {request.tools: chat.tools_of_wire(msgspec.json.decode(self._reader.blob(request.tools)))}
        return self._tools[request.tools]


def _extended(before: _Node | None, seq: int, request: ev.ModelRequested) -> _Node:
    if before is None:
        return _Node(request, list(request.append), seq)
    return _Node(request, [*before.refs, *request.append], before.root)
