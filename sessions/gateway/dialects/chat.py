"""Chat Completions: messages of roles; a reply is one message."""

from __future__ import annotations

from typing import Any

from sessions.events import ModelSpec
from sessions.gateway.dialects.base import Dialect
from sessions.gateway.units import Unit, UnitKind
from sessions.providers.assembler import Assembler
from sessions.providers.chat_stream import ChatAssembler


class ChatDialect(Dialect):
    """``POST /v1/chat/completions``."""

    name = "chat"

    def assembler(self, spec: ModelSpec, key: str | None) -> Assembler:
        return ChatAssembler(spec, key)

    def splits(self, message: dict[str, Any]) -> bool:
        # A reply, and a result, is a unit as a whole: its calls stand beside its content.
        return message.get("role") in ("user", "system", "developer") and super().splits(message)

    def kind_of_message(self, message: dict[str, Any]) -> tuple[str, UnitKind, str]:
        role = str(message.get("role", ""))
        if role == "assistant":
            return role, "reply", ""
        if role in ("tool", "function"):
            return role, "result", str(message.get("tool_call_id") or message.get("name") or "")
        return role, "text", ""

    def user_unit(self, text: str, after: Unit | None) -> Unit:
        return self._made("[" if after is None else ",", {"role": "user", "content": text}, "user")
