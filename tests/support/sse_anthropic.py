"""The Messages API as the scripted server speaks it: the stream of a turn, and what is wrong with a history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sse_script import Received, Turn

PATH = "/v1/messages"
FINISH = {"stop": "end_turn", "calls": "tool_use", "length": "max_tokens", "refusal": "refusal"}


def signature(thinking: str) -> str:
    """The signature of a thinking block; a block that comes back with another one is refused."""
    return "sig-" + hashlib.sha256(thinking.encode()).hexdigest()[:24]


def stream(turn: Turn, request: Received) -> Iterator[str]:
    """The events of ``turn``, each a string ready to be sent."""
    message = {
        "id": f"msg_{request.turn}",
        "type": "message",
        "role": "assistant",
        "model": f"{request.model}-0001",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(request.body) // 4,
            "cache_creation_input_tokens": 5,
            "cache_read_input_tokens": 7,
            "output_tokens": 1,
        },
    }
    yield _event("message_start", message=message)
    yield _event("ping")
    for index, (block, deltas) in enumerate(_blocks(turn, request)):
        yield _event("content_block_start", index=index, content_block=block)
        for delta in deltas:
            yield _event("content_block_delta", index=index, delta=delta)
            if turn.strange:
                yield ": a comment\n\n"
                yield _event("brand_new_event", message={"surprise": True}, index=index)
                yield _event("content_block_delta", index=index, delta={"type": "brand_new_delta", "glow": 1})
        yield _event("content_block_stop", index=index)
    stop = FINISH.get(turn.finish_name, turn.finish_name)
    usage = {"output_tokens": len(turn.reasoning + turn.text) // 4 + 1}
    yield _event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=usage)
    if turn.farewell:
        yield _event("message_stop")


def error_event(kind: str) -> str:
    return _event("error", error={"type": kind, "message": f"it went wrong: {kind}"})


def error_body(status: int, message: str) -> dict[str, Any]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def problem(body: dict[str, Any]) -> str:
    """What the API would answer 400 for, or an empty string."""
    messages = body.get("messages", [])
    if not messages or messages[0]["role"] != "user":
        return "messages: first message must use the user role"
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        where, blocks = f"messages.{number}", message["content"]
        if not blocks:
            return f"{where}: content must not be empty"
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user" and set(results) != open_calls:
            return f"{where}: tool_use ids {sorted(open_calls)} need tool_result blocks, found {sorted(results)}"
        if any(block["type"] == "tool_result" for block in blocks[len(results) :]):
            return f"{where}: tool_result blocks must come first"
        if message["role"] == "assistant":
            if open_calls:
                return f"{where}: tool_use without tool_result"
            if blocks[-1]["type"] in ("thinking", "redacted_thinking"):
                return f"{where}: the final block may not be thinking"
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for block in blocks:
            if wrong := _wrong(block):
                return f"{where}: {wrong}"
    if any(block["type"] == "tool_use" for m in messages for block in m["content"]) and not body.get("tools"):
        return "requests with tool_use blocks must define tools"
    return f"tool_use ids {sorted(open_calls)} need tool_result blocks" if open_calls else ""


def _wrong(block: dict[str, Any]) -> str:
    if block["type"] == "text" and not block["text"].strip():
        return "text content blocks must contain non-whitespace text"
    if block["type"] == "tool_use" and not isinstance(block["input"], dict):
        return "tool_use.input: must be an object"
    if block["type"] == "thinking" and block.get("signature") != signature(block["thinking"]):
        return "invalid signature in thinking block"
    return ""


def _blocks(turn: Turn, request: Received) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if turn.redacted:
        yield {"type": "redacted_thinking", "data": turn.redacted}, []
    if turn.reasoning:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(turn.reasoning, turn.chunk)]
        deltas.append({"type": "signature_delta", "signature": signature(turn.reasoning)})
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if turn.text:
        yield (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": piece} for piece in _pieces(turn.text, turn.chunk)],
        )
    for index, (name, arguments) in enumerate(turn.calls):
        block = {"type": "tool_use", "id": f"toolu_{request.turn}_{index}", "name": name, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(arguments, turn.chunk)]
        yield block, [{"type": "input_json_delta", "partial_json": ""}, *deltas]


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"
