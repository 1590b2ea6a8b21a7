"""Messages in the one chat form that all message formats are made from.

A chat message is a dict with ``role``, ``content`` (always text), and where they apply ``reasoning_content``,
``tool_calls`` (``arguments`` stay JSON text) and ``tool_call_id``. What a server got in this shape already is taken
as it was sent; what it got in another shape is made from the log's neutral messages.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sessions.events.messages import CallPart, Message, Part, ReasoningPart, TextPart

Chat = dict[str, Any]


@dataclass(slots=True, eq=False)
class Turn:
    """One message of a prompt and the events it was made from.

    Prompts that share a message share its turn, so that turns are compared and hashed by identity: what was made of
    one can be looked up by it. Nobody changes one; freezing so many costs too much.
    """

    chat: Chat
    sources: tuple[int, ...] = ()
    _json: bytes = field(default=b"", init=False, repr=False)

    @property
    def json(self) -> bytes:
        """The chat as JSON, made once: a step sample repeats all turns of the one before."""
        if not self._json:
            self._json = dumps(self.chat)
        return self._json


REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""Under which names servers take earlier reasoning back."""
REASONING_BLOCKS: Final = ("reasoning_details", "thinking_blocks")
BLOCK_TEXTS: Final = ("text", "summary", "thinking")
"""In which blocks they take it back that they signed, and what of those can be read."""


def chat_of_wire(wire: dict[str, Any]) -> Chat | None:
    """A message that was sent in chat form, normalised; None if it has another shape (Anthropic's blocks, images)."""
    role = wire.get("role")
    content = _text(wire.get("content"))
    if role not in ("system", "developer", "user", "assistant", "tool") or content is None:
        return None
    chat: Chat = {"role": "system" if role == "developer" else role, "content": content}
    if role == "assistant" and (reasoning := _reasoning_of(wire)):
        chat["reasoning_content"] = reasoning
    if wire.get("tool_calls"):
        calls = [_call(call) for call in wire["tool_calls"]]
        if None in calls:
            return None
        chat["tool_calls"] = calls
    if role == "tool":
        chat["tool_call_id"] = str(wire.get("tool_call_id", ""))
    return chat


def chat_of_block(block: Any, role: str) -> Chat | None:
    """A text block that is not the model's, as it was sent: a harness may have written it anew since it was told; or a
    text that is the whole conversation."""
    if isinstance(block, str):
        return {"role": role, "content": block}
    text = block.get("text") if isinstance(block, dict) and block.get("type") in ("text", "input_text") else None
    if role not in ("system", "developer", "user") or not isinstance(text, str):
        return None
    return {"role": "user" if role == "user" else "system", "content": text}


def _reasoning_of(wire: dict[str, Any]) -> str:
    """The earlier reasoning that was sent back, as text or in blocks of the server's own."""
    for key in REASONING_KEYS:
        if isinstance(wire.get(key), str):
            return str(wire[key])
    blocks = [block for key in REASONING_BLOCKS for block in wire.get(key) or () if isinstance(block, dict)]
    return "".join(block[key] for block in blocks for key in BLOCK_TEXTS if isinstance(block.get(key), str))


def chat_of_message(message: Message, *, reasoning: bool = True) -> Chat:
    """A neutral message; ``reasoning`` False leaves earlier reasoning out, where the server did not get it either."""
    if message.role == "assistant":
        return chat_of_reply(message.parts, malformed=message.malformed, reasoning=reasoning)
    chat: Chat = {"role": message.role, "content": _join_texts(message)}
    if message.role == "tool":
        chat["tool_call_id"] = message.call_id or ""
    return chat


def chat_of_reply(parts: Sequence[Part], *, malformed: Collection[int] = (), reasoning: bool = True) -> Chat:
    """A reply. Without ``malformed`` it is what the model wrote; calls of these numbers get ``{}``, as later on."""
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Chat] = []
    for part in parts:
        match part:
            case TextPart(text=text):
                texts.append(text)
            case ReasoningPart(text=text) if text:
                thoughts.append(text)
            case CallPart():
                arguments = "{}" if len(calls) + 1 in malformed else part.arguments or "{}"
                function = {"name": part.name, "arguments": arguments}
                calls.append({"id": part.id, "type": "function", "function": function})
            case _:
                continue
    chat: Chat = {"role": "assistant", "content": "".join(texts)}
    if thoughts and reasoning:
        chat["reasoning_content"] = "\n".join(thoughts)
    if calls:
        chat["tool_calls"] = calls
    return chat


def tools_of_wire(tools: Any) -> list[dict[str, Any]]:
    """Tool schemas in chat form, from that, from Anthropic's or from Responses', keys in the order of a request's body.

    Templates write a schema key by key, so that another order is another prompt. Chat form is taken as it was sent;
    schemas of Anthropic's form get the order that canonical JSON gives those of the chat form.
    """
    found: list[dict[str, Any]] = []
    for tool in tools or ():
        if "function" in tool:
            found.append(tool)
        elif "input_schema" in tool:
            told = {"description": tool["description"]} if tool.get("description") else {}
            function = {**told, "name": tool["name"], "parameters": tool["input_schema"]}
            found.append({"function": function, "type": "function"})
        elif tool.get("type") == "function" and "name" in tool:  # as Responses takes it
            found.append({"function": {k: v for k, v in tool.items() if k != "type"}, "type": "function"})
    return found


def system_of_wire(system: Any) -> Chat | None:
    """A system prompt that was sent apart from the messages, as text or as blocks."""
    text = _text(system)
    return {"role": "system", "content": text} if text else None


def wire_had_reasoning(wire: dict[str, Any]) -> bool:
    """Whether the server got the reasoning of this earlier reply back."""
    if any(wire.get(key) for key in (*REASONING_KEYS, *REASONING_BLOCKS)):
        return True
    content = wire.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") in ("thinking", "redacted_thinking") for block in content
    )


def _join_texts(message: Message) -> str:
    """Text parts of one turn, apart by an empty line as the adapters send them."""
    return "\n\n".join(part.text for part in message.parts if isinstance(part, TextPart))


def _text(content: Any) -> str | None:
    """The text of a content field; None if it holds anything else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts = [block.get("text") for block in content if isinstance(block, dict) and block.get("type") == "text"]
    if len(texts) != len(content):
        return None
    return "\n\n".join(str(text) for text in texts)


def _call(call: Any) -> dict[str, Any] | None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or "name" not in function:
        return None
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {
        "id": str(call.get("id", "")),
        "type": "function",
        "function": {"name": str(function["name"]), "arguments": text},
    }


def dumps(value: Any) -> bytes:
    """One JSON line without its end: keys in the order they were put in, UTF-8."""
    return msgspec.json.encode(value)
