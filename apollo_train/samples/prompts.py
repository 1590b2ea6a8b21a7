"""The prompt of each request as chat messages.

It follows the chain of requests in the log, as the host does, and keeps in memory only what the requests around the
current one share: the messages of one context.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import msgspec

from apollo_train.masks.annotations import Annotations
from apollo_train.samples import chat
from apollo_train.samples.chat import Turn
from apollo_train.samples.prompt_prefix import PromptPrefixCache
from sessions import events as ev
from sessions.fold.prompt import messages_of
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader
from sessions.log.rebuild import body_around, extend_messages, request_chain

KEPT: Final = 4096
"""Messages that are kept decoded; a context rarely has more."""
NODES: Final = 4
"""Requests whose chain is remembered: the current one, its parent, and a summary's between them."""
AHEAD: Final = 64
"""Requests (and their messages) that are read at once: they are asked for in order."""


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
    prefix: PromptPrefixCache

    @property
    def sources(self) -> frozenset[int]:
        """All events that it was made from; found when somebody asks, because few sessions have advice."""
        return self.prefix.collect_sources(self.refs)

    def dump(self) -> tuple[bytes, ...]:
        """The turns as JSON in pieces, with commas between them."""
        return self.prefix.dump_turns(self.turns)


@dataclass(slots=True)
class RequestNode:
    """A request in its chain, and the refs of its whole prompt, of which nothing is read yet."""

    seq: int
    request: ev.ModelRequested
    refs: list[ev.MessageRef]
    root: int
    """The first request of the chain."""
    prefix: PromptPrefixCache


class Prompts:
    """Prompts of one session, by the seq of their request; ask in the order of the log."""

    def __init__(self, reader: LogReader, judged: Annotations) -> None:
        self._reader = reader
        self._judged = judged
        self._nodes: dict[int, RequestNode] = {}
        self._ahead: dict[int, ev.ModelRequested] = {}
        self._wire: dict[str, bytes] = {}
        self._turns: dict[ev.MessageRef, list[Turn]] = {}
        self._tools: dict[str, list[dict[str, Any]]] = {}
        self._frame: tuple[ev.ModelRequested, bytes, bytes] | None = None

    def of(self, request: int) -> Prompt:
        """The prompt of the request at this seq. Raises LogReadFailed if the log does not hold it whole."""
        node = self.node(request)
        prefix = node.prefix
        turns, done = prefix.turns, prefix.turn_refs
        if turns is None or done < len(node.refs):
            self._load(node, done)
            turns = [*turns] if turns is not None else self._system(node.request)
            for ref in node.refs[done:]:
                turns += self._turns_of(ref, node.request)
            prefix.turns, prefix.turn_refs = turns, len(node.refs)
        return Prompt(node.request, request, node.refs, turns, self._tools_of(node.request), node.root, prefix)

    def exact(self, prompt: Prompt) -> bool:
        """Whether the rebuilt body has the hash that the log says was sent."""
        head, tail = self._around(prompt.request)
        digest = prompt.prefix.hash_body(head, prompt.request, prompt.refs, tail, self._read_sent)
        return digest == prompt.request.sha256

    def starts(self, prompt: Prompt) -> list[int]:
        """How many turns are before each message of the prompt, and before what follows the last."""
        first = len(self._system(prompt.request))
        if len(prompt.turns) == first + len(prompt.refs):  # one turn per message, as nearly all providers have it
            return list(range(first, len(prompt.turns) + 1))
        return list(accumulate((len(self._turns_of(ref, prompt.request)) for ref in prompt.refs), initial=first))

    def _read_sent(self, names: list[str]) -> list[bytes]:
        """What these messages were sent as."""
        try:
            return [self._wire[name] for name in names]
        except KeyError:
            held = self.blobs(names)
            return [held[name] for name in names]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        """Blobs by hash, from memory where they are there."""
        missing = [name for name in hashes if name not in self._wire]
        more = self._reader.blobs(missing) if missing else {}
        return {name: self._wire.get(name) or more[name] for name in hashes}

    def node(self, seq: int) -> RequestNode:
        """The request and its chain, without its messages. Raises LogReadFailed where the chain does not hold."""
        known = self._nodes.get(seq)
        if known is not None:
            return known
        request = self._ahead.get(seq)
        if request is not None and request.parent is not None and seq > request.parent in self._nodes:
            return self._keep(_extend(self._nodes[request.parent], seq, request))
        path: list[tuple[int, ev.ModelRequested]] = []
        at: int | None = seq
        while at is not None and at not in self._nodes:
            request = self._request(at, backwards=bool(path))
            path.append((at, request))
            if request.parent is not None and request.parent >= at:
                raise LogReadFailed(f"request {at} of session {self._judged.session} names a later parent")
            at = request.parent
        before = self._nodes[at] if at is not None else None
        first, oldest = path[-1] if path else (0, None)
        if before is None and oldest is not None and oldest.across is not None:
            refs = self._refs_before(oldest.across)
            before = _extend(None, first, msgspec.structs.replace(oldest, append=refs))
        for found, request in reversed(path):
            before = _extend(before, found, request)
            self._keep(before)
        return self._nodes[seq]

    def _refs_before(self, across: ev.EventPlace) -> tuple[ev.MessageRef, ...]:
        """The messages that a branch begins with. Seqs of another session say nothing of this one's events."""
        if across.session == self._judged.session:
            raise LogReadFailed(f"session {across.session} is a branch of itself")
        return tuple(
            ev.MessageRef(ref.hash, ref.role) for ref in request_chain(self._reader, across.session, across.seq)
        )

    def _keep(self, node: RequestNode) -> RequestNode:
        self._nodes[node.seq] = node
        if len(self._nodes) > 2 * NODES:
            for old in sorted(self._nodes)[:-NODES]:
                del self._nodes[old]
        return node

    def _request(self, seq: int, *, backwards: bool) -> ev.ModelRequested:
        if seq not in self._ahead:
            session, kinds = self._judged.session, ("model.request",)
            if backwards:
                found = self._reader.events(session, before=seq + 1, kinds=kinds, limit=AHEAD, newest_first=True)
            else:
                found = self._reader.events(session, after=seq - 1, kinds=kinds, limit=AHEAD)
            self._ahead = {e.seq: e.body for e in found if isinstance(e.body, ev.ModelRequested)}
        if seq not in self._ahead:
            raise LogReadFailed(f"event {seq} of session {self._judged.session} is no model request")
        return self._ahead[seq]

    def _around(self, request: ev.ModelRequested) -> tuple[bytes, bytes]:
        """What is before and after the messages in the request's canonical body (sessions.log.rebuild.assemble)."""
        if self._frame is None or not _same_frame(self._frame[0], request):
            self._frame = (request, *body_around(self._reader, request))
        return self._frame[1:]

    def _system(self, request: ev.ModelRequested) -> list[Turn]:
        if not request.system:
            return []
        system = chat.system_of_wire(msgspec.json.decode(self._reader.blob(request.system)))
        return [Turn(system)] if system else []

    def _load(self, node: RequestNode, done: int) -> None:
        """Read the messages of the prompt that are not in memory, and those of the next requests with them.

        The first ``done`` messages are turns already.
        """
        refs = node.refs
        missing = [ref.hash for ref in refs[done:] if ref.hash not in self._wire]
        if not missing:
            return
        later = (ref.hash for seq, request in self._ahead.items() if seq > node.seq for ref in request.append)
        ahead = [name for name in later if name not in self._wire]
        if len(self._wire) + len(missing) + len(ahead) > KEPT:
            wanted = {ref.hash for ref in refs}
            self._wire = {name: data for name, data in self._wire.items() if name in wanted}
            self._turns = {ref: made for ref, made in self._turns.items() if ref.hash in wanted}
        try:
            self._wire |= self._reader.blobs(missing + ahead)
        except LogReadFailed:  # what is missing may belong to a later request only
            self._wire |= self._reader.blobs(missing)

    def _turns_of(self, ref: ev.MessageRef, request: ev.ModelRequested) -> list[Turn]:
        made = self._turns.get(ref)
        if made is None:
            wire = msgspec.json.decode(self._wire[ref.hash])
            dialect = request.wire.dialect if request.wire is not None else "chat"
            # Beside Chat Completions a reply is several blocks, of which the first one stands for all.
            whole = dialect == "chat" or (
                isinstance(wire, dict) and wire.get("role") in ("user", "system", "developer")
            )
            sent = chat.chat_of_wire(wire) if whole else chat.chat_of_block(wire, ref.role)
            if sent is None and request.wire is not None and not ref.sources:
                made = []
            else:
                made = [Turn(sent, ref.sources)] if sent else self._neutral(ref, wire)
            self._turns[ref] = made
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


def _extend(before: RequestNode | None, seq: int, request: ev.ModelRequested) -> RequestNode:
    refs = extend_messages(before.refs if before is not None else [], request)
    if any(ref.session for ref in request.append):
        refs = [msgspec.structs.replace(ref, sources=(), session="") if ref.session else ref for ref in refs]
    if before is None:
        return RequestNode(seq, request, refs, seq, PromptPrefixCache())
    if request.keep is None and not request.replaced:
        prefix = before.prefix.copy_for_child(same_system=before.request.system == request.system)
        return RequestNode(seq, request, refs, before.root, prefix)
    return RequestNode(seq, request, refs, before.root, PromptPrefixCache())


def _same_frame(one: ev.ModelRequested, other: ev.ModelRequested) -> bool:
    return (one.envelope, one.system, one.tools, one.wire) == (other.envelope, other.system, other.tools, other.wire)
