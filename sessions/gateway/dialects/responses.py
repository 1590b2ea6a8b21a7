"""Responses: a conversation of items; a reply is a few of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sessions.events import ModelSpec
from sessions.gateway.dialects.base import Dialect, HistoryName
from sessions.gateway.dialects.responses_assembler import ResponsesAssembler
from sessions.gateway.dialects.system_text import add_to_field
from sessions.gateway.units import Unit, UnitKind, WireRequest
from sessions.providers.assembler import Assembler

_CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call", "tool_search_call", "mcp_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "tool_search_output")


class ResponsesDialect(Dialect):
    """``POST /v1/responses``."""

    name = "responses"
    talk = "input"
    volatile = ("cache_control", "id")
    nameless = ("id", "status")
    keeps_replies = True

    def assembler(self, spec: ModelSpec, key: str | None) -> Assembler:
        return ResponsesAssembler(spec, key)

    def splits(self, message: dict[str, Any]) -> bool:
        return message.get("role") in ("user", "system", "developer") and super().splits(message)

    def kind_of_message(self, message: dict[str, Any]) -> tuple[str, UnitKind, str]:
        kind, call = message.get("type", "message"), str(message.get("call_id") or message.get("id") or "")
        if kind == "message":
            return str(message.get("role", "")), "text", ""
        if kind in _RESULTS:
            return "tool", "result", call
        if kind in _CALLS:
            return "assistant", "call", call
        if kind == "reasoning":
            return "assistant", "reasoning", ""
        return "", "other", ""

    def user_unit(self, text: str, after: Unit | None) -> Unit:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        return self._made("[" if after is None else ",", item, "user")

    def history_of(self, fields: Mapping[str, Any]) -> HistoryName | None:
        if isinstance(reply := fields.get("previous_response_id"), str) and reply:
            return HistoryName("reply", reply)
        named = fields.get("conversation")
        id = named.get("id") if isinstance(named, dict) else named
        return HistoryName("conversation", id) if isinstance(id, str) and id else None

    def with_note(self, request: WireRequest, note: str) -> WireRequest | None:
        return add_to_field(request, "instructions", note) or super().with_note(request, note)

    def keep_alive(self, number: int, *, stream: bool) -> bytes:
        # Codex counts events, not bytes: a comment keeps it waiting for 300 s and no longer.
        data = json.dumps({"type": "keepalive", "sequence_number": number})
        return f"event: keepalive\ndata: {data}\n\n".encode() if stream else b" "

    def late_error(self, message: str, *, stream: bool) -> bytes:
        if not stream:
            return super().late_error(message, stream=False)
        told = {"error": {"code": "server_error", "message": message}, "status": "failed"}
        data = json.dumps({"type": "response.failed", "response": told})
        return f"event: response.failed\ndata: {data}\n\n".encode()
