"""Server-sent events as servers really send them: bytes in, events out; unknown fields are ignored.

Read as common clients do: a byte order mark is skipped, lines end with LF, CR or both, an event whose data is whole
counts where its blank line is missing, and JSON that stands there without ``data:`` is an event too. A comment says
nothing, unless it is an error: some gateways put theirs there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

DONE: Final = "[DONE]"
ERROR_COMMENT: Final = "error"
"""Name of an event that came as a comment."""
OTHER_CHARS: Final = 400
"""So much is kept of a text that is no stream, to be shown."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its name (empty if the server gave none) and its data lines joined."""

    name: str
    data: str


class SseDecoder:
    """Feed it bytes as they come; it gives events as they become whole. ``flush`` at the end of the stream."""

    def __init__(self) -> None:
        self.other = ""
        """The beginning of what came and belongs to no event: the text of a page, an error in plain words."""
        self._rest = bytearray()
        self._begun = False
        self._after_return = False
        self._name = ""
        self._data: list[str] = []
        self._bare: list[str] = []

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that ``chunk`` completes. Bytes that are no UTF-8 become U+FFFD."""
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        # Only the new bytes are searched for a line's end: a long line may come in very many chunks.
        searched = len(self._rest)
        self._rest += chunk
        end = max(self._rest.rfind(b"\n", searched), self._rest.rfind(b"\r", searched))
        if end < 0:
            return []
        self._after_return = self._rest.endswith(b"\r")
        block = bytes(self._rest[: end + 1]).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        del self._rest[: end + 1]
        lines = block.decode(errors="replace").split("\n")[:-1]
        return [event for line in lines for event in self._line(line)]

    def flush(self) -> list[SseEvent]:
        """The events that are whole though no blank line follows them. What is cut off is dropped."""
        rest, self._rest = self._rest.decode(errors="replace"), bytearray()
        events = self._line(rest) if rest else []
        if self._data and (self._is_whole() or self._name == "error"):
            events += self._dispatch()
        self._note("\n".join(self._bare))
        return events

    def _line(self, line: str) -> list[SseEvent]:
        if not self._begun:
            line, self._begun = line.removeprefix("\ufeff"), True
        if self._bare or (not self._data and line.lstrip().startswith(("{", "[{", DONE))):
            return self._take_bare(line)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        events: list[SseEvent] = []
        if field in ("data", "event") and self._data and self._is_whole():
            events = self._dispatch()  # the next one begins, and no blank line has ended this one
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif not field:
            events += self._comment(value.strip())
        elif field not in ("id", "retry"):
            self._note(line)
        return events

    def _comment(self, text: str) -> list[SseEvent]:
        """Nothing, but for a comment that is an error: as JSON it is an event, as words it is kept beside them."""
        if text.startswith("{") and '"error"' in text and is_json(text):
            return [SseEvent(ERROR_COMMENT, text)]
        if text.lower().startswith(ERROR_COMMENT):
            self._note(text)
        return []

    def _dispatch(self) -> list[SseEvent]:
        events = [SseEvent(self._name, "\n".join(self._data))] if self._data else []
        self._name, self._data = "", []
        return events

    def _take_bare(self, line: str) -> list[SseEvent]:
        """JSON without ``data:``, on one line or on many, whose last one begins with its closing bracket."""
        self._bare.append(line)
        text = "\n".join(self._bare) if len(self._bare) == 1 or line[:1] in ("}", "]") else ""
        if not text or not (text.strip() == DONE or is_json(text)):
            return []
        self._bare = []
        return [SseEvent("", text.strip())]

    def _is_whole(self) -> bool:
        text = "\n".join(self._data)
        return text.strip() == DONE or is_json(text)

    def _note(self, text: str) -> None:
        if text and len(self.other) < OTHER_CHARS:
            self.other = f"{self.other}\n{text}".strip()[:OTHER_CHARS]


def is_json(text: str) -> bool:
    """Whether ``text`` is a whole JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
