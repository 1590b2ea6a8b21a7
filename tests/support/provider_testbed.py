"""An adapter in front of the scripted server, as provider tests want it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from sse_server import ScriptedServer

from sessions.events import ModelSpec
from sessions.events.messages import Message, Part, TextPart
from sessions.providers.base import Adapter, CallContext, Delta, ProviderError, Reply, ToolSchema
from sessions.providers.registry import adapter_for

TOOLS = (
    ToolSchema("run", "Run a command.", {"type": "object", "properties": {"command": {"type": "string"}}}),
    ToolSchema("finish", "End the session.", {"type": "object", "properties": {}}),
)


def user_message(text: str, *sources: int) -> Message:
    return Message("user", (TextPart(text),), sources=sources)


def result(call_id: str, text: str, *sources: int) -> Message:
    return Message("tool", (TextPart(text),), sources=sources, call_id=call_id)


def assistant_message(*parts: Part, sources: tuple[int, ...] = (), **rest: Any) -> Message:
    return Message("assistant", parts, sources=sources, **rest)


@dataclass
class Bench:
    """An adapter in front of a scripted server."""

    provider: str
    server: ScriptedServer
    quirks: dict[str, Any] = field(default_factory=dict)
    deltas: list[Delta] = field(default_factory=list)

    @property
    def spec(self) -> ModelSpec:
        url = self.server.openai_url if self.provider == "openai" else self.server.anthropic_url
        return ModelSpec(self.provider, "scripted", base_url=url, quirks=self.quirks)

    @property
    def adapter(self) -> Adapter:
        return adapter_for(self.spec)

    async def ask(
        self,
        *messages: Message,
        wire: list[dict[str, Any]] | None = None,
        system: str = "You are an agent.",
        tools: tuple[ToolSchema, ...] = TOOLS,
        purpose: str = "step",
        **call: Any,
    ) -> Reply:
        spec = self.spec
        if wire is None:
            wire = [message.json for message in self.adapter.wire(spec, messages or (user_message("Go.", 1),))]
        body = self.adapter.body(spec, system, tools, wire, purpose=purpose)
        self.body = body
        self.deltas.clear()
        async for item in self.adapter.stream(spec, body, CallContext("session", 1, **call)):
            if isinstance(item, Reply):
                return item
            self.deltas.append(item)
        raise AssertionError("the stream ended without a reply")

    async def fail(self, *messages: Message, **options: Any) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.ask(*messages, **options)
        assert "\n" not in str(caught.value)
        return caught.value
