"""What a request says of itself, in headers and fields: of which conversation it is, and what it is for.

Where a harness says so, it is true; most say nothing (docs/agents.md).
"""

from __future__ import annotations

from typing import Final

import msgspec

from sessions.gateway.exchange import Exchange
from sessions.gateway.units import identify
from sessions.terminal_text import plain_line

MOST_NAME: Final = 80
"""Characters of what a harness calls a conversation."""
REVIEWERS: Final = ("guardian", "review")
"""What Codex calls those that judge what its agent wants to do."""


def frame_of(exchange: Exchange) -> str:
    """The identity of model and system prompt."""
    fields = exchange.request.fields
    return identify([fields.get("model"), fields.get("system"), fields.get("instructions")])


def is_of_sub_agent(exchange: Exchange) -> bool:
    """Whether its harness says that it is a sub-agent's."""
    marked = exchange.header("x-claude-code-agent-id") or exchange.header("x-openai-subagent")
    return bool(marked) and not is_of_reviewer(exchange)


def is_of_reviewer(exchange: Exchange) -> bool:
    """Whether it asks whether another request may act: it does nothing itself."""
    return exchange.header("x-openai-subagent") in REVIEWERS


def is_marked_compaction(exchange: Exchange) -> bool:
    """Whether its harness says that it asks for a summary."""
    return '"request_kind":"compaction"' in exchange.header("x-codex-turn-metadata").replace(" ", "")


def names_of_tools(exchange: Exchange) -> list[str]:
    """The tools that it declares, "" for one without a name."""
    tools = exchange.request.fields.get("tools")
    found = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    for unit in exchange.request.units:  # newer models of Codex are told of them in the conversation
        if isinstance(unit.value, dict) and unit.value.get("type") == "additional_tools":
            found += [tool for tool in unit.value.get("tools") or () if isinstance(tool, dict)]
    named = (tool["function"] if isinstance(tool.get("function"), dict) else tool for tool in found)
    return [str(tool.get("name", "")) for tool in named]


def thread_of(exchange: Exchange) -> str:
    """The id that a harness gives its conversation, where it gives one."""
    # Claude Code's session id is the same for all of its sub-agents.
    for name in ("x-claude-code-agent-id", "thread-id", "x-codex-thread-id"):
        if value := exchange.header(name):
            return plain_line(value)[:MOST_NAME]
    metadata = exchange.request.fields.get("metadata")
    told = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(told, str):
        return ""
    try:
        inner = msgspec.json.decode(told)
    except msgspec.DecodeError:
        return ""
    return plain_line(str(inner.get("session_id", "")))[:MOST_NAME] if isinstance(inner, dict) else ""
