"""Neutral messages in the shape of the Messages API, where user and assistant take turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, TextPart
from sessions.fold.call_ids import plain_id
from sessions.providers.base import WireMessage
from sessions.providers.chat_wire import EMPTY_REPLY, arguments_object, safe_name


def messages_wire(spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
    """Translate a batch. System messages are left out: the API has a slot for them."""
    wire: list[WireMessage] = []
    spoken = [message for message in messages if message.role != "system"]
    for is_assistant, group in groupby(spoken, key=lambda message: message.role == "assistant"):
        if is_assistant:
            wire += [WireMessage(_assistant(spec, message), message.sources) for message in group]
        else:
            wire.append(_user(list(group)))
    return wire


def wants_thinking(wire: Sequence[dict[str, Any]]) -> bool:
    """Whether the prompt may be sent with thinking turned on: the API refuses that after calls without thinking."""
    last = next((message for message in reversed(wire) if message.get("role") == "assistant"), None)
    blocks = last["content"] if last is not None and isinstance(last["content"], list) else []
    kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
    return "tool_use" not in kinds or kinds[0] in ("thinking", "redacted_thinking")


def has_calls(wire: Sequence[dict[str, Any]]) -> bool:
    """Whether any message has a call in it."""
    return any(
        isinstance(block, dict) and block.get("type") == "tool_use"
        for message in wire
        if message["role"] == "assistant"
        for block in message["content"]
    )


def _user(messages: list[Message]) -> WireMessage:
    """One turn of results and texts. The API wants the results first."""
    results = [_result(message) for message in messages if message.role == "tool"]
    texts = [_text(message.text) for message in messages if message.role != "tool" and message.text.strip()]
    sources = tuple(source for message in messages for source in message.sources)
    return WireMessage({"role": "user", "content": results + texts or [_text("(empty)")]}, sources)


def _result(message: Message) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": plain_id(message.call_id or "")}
    # An empty text is refused, an absent one is not.
    return block | {"content": message.text} if message.text.strip() else block


def _assistant(spec: ModelSpec, message: Message) -> dict[str, Any]:
    """Raw blocks go back only to the model that wrote them; all others get the parts, without reasoning."""
    own = message.origin == spec.id
    content: list[dict[str, Any]] = []
    number = 0
    for part in message.parts:
        if isinstance(part, CallPart):
            number += 1
            content.append(_call(part, own, malformed=number in message.malformed))
        elif own and part.raw:
            content.append(part.raw)
        elif isinstance(part, TextPart) and part.text.strip():
            content.append(_text(part.text))
    if not any(block["type"] not in ("thinking", "redacted_thinking") for block in content):
        content.append(_text(EMPTY_REPLY))
    return {"role": "assistant", "content": content}


def _call(part: CallPart, own: bool, *, malformed: bool) -> dict[str, Any]:
    block = {"type": "tool_use", "id": plain_id(part.id), "name": safe_name(part.name)}
    return (part.raw or {} if own else {}) | block | {"input": arguments_object(part, malformed=malformed) or {}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
