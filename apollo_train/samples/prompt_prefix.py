"""What prompts share: between two summaries each begins with all of the one before it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apollo_train.samples.chat import Turn
from sessions import events as ev
from sessions.log.rebuild import count_stored, join_messages

PIECE: Final = 1 << 15
"""Bytes of a prompt's JSON in a piece: what is whole is shared with the prompts after it, not copied."""


@dataclass(slots=True)
class PromptPrefixCache:
    """What was made of a prompt, for the request that extends it.

    A prompt is a list of refs, each of a message in the log. Turns, sources, JSON and hash are each kept with the
    number of refs (JSON: of turns) that they cover, and go on from there:

        step 40, 80 refs: ``turns`` covers 80
        step 41, 82 refs: takes the cache of step 40 over, makes the turns of refs 81 and 82, ``turns`` covers 82

    So a step costs what it adds, not its whole prompt. What is in it is replaced, never changed in place: a parent can
    still be asked after its child, and two children may share a parent.
    """

    turns: list[Turn] | None = None
    """The turns of the first ``turn_refs`` refs, after those of the system prompt; None: nothing was made yet."""
    turn_refs: int = 0
    sources: frozenset[int] = frozenset()
    source_refs: int = 0
    pieces: tuple[bytes, ...] = ()
    """The first ``piece_turns`` turns as JSON, with commas between them."""
    piece_turns: int = 0
    hash_state: Any = None
    """The state of the hash after ``hash_head`` and the first ``hash_refs`` refs."""
    hash_head: bytes = b""
    hash_refs: int = 0

    def copy_for_child(self, *, same_system: bool) -> PromptPrefixCache:
        """The cache of a request that extends this one; with another system prompt its turns begin anew."""
        child = PromptPrefixCache()  # dataclasses.replace takes six times as long, for each step
        child.sources, child.source_refs = self.sources, self.source_refs
        child.hash_state, child.hash_head, child.hash_refs = self.hash_state, self.hash_head, self.hash_refs
        if same_system:
            child.turns, child.turn_refs = self.turns, self.turn_refs
            child.pieces, child.piece_turns = self.pieces, self.piece_turns
        return child

    def collect_sources(self, refs: Sequence[ev.MessageRef]) -> frozenset[int]:
        """All events that the messages were made from."""
        if self.source_refs < len(refs):
            self.sources = self.sources.union(*[ref.sources for ref in refs[self.source_refs :]])
            self.source_refs = len(refs)
        return self.sources

    def dump_turns(self, turns: Sequence[Turn]) -> tuple[bytes, ...]:
        """The turns as JSON in pieces, with commas between them: those of the parent and what came after."""
        if self.piece_turns < len(turns):
            more = b",".join([turn.json for turn in turns[self.piece_turns :]])
            if self.piece_turns:
                more = b"," + more
            pieces = self.pieces
            if pieces and len(pieces[-1]) < PIECE:
                pieces, more = pieces[:-1], pieces[-1] + more
            self.pieces, self.piece_turns = (*pieces, more), len(turns)
        return self.pieces

    def hash_body(
        self,
        head: bytes,
        request: ev.ModelRequested,
        refs: Sequence[ev.MessageRef],
        tail: bytes,
        read: Callable[[list[str]], list[bytes]],
    ) -> str:
        """SHA-256 of ``head``, the messages as ``request`` has them, and ``tail``; ``read`` gives messages by hash."""
        if stored := count_stored(request):  # the body begins in the middle of the prompt, and goes on from no other
            sent = refs[stored:]
            data = join_messages(request, sent, read([ref.hash for ref in sent]))
            return hashlib.sha256(head + data + tail).hexdigest()
        if self.hash_state is None or self.hash_head != head:
            self.hash_state, self.hash_head, self.hash_refs = hashlib.sha256(head), head, 0
        done = self.hash_refs
        state = self.hash_state.copy()
        state.update(join_messages(request, refs[done:], read([ref.hash for ref in refs[done:]]), begun=bool(done)))
        self.hash_state, self.hash_refs = state, len(refs)
        whole = state.copy()
        whole.update(tail)
        return str(whole.hexdigest())
