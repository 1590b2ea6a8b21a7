"""Neutral parts of a reply and neutral messages of a prompt: what every provider is translated from and to."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "calls", "length", "refusal", "interrupted", "other"]
"""Why the server ended a reply. Only ``stop`` and ``calls`` are normal; nothing else is ever a training target."""


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning", tag_field="part", omit_defaults=True):
    """Reasoning that the model showed. ``raw`` is the provider's block, verbatim (signatures included)."""

    text: str
    raw: dict[str, Any] | None = None


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="part", omit_defaults=True):
    """Visible text of a reply, or the text of a user turn."""

    text: str
    raw: dict[str, Any] | None = None


class CallPart(msgspec.Struct, frozen=True, tag="call", tag_field="part", omit_defaults=True):
    """One tool call. ``arguments`` is the JSON text exactly as the model wrote it, which may be malformed.

    ``id`` is unique in its session. Where the server gave one that another call had, that is ``server_id``.
    """

    id: str
    name: str
    arguments: str
    raw: dict[str, Any] | None = None
    server_id: str = ""


Part = ReasoningPart | TextPart | CallPart


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One neutral message of a prompt.

    ``sources`` are the seqs of the events that the message was made from (its provenance); masks, and dropping
    of advice, find their message by it. ``call_id`` is set on tool messages. ``origin`` is ``provider:model``
    of an assistant message, so that raw blocks go back only to the model that wrote them.
    """

    role: Role
    parts: tuple[Part, ...]
    sources: tuple[int, ...] = ()
    call_id: str | None = None
    origin: str | None = None
    malformed: tuple[int, ...] = ()
    """Numbers (from 1) of the calls whose arguments must be sent as ``{}``: servers answer 400 to bad history."""

    @property
    def text(self) -> str:
        """The text parts joined; what a reader without tools and reasoning would see."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts as the server reported them (never our estimate)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
