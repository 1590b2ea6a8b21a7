"""Chat Completions as the scripted server speaks it: the stream of a turn, and what is wrong with a history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sse_script import Received, Turn

PATH = "/v1/chat/completions"
FINISH = {"stop": "stop", "calls": "tool_calls", "length": "length", "refusal": "content_filter"}


def stream(turn: Turn, request: Received) -> Iterator[str]:
    """The events of ``turn``, each a string ready to be sent."""
    wanted = request.json
    for delta, chars in _deltas(turn, request):
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": None}
        if wanted.get("return_token_ids"):
            choice["token_ids"] = [ord(char) for char in chars]
        if wanted.get("logprobs"):
            choice["logprobs"] = {
                "content": [{"token": char, "logprob": -0.5, "bytes": list(char.encode())} for char in chars]
            }
        yield _event(_chunk(turn, request, [choice]))
        if turn.strange:
            yield ": a comment\n\n"
            yield 'event: brand_new\ndata: {"object": "brand.new", "surprise": [1, 2]}\n\n'
            yield _event(_chunk(turn, request, []))
    last = {
        "index": 0,
        "delta": {},
        "finish_reason": FINISH.get(turn.finish_name, turn.finish_name),
        "stop_reason": 151336,
    }
    yield _event(_chunk(turn, request, [last]))
    if not turn.farewell:
        return
    if wanted.get("stream_options", {}).get("include_usage"):
        yield _event({**_chunk(turn, request, []), "usage": _usage(turn, request)})
    yield "data: [DONE]\n\n"


def error_event(kind: str) -> str:
    return _event({"error": {"message": f"it went wrong: {kind}", "type": kind, "code": None}})


def error_body(status: int, message: str) -> dict[str, Any]:
    kinds = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_exceeded"}
    return {"error": {"message": message, "type": kinds.get(status, "server_error"), "param": None, "code": None}}


def problem(body: dict[str, Any]) -> str:
    """What a strict server would answer 400 for, or an empty string."""
    open_calls: set[str] = set()
    for number, message in enumerate(body.get("messages", [])):
        role, content = message.get("role"), message.get("content")
        if role != "tool" and open_calls:
            return f"messages[{number}]: no tool message for {sorted(open_calls)}"
        if role == "assistant" and not content and not message.get("tool_calls"):
            return f"messages[{number}]: an assistant message must have content or tool_calls"
        for call in message.get("tool_calls", ()):
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return f"messages[{number}]: tool_calls.function.arguments must be valid JSON"
            open_calls.add(call["id"])
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                return f"messages[{number}]: tool_call_id answers no call"
            open_calls.discard(message["tool_call_id"])
    return f"no tool message for {sorted(open_calls)}" if open_calls else ""


def _deltas(turn: Turn, request: Received) -> Iterator[tuple[dict[str, Any], str]]:
    yield {"role": "assistant", "content": ""}, ""
    for piece in _pieces(turn.reasoning, turn.chunk):
        yield {turn.reasoning_field: piece}, piece
    for piece in _pieces(turn.text, turn.chunk):
        yield {"content": piece}, piece
    for index, (name, arguments) in enumerate(turn.calls):
        head = {"index": index, "id": f"call_{request.turn}_{index}", "type": "function"}
        yield {"tool_calls": [head | {"function": {"name": name, "arguments": ""}}]}, ""
        for piece in _pieces(arguments, turn.chunk):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, piece


def _chunk(turn: Turn, request: Received, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.turn}",
        "object": "chat.completion.chunk",
        "model": f"{request.model}-0001",
        "choices": choices,
    }


def _usage(turn: Turn, request: Received) -> dict[str, Any]:
    return {
        "prompt_tokens": len(request.body) // 4,
        "completion_tokens": len(turn.reasoning + turn.text) // 4 + 1,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": len(turn.reasoning) // 4},
    }


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
