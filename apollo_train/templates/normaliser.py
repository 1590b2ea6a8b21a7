"""Messages as a template wants them: no null content, arguments as objects, system text and turns where they fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from apollo_train.samples.chat import Chat


def normalise_messages(
    messages: Sequence[Chat], *, system: bool = True, objects: bool = True, runs: bool = True
) -> list[dict[str, Any]]:
    """The messages for a template. ``system`` False: a system text goes to the head of the first user turn.

    ``objects`` False: arguments stay text. ``runs`` False: user turns that follow each other become one.
    """
    made = [_message(chat, objects) for chat in messages]
    if not system and made and made[0]["role"] == "system":
        made[0] = {**made[0], "role": "user"}
        made = [_join(made[0], made[1]), *made[2:]] if len(made) > 1 and made[1]["role"] == "user" else made
    return made if runs else _merge_users(made)


def _merge_users(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and message["role"] == merged[-1]["role"] == "user":
            merged[-1] = _join(merged[-1], message)
        else:
            merged.append(message)
    return merged


def _join(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {**first, "content": f"{first['content']}\n\n{second['content']}"}


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
