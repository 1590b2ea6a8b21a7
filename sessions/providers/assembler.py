"""A reply put together from the pieces that a stream brings."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Finish, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import valid_unicode
from sessions.providers.base import Delta, Reply
from sessions.providers.sse import SseEvent

_FINISH: Final[dict[str, Finish]] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end", "end_turn", "stop_sequence", "complete", "completed"), "stop"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"), "calls"),
    **dict.fromkeys(
        ("length", "max_tokens", "max_output_tokens", "max_length", "model_length", "model_context_window_exceeded"),
        "length",
    ),
    **dict.fromkeys(
        ("refusal", "content_filter", "sensitive", "safety", "recitation", "prohibited_content", "blocklist"), "refusal"
    ),
    "abort": "interrupted",
}
"""Reasons for an end, in the names of all servers."""
_HIGH_SURROGATES: Final = ("\ud800", "\udbff")


class Assembler(Protocol):
    """Turns a provider's events into deltas and, in the end, a reply."""

    ended: bool
    """The stream said that it is over; nothing after it matters."""
    moves: int
    """Grows with everything that is part of a reply; comments, pings and empty deltas are not."""

    @property
    def is_whole(self) -> bool:
        """The server gave a reason for the end of the reply, or ended it without one: it is whole, whatever happens
        to the line now."""
        ...

    @property
    def is_counted(self) -> bool:
        """A whole reply has its usage too: nothing more is to come."""
        ...

    def feed(self, event: SseEvent) -> list[Delta]:
        """What one event adds. Raises ProviderError if the server reports a failure."""
        ...

    def parts(self) -> tuple[Part, ...]:
        """The parts so far."""
        ...

    def reply(self) -> Reply:
        """The whole reply."""
        ...


@dataclass(slots=True)
class Slot:
    """One part that grows. ``raw`` is the provider's block, where it says more than the neutral part does."""

    channel: Literal["reasoning", "text", "call"]
    index: int
    id: str = ""
    name: str = ""
    raw: dict[str, Any] | None = None
    pieces: list[str] = field(default_factory=list)
    half: str = ""

    def add(self, text: str) -> Delta:
        """Append ``text``. Half of a surrogate pair waits for its other half before it is shown."""
        self.pieces.append(text)
        text = self.half + text
        self.half = ""
        if text and _HIGH_SURROGATES[0] <= text[-1] <= _HIGH_SURROGATES[1]:
            text, self.half = text[:-1], text[-1]
        return Delta(self.channel, valid_unicode(text), self.index, self.name if len(self.pieces) == 1 else "")

    @property
    def text(self) -> str:
        """All of it so far, as valid Unicode."""
        return valid_unicode("".join(self.pieces))

    def part(self) -> Part:
        """The neutral part."""
        if self.channel == "call":
            return CallPart(id=self.id, name=self.name, arguments=self.text, raw=self.raw)
        return (ReasoningPart if self.channel == "reasoning" else TextPart)(text=self.text, raw=self.raw)


class Slots:
    """The parts of one reply, in the order in which they began."""

    def __init__(self) -> None:
        self._slots: dict[object, Slot] = {}

    def begin(
        self, key: object, channel: Literal["reasoning", "text", "call"], *, id: str = "", name: str = ""
    ) -> Slot:
        """The part under ``key``, begun now if it is new. A call without an id gets one."""
        if key not in self._slots:
            if channel == "call" and not id:
                id = f"call_{secrets.token_hex(8)}"
            self._slots[key] = Slot(channel, len(self._slots), id=id, name=valid_unicode(name))
        return self._slots[key]

    def of(self, channel: str) -> list[Slot]:
        """All parts of a channel."""
        return [slot for slot in self._slots.values() if slot.channel == channel]

    def parts(self) -> tuple[Part, ...]:
        """The neutral parts so far."""
        return tuple(slot.part() for slot in self._slots.values())


def finish_of(raw: str) -> Finish:
    """What a server's reason for the end of a reply means, however it writes it."""
    return _FINISH.get(finish_name(raw), "other")


def finish_name(raw: str) -> str:
    """A reason in small letters with ``_`` between its words."""
    return raw.strip().lower().replace("-", "_").replace(" ", "_")


def end_without_reason(spec: ModelSpec, usage: Usage | None, *, cut: bool) -> Finish:
    """Why a reply ended whose server does not say: at its token limit, where it is that long or breaks off."""
    return "length" if cut or (usage is not None and usage.output_tokens >= spec.max_output_tokens) else "other"
