"""Neutral messages in the shape of the Messages API, where user and assistant take turns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, TextPart
from sessions.providers.base import WireMessage
from sessions.providers.chat_wire import EMPTY_REPLY, arguments_object, safe_name

_BAD_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


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
    block = {"type": "tool_result", "tool_use_id": _id(message.call_id or "")}
    # An empty text is refused, an absent one is not.
    return block | {"content": message.text} if message.text.strip() else block


def _assistant(spec: ModelSpec, message: Message) -> dict[str, Any]:
    """Raw blocks go back only to the model that wrote them; all others get the parts, without reasoning."""
    own = message.origin == spec.id
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, CallPart):
            content.append(_call(part, message, own))
        elif own and part.raw:
            content.append(part.raw)
        elif isinstance(part, TextPart) and part.text.strip():
            content.append(_text(part.text))
    if not any(block["type"] not in ("thinking", "redacted_thinking") for block in content):
        content.append(_text(EMPTY_REPLY))
    return {"role": "assistant", "content": content}


def _call(part: CallPart, message: Message, own: bool) -> dict[str, Any]:
    block = {"type": "tool_use", "id": _id(part.id), "name": safe_name(part.name)}
    return (part.raw or {} if own else {}) | block | {"input": arguments_object(part, message.malformed) or {}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _id(id: str) -> str:
    """Ids of calls that another provider's model made may have characters that this API refuses."""
    return _BAD_ID.sub("_", id) or "call"
