"""The hash of each prompt of a recording, which costs what the prompt adds to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sessions import events as ev
from sessions.events.text import Blob
from sessions.log.rebuild import assemble


@dataclass(frozen=True, slots=True)
class _BlobsInMemory:
    """Where a request that is not in a log yet finds its blobs."""

    by_hash: Mapping[str, Blob]

    def blobs(self, hashes: Collection[str]) -> dict[str, bytes]:
        return {name: self.by_hash[name].data for name in hashes}


@dataclass(slots=True)
class PromptHash:
    """SHA-256 of the body of the last request up to its messages, which the next one goes on from."""

    _begun: Any = None
    _frame: tuple[tuple[dict[str, Any], str | None], bytes, bytes] | None = None
    """Envelope and tools, and what they make of a body before and after its messages."""

    def extend(self, request: ev.ModelRequested, blobs: Mapping[str, Blob]) -> str:
        """The hash of the body that ``assemble`` makes of all messages so far and those that ``request`` adds."""
        if self._frame is None or self._frame[0] != (request.envelope, request.tools):
            head, slot, tail = assemble(_BlobsInMemory(blobs), request, []).partition(b'"messages":[')
            self._frame = ((request.envelope, request.tools), head + slot, tail)
        _, head, tail = self._frame
        new = [blobs[ref.hash].data for ref in request.append]
        if self._begun is None:
            self._begun = hashlib.sha256(head + b",".join(new))
        elif new:
            self._begun.update(b"," + b",".join(new))
        whole = self._begun.copy()
        whole.update(tail)
        return str(whole.hexdigest())
