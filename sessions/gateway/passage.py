"""The part of a reply that its client is handed before the rest of it is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessions.gateway.exchange import Answer


class Passage:
    """Pieces in order, from the one who reads them off the server's line to the one who writes them to a client."""

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
