"""The shape of an InnovatorBench node file, as far as it is read; other fields are left alone."""

from __future__ import annotations

from typing import Any

import msgspec

from sessions.log.parts import Usage


class Call(msgspec.Struct, frozen=True):
    """A tool call."""

    call_id: str
    name: str
    arguments: dict[str, Any] | str = ""


class Result(msgspec.Struct, frozen=True):
    """What a call returned, as the model saw it."""

    call_id: str
    content: str
    name: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message of the prompt; exactly one call or result at most."""

    role: str
    content: str | None = None
    reasoning: str | None = None
    tool_call: Call | None = None
    tool_result: Result | None = None


class NodeUsage(msgspec.Struct, frozen=True):
    """Token counts under the names that the run used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_tokens: int = 0

    def neutral(self) -> Usage:
        """The same counts under our names."""
        cached, written = self.cache_read_input_tokens, self.cache_creation_input_tokens
        return Usage(self.input_tokens, self.output_tokens, cached, written, self.reasoning_tokens)


class Response(msgspec.Struct, frozen=True):
    """The reply of the node's own step."""

    content: str | None = None
    reasoning: str | None = None
    usage: NodeUsage | None = None
    model: str = ""
    finish_reason: str | None = None
    tool_calls: tuple[Call, ...] | None = None


class Node(msgspec.Struct, frozen=True):
    """One file."""

    id: str
    node_type: str
    messages: tuple[Message, ...]
    timestamp: str = ""
    parent_id: str | None = None
    depth: int = 0
    response: Response | None = None
    observation: dict[str, Any] | None = None
