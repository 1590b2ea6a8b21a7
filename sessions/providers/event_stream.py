"""The events of a response, and the patience with which they are waited for: content counts, not bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from sessions.events import ModelSpec
from sessions.providers.base import CallContext, ProviderError
from sessions.providers.failures import from_words
from sessions.providers.sse import SseDecoder, SseEvent

if TYPE_CHECKING:
    import httpx2

AFTER_FINISH: Final = 5.0
"""Seconds that a whole reply waits for its usage and the end of its stream."""
AFTER_USAGE: Final = 0.5
"""Seconds that it waits for the end of its stream once it has its usage."""


class Patience:
    """Until when the next piece of content is waited for. Comments, pings and empty deltas renew nothing."""

    def __init__(self, call: CallContext) -> None:
        self._first = call.timeout
        self._stall = call.stall
        self._limit = call.timeout
        self.deadline = _now() + call.timeout

    def begin(self, *, whole: bool) -> None:
        """The first byte came. ``whole``: of an answer in one piece, which takes as long as a first byte."""
        self._limit = self._first if whole else self._stall
        self.deadline = _now() + self._limit

    def renew(self) -> None:
        """Content came, also behind what was said to be the end."""
        self.deadline = _now() + self._limit

    def end_after(self, seconds: float) -> None:
        """The reply is whole: what is still to come gets this long."""
        self.deadline = min(self.deadline, _now() + min(seconds, self._stall))

    @property
    def words(self) -> str:
        """What is said when it is over."""
        return f"no content came for {self._limit:g} s"


async def read_events(
    spec: ModelSpec, response: httpx2.Response, call: CallContext, patience: Patience
) -> AsyncGenerator[SseEvent, None]:
    """The events of a response, whatever its content type says. Raises ProviderError."""
    kind = response.headers.get("content-type", "")
    whole = "json" in kind and "stream" not in kind and "ndjson" not in kind and "jsonl" not in kind
    decoder, chunks = SseDecoder(), response.aiter_bytes()
    begun = came = False
    while True:
        try:
            async with asyncio.timeout_at(patience.deadline):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise ProviderError("timeout", f"{spec.id}: {patience.words}") from None
        if chunk is None:
            break
        if not begun:
            begun = True
            patience.begin(whole=whole)
        for event in decoder.feed(chunk):
            came = True
            yield event
    for event in decoder.flush():
        came = True
        yield event
    if not came and decoder.other:
        raise from_words(spec, "answered with no stream", decoder.other, key=call.key)


def _now() -> float:
    return asyncio.get_running_loop().time()
