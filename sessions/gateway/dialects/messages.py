"""Messages: turns of blocks; the system prompt stands beside them, and results are blocks of the user's turn."""

from __future__ import annotations

import json
from typing import Any

from sessions.events import ModelSpec
from sessions.gateway.dialects.base import Dialect
from sessions.gateway.dialects.system_text import add_to_field
from sessions.gateway.units import Unit, UnitKind, WireRequest, is_block
from sessions.providers.anthropic_stream import MessagesAssembler
from sessions.providers.assembler import Assembler


class MessagesDialect(Dialect):
    """``POST /v1/messages``."""

    name = "messages"

    def assembler(self, spec: ModelSpec, key: str | None) -> Assembler:
        return MessagesAssembler(spec, key)

    def kind_of_block(self, message: dict[str, Any], block: Any) -> tuple[UnitKind, str]:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "tool_use":
            return "call", str(block.get("id") or "")
        if kind == "tool_result":
            return "result", str(block.get("tool_use_id") or "")
        if kind in ("thinking", "redacted_thinking"):
            return "reasoning", ""
        return super().kind_of_block(message, block)

    def kind_of_message(self, message: dict[str, Any]) -> tuple[str, UnitKind, str]:
        return str(message.get("role", "")), "text", ""

    def user_unit(self, text: str, after: Unit | None) -> Unit:
        block = {"type": "text", "text": text}
        if after is not None and after.role == "user" and is_block(after):
            return self._made(",", block, "user")  # in the turn that the results are in
        return self._made("[" if after is None else ",", {"role": "user", "content": [block]}, "user")

    def with_note(self, request: WireRequest, note: str) -> WireRequest | None:
        return add_to_field(request, "system", note)

    def keep_alive(self, number: int, *, stream: bool) -> bytes:
        return b'event: ping\ndata: {"type": "ping"}\n\n' if stream else b" "

    def error(self, status: int, message: str, kind: str = "") -> bytes:
        names = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
                 429: "rate_limit_error", 529: "overloaded_error"}  # fmt: skip
        kind = kind or names.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()

    def late_error(self, message: str, *, stream: bool) -> bytes:
        data = self.error(500, message, "api_error")
        return b"event: error\ndata: " + data + b"\n\n" if stream else data
