"""One request of a harness, from its arrival to the answer that it was handed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from sessions.gateway.dialects import Dialect
from sessions.gateway.units import WireRequest

DROPPED: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "accept-encoding",
        "content-encoding",
    }
)
"""Headers of a request that are the line's own affair, or a secret: none of them goes on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a harness is answered: whole, as it was received or made here."""

    status: int
    body: bytes
    media: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    """What else the server said that a client goes by: Retry-After, limits, its id of the request."""

    @property
    def stream(self) -> bool:
        """Whether it is a stream of events."""
        return "event-stream" in self.media


class Passage:
    """The part of a reply that its client is handed before the rest of it is there.

    Pieces in order, from the one who reads them off the server's line to the one who writes them to a client.
    """

    def __init__(self) -> None:
        self._head: Answer | None = None
        self._pieces: list[bytes] = []
        self.came: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done while pieces wait to be taken."""
        self.sent = 0
        """Bytes that were taken: they are the client's, and nobody takes them back."""

    @property
    def waits(self) -> bool:
        """Whether pieces wait to be taken."""
        return bool(self._pieces)

    @property
    def head(self) -> Answer:
        """Status, media type and headers of the reply that the pieces are of."""
        assert self._head is not None, "nothing has come"
        return self._head

    def add(self, head: Answer, piece: bytes) -> None:
        """The next piece of the reply that begins with ``head``."""
        self._head = head
        self._pieces.append(piece)
        if not self.came.done():
            self.came.set_result(None)

    def take(self) -> bytes:
        """All that has come since the last time."""
        data = b"".join(self._pieces)
        self.sent += len(data)
        self.clear()
        return data

    def clear(self) -> None:
        """What waits is of a reply that there will not be."""
        self._pieces.clear()
        if self.came.done():
            self.came = asyncio.get_running_loop().create_future()

    def take_over(self, other: Passage) -> None:
        """What waits there for a client that is gone goes to this one's, which asked again."""
        for piece in other._pieces:
            self.add(other.head, piece)
        other.clear()


@dataclass(slots=True, eq=False)
class Exchange:
    """A request that waits for its answer. ``path``: that of the API, without what names the session."""

    dialect: Dialect
    request: WireRequest
    body: bytes
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    answer: asyncio.Future[Answer]
    delivered: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Whether the whole answer went over the line; False: the harness hung up before."""

    gone_at: float | None = None
    """When its connection ended, by the loop's clock."""
    begun: bool = False
    """Whether the status line is out, so that an error can no longer be passed on as it is."""
    passage: Passage = field(default_factory=Passage)
    """Where its reply goes over as it comes, if it does."""

    @property
    def stream(self) -> bool:
        """Whether the harness wants a stream of events."""
        return self.request.fields.get("stream") is True

    @property
    def model(self) -> str:
        """The model that it asks for."""
        model = self.request.fields.get("model")
        return model if isinstance(model, str) else ""

    @property
    def is_gone(self) -> bool:
        """Whether its connection is gone, before or after the answer."""
        return self.delivered.done()

    @property
    def has_part(self) -> bool:
        """Whether its client has a part of the reply, or is about to have it: nobody can take that back."""
        return self.passage.sent > 0 or (self.passage.waits and not self.is_gone)

    @property
    def gone_for(self) -> float | None:
        """How long its connection has been gone, in seconds; None: it is there."""
        return None if self.gone_at is None else asyncio.get_running_loop().time() - self.gone_at

    def leave(self, *, whole: bool) -> None:
        """The connection has ended; ``whole``: all of the answer went over it."""
        self.gone_at = asyncio.get_running_loop().time()
        if not self.delivered.done():
            self.delivered.set_result(whole)

    def header(self, name: str) -> str:
        """The value of a header, "" without it."""
        return next((value for key, value in self.headers if key == name), "")

    def onward_headers(self) -> list[tuple[str, str]]:
        """The headers that go upstream."""
        return [(name, value) for name, value in self.headers if name not in DROPPED]

    def settle(self, answer: Answer) -> None:
        """Answer it; a second answer is none."""
        if not self.answer.done():
            self.answer.set_result(answer)
