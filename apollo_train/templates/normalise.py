"""Messages as a template wants them: no null content, arguments as objects, a system text where it can stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from apollo_train.chat import Chat


def normalised(messages: Sequence[Chat], *, system: bool = True, objects: bool = True) -> list[dict[str, Any]]:
    """``system`` False puts a system text at the head of the first user turn; ``objects`` False keeps arguments text.

    Without a user turn to put it in, the system text becomes one.
    """
    made = [_message(chat, objects) for chat in messages]
    if system or not made or made[0]["role"] != "system":
        return made
    head, rest = made[0], made[1:]
    if rest and rest[0]["role"] == "user":
        return [{**rest[0], "content": f"{head['content']}\n\n{rest[0]['content']}"}, *rest[1:]]
    return [{"role": "user", "content": head["content"]}, *rest]


def _message(chat: Chat, objects: bool) -> dict[str, Any]:
    made = {**chat, "content": chat["content"] or ""}
    if chat.get("tool_calls"):
        made["tool_calls"] = [_call(call, objects) for call in chat["tool_calls"]]
    return made


def _call(call: dict[str, Any], objects: bool) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    return {**call, "function": {**function, "arguments": _object(arguments) if objects else arguments}}


def _object(arguments: str) -> Any:
    """The object; the text itself where it is none (a masked, malformed call beside good ones)."""
    try:
        made = msgspec.json.decode(arguments) if arguments.strip() else {}
    except msgspec.DecodeError:
        return arguments
    return made if isinstance(made, dict) else arguments
