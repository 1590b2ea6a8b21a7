"""A model without a server at the end of a harness's line: what its provider says, as a server would send it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx2

from sessions.events import ModelSpec


class ScriptedLine(httpx2.AsyncBaseTransport):
    """A transport that reaches no network. ``speak(model, body)``: the events of the reply to a request."""

    def __init__(self, spec: ModelSpec, speak: Callable[[ModelSpec, bytes], AsyncIterator[bytes]]) -> None:
        self._spec = spec
        self._speak = speak

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        if not request.url.path.endswith("/chat/completions"):
            return httpx2.Response(404, json={"error": {"message": f"{self._spec.id} is scripted: it only chats"}})
        body = await request.aread()
        return httpx2.Response(
            200, headers={"content-type": "text/event-stream"}, content=self._speak(self._spec, body), request=request
        )
