"""A session file of Claude Code, record by record."""

from __future__ import annotations

from typing import Any

CLOCK = "2026-01-05T10:{:02}:{:02}.000Z"


class Tree:
    """Records of one session, each after the one before it unless it says another."""

    def __init__(self, session: str = "s-1") -> None:
        self.session = session
        self.records: list[dict[str, Any]] = []

    def add(self, kind: str, message: Any = None, *, after: str | None = "-", at: int = 0, **more: Any) -> str:
        name = f"r{len(self.records)}"
        parent = (self.records[-1]["uuid"] if self.records else None) if after == "-" else after
        seconds = at or len(self.records)
        record = {"type": kind, "uuid": name, "parentUuid": parent, "sessionId": self.session, "isSidechain": False}
        self.records.append(
            record
            | {"timestamp": CLOCK.format(seconds // 60, seconds % 60)}
            | ({} if message is None else {"message": message})
            | more
        )
        return name

    def user(self, content: Any, **more: Any) -> str:
        return self.add("user", {"role": "user", "content": content}, **more)

    def reply(self, name: str, *blocks: dict[str, Any], stop: str | None = None, tokens: int = 5, **more: Any) -> str:
        usage = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": tokens}
        message = {"id": name, "model": "claude-x", "content": list(blocks), "stop_reason": stop, "usage": usage}
        return self.add("assistant", message, **more)

    def result(self, call: str, text: str, *, failed: bool = False, **more: Any) -> str:
        return self.user([{"type": "tool_result", "tool_use_id": call, "content": text, "is_error": failed}], **more)


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def call(name: str, tool: str = "Bash", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": name, "name": tool, "input": given}
