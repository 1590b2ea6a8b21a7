"""Server-sent events, as much of them as model servers use. Bytes in, events out; unknown fields are ignored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its name (empty if the server gave none) and its data lines joined."""

    name: str
    data: str


class SseDecoder:
    """Feed it bytes as they come; it gives events as they become whole. What is cut off at the end is dropped."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that ``chunk`` completes. Bytes that are no UTF-8 become U+FFFD."""
        # Only the new bytes are searched for a line's end: a long line may come in very many chunks.
        searched = len(self._rest)
        self._rest += chunk
        end = self._rest.rfind(b"\n", searched)
        if end < 0:
            return []
        lines = bytes(self._rest[:end]).split(b"\n")
        del self._rest[: end + 1]
        found = (self._line(line.removesuffix(b"\r").decode(errors="replace")) for line in lines)
        return [event for event in found if event is not None]

    def _line(self, line: str) -> SseEvent | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                self._data.append(value)
            elif name == "event":
                self._name = value
            return None
        event = SseEvent(self._name, "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event
