"""A reply as the log has it, and as later prompts have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart
from sessions.importers.documents import loads


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the file has it; ``arguments`` is JSON text, as near to the model's own as the file allows."""

    id: str
    name: str
    arguments: str
    at: int | None = None
    """When the model made it, where that is not the time of its reply."""
    refused: bool = False
    """The tool that recorded it says that it could not be understood, whatever its arguments look like now."""

    @property
    def is_malformed(self) -> bool:
        """Whether its arguments are no object."""
        return self.refused or arguments_of(self.arguments) is None


def parts_of(text: str, reasoning: str, calls: Sequence[Call]) -> tuple[Part, ...]:
    """The parts of a reply, as the log has them."""
    parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
    parts += [TextPart(text)] if text else []
    parts += [CallPart(call.id, call.name, call.arguments) for call in calls]
    return tuple(parts)


def reply_message(text: str, calls: Sequence[Call], reasoning: str = "") -> dict[str, Any]:
    """A reply as later prompts have it: servers refuse arguments that are no object."""
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": "{}" if call.is_malformed else call.arguments},
            }
            for call in calls
        ]
    return message


def tell_apart(names: Sequence[str]) -> list[str]:
    """The ids of a reply's calls; one that is there already gets a number."""
    found: list[str] = []
    for name in names:
        number, own = 1, name
        while own in found:
            number += 1
            own = f"{name}-{number}"
        found.append(own)
    return found


@lru_cache(maxsize=256)
def arguments_of(text: str) -> dict[str, Any] | None:
    """The object that a call's arguments are; None if they are none.

    Asked several times of each call while its reply is put together: nobody changes what was answered.
    """
    if not text.strip():
        return {}
    try:
        value = loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
