"""``anthropic:MODEL``: the Messages API, streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import Message
from sessions.providers.anthropic_stream import MessagesAssembler
from sessions.providers.anthropic_wire import has_calls, messages_wire, wants_thinking
from sessions.providers.attempt import Api, attempt
from sessions.providers.base import CallContext, Delta, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.quirks import AnthropicQuirks, quirks_of

if TYPE_CHECKING:
    import anthropic
    import httpx2

CACHE: Final = {"type": "ephemeral"}


class AnthropicMessages:
    """The adapter. It holds no state: every attempt opens and closes its own connection."""

    name = "anthropic"
    version = 2
    playback = None

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        """What lies between two assistant messages becomes one user message, results first."""
        return messages_wire(spec, messages)

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        """Cache breakpoints are outside the messages, so that these never change once sent.

        A summary of a history with calls gets the tools, and is forbidden to use them: the API refuses it without.
        """
        quirks = quirks_of(spec, AnthropicQuirks)
        envelope: dict[str, Any] = {"model": spec.name, "stream": True, "max_tokens": spec.max_output_tokens}
        if quirks.thinking is not None and (quirks.thinking.get("type") != "enabled" or wants_thinking(wire)):
            envelope["thinking"] = quirks.thinking
        elif quirks.thinking_budget and wants_thinking(wire):
            envelope["thinking"] = {"type": "enabled", "budget_tokens": quirks.thinking_budget}
            # max_tokens counts the thinking too, and must be more than its budget.
            envelope["max_tokens"] += quirks.thinking_budget
        envelope |= {name: value for name in ("temperature", "top_p") if (value := getattr(quirks, name)) is not None}
        if API.is_own(spec) if quirks.cache is None else quirks.cache:
            envelope["cache_control"] = CACHE
        offered = _tools(tools) if purpose == "step" or has_calls(wire) else []
        if offered and purpose != "step":
            envelope["tool_choice"] = {"type": "none"}
        elif offered and quirks.tool_choice:
            envelope["tool_choice"] = {"type": quirks.tool_choice}
        envelope |= quirks.extra_body
        slot = [{"type": "text", "text": system, "cache_control": CACHE}] if system.strip() else None
        return RequestBody(envelope=envelope, messages=list(wire), system=slot, tools=offered or None)

    def stream(self, spec: ModelSpec, body: RequestBody, call: CallContext) -> AsyncGenerator[Delta | Reply, None]:
        """One attempt; what is sent is the canonical JSON of ``body.whole()``, byte for byte."""
        return attempt(API, spec, body, call)


def adapter(spec: ModelSpec) -> AnthropicMessages:
    """The adapter for ``spec``."""
    return _ADAPTER


def preload() -> None:
    """Import the SDK and what it stands on."""
    API.preload()


def _client(spec: ModelSpec, key: str, http: httpx2.AsyncClient) -> anthropic.AsyncAnthropic:
    import anthropic

    base_url = (spec.base_url or API.base_url).rstrip("/").removesuffix("/v1")
    if quirks_of(spec, AnthropicQuirks).auth == "bearer":
        return anthropic.AsyncAnthropic(auth_token=key, base_url=base_url, max_retries=0, http_client=http)
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, http_client=http)


def _tools(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    return [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools]


API: Final = Api(
    sdk="anthropic",
    resources="anthropic.resources.messages",
    base_url="https://api.anthropic.com",
    path="/v1/messages",
    key_variable="ANTHROPIC_API_KEY",
    client=_client,
    assembler=MessagesAssembler,
)
_ADAPTER: Final = AnthropicMessages()
