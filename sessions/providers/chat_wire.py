"""Neutral messages in the shape of Chat Completions: one wire message for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, ReasoningPart, TextPart
from sessions.providers.base import ToolSchema, WireMessage
from sessions.providers.reasoning_blocks import SENT_BACK

EMPTY_REPLY: Final = "(empty reply)"
"""Stands for a reply that had neither text nor call: servers refuse an assistant turn without content."""
_BAD_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]")


def chat_wire(
    spec: ModelSpec, messages: Sequence[Message], *, send_reasoning: str = "none", null_content: bool = True
) -> list[WireMessage]:
    """Translate a batch; each message depends on itself alone."""
    no_text = None if null_content else ""
    return [WireMessage(_message(spec, message, send_reasoning, no_text), message.sources) for message in messages]


def chat_tools(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    """Tools as Chat Completions takes them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]


def with_system(system: str, wire: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The whole prompt where the system prompt is the first message."""
    if not system or (wire and wire[0].get("role") == "system"):
        return list(wire)
    return [{"role": "system", "content": system}, *wire]


def call_block(part: CallPart) -> dict[str, Any]:
    """A call as Chat Completions writes it, if there is no more to it than the neutral part says."""
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.arguments}}


def safe_name(name: str) -> str:
    """A tool's name that every server takes back; models invent others."""
    return _BAD_NAME.sub("_", name)[:64] or "unknown"


def numbered_calls(message: Message) -> Iterator[tuple[int, CallPart]]:
    """The calls of a reply with their numbers, from 1."""
    return enumerate((part for part in message.parts if isinstance(part, CallPart)), 1)


def arguments_object(part: CallPart, *, malformed: bool) -> dict[str, Any] | None:
    """The call's arguments, or None if they must be sent as ``{}``: servers answer 400 to a history with bad ones."""
    if malformed:
        return None
    try:
        value = json.loads(part.arguments, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _message(spec: ModelSpec, message: Message, send_reasoning: str, no_text: str | None) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.call_id or "", "content": message.text}
    if message.role != "assistant":
        return {"role": message.role, "content": message.text}
    own = message.origin == spec.id
    calls = [_call(part, own, malformed=number in message.malformed) for number, part in numbered_calls(message)]
    text = "".join(part.text for part in message.parts if isinstance(part, TextPart))
    json_message: dict[str, Any] = {"role": "assistant", "content": text or (no_text if calls else EMPTY_REPLY)}
    if own and send_reasoning != "none":
        reasoning = "".join(part.text for part in message.parts if isinstance(part, ReasoningPart))
        if reasoning:
            json_message[send_reasoning] = reasoning
    for part in message.parts if own else ():
        if isinstance(part, ReasoningPart) and part.raw:
            # What the server signed or encrypted goes back as it came, whatever else it wants back.
            json_message |= {name: part.raw[name] for name in SENT_BACK if name in part.raw}
    if calls:
        json_message["tool_calls"] = calls
    return json_message


def _call(part: CallPart, own: bool, *, malformed: bool) -> dict[str, Any]:
    block = dict(part.raw) if own and part.raw else call_block(part)
    sendable = arguments_object(part, malformed=malformed) is not None
    block["id"] = part.id
    block["function"] = {
        **block.get("function", {}),
        "name": safe_name(part.name),
        "arguments": part.arguments if sendable else "{}",
    }
    return block
