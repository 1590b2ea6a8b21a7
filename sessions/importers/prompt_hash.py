"""The hash of each reconstructed prompt, of which only what is new is hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sessions import events as ev
from sessions.events.text import Blob
from sessions.log.rebuild import body_around


@dataclass(frozen=True, slots=True)
class _BlobsInMemory:
    """Where a request that is not in a log yet finds its blobs."""

    by_hash: Mapping[str, Blob]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        return {name: self.by_hash[name].data for name in hashes}


@dataclass(slots=True)
class PromptHash:
    """SHA-256 of the bodies that ``assemble`` makes of the requests of one context, one after the other."""

    _state: Any = None
    """That of the last body up to its messages, which the next one goes on from."""
    _frame: tuple[tuple[dict[str, Any], str | None], bytes, bytes] | None = None
    """Envelope and tools, and what they make of a body before and after its messages."""

    def begin_context(self) -> None:
        """The next prompt goes on from none."""
        self._state = None

    def add(self, request: ev.ModelRequested, messages: Sequence[ev.MessageRef], blobs: Mapping[str, Blob]) -> str:
        """The hash of the request whose whole prompt is ``messages``; those it does not append were hashed before."""
        if self._frame is None or self._frame[0] != (request.envelope, request.tools):
            self._frame = ((request.envelope, request.tools), *body_around(_BlobsInMemory(blobs), request))
        _, head, tail = self._frame
        new = b",".join(blobs[ref.hash].data for ref in (messages if self._state is None else request.append))
        if self._state is None:
            self._state = hashlib.sha256(head + new)
        elif new:
            self._state.update(b"," + new)
        whole = self._state.copy()
        whole.update(tail)
        return str(whole.hexdigest())
