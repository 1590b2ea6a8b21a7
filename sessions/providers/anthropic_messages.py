"""``anthropic:MODEL``: the Messages API, streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sessions.log.events import ModelSpec
from sessions.log.parts import Message
from sessions.log.text import canonical_json
from sessions.providers.anthropic_stream import MessagesAssembler
from sessions.providers.anthropic_wire import has_calls, messages_wire
from sessions.providers.attempt import attempt, key_for, preload_http
from sessions.providers.base import CallContext, Delta, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.quirks import AnthropicQuirks, quirks_of

if TYPE_CHECKING:
    import anthropic
    import httpx2

BASE_URL: Final = "https://api.anthropic.com"
KEY_VARIABLE: Final = "ANTHROPIC_API_KEY"
CACHE: Final = {"type": "ephemeral"}


class AnthropicMessages:
    """The adapter. It holds no state: every attempt opens and closes its own connection."""

    name = "anthropic"
    version = 1
    executes = True

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
        if quirks.thinking is not None:
            envelope["thinking"] = quirks.thinking
        elif quirks.thinking_budget:
            envelope["thinking"] = {"type": "enabled", "budget_tokens": quirks.thinking_budget}
            # max_tokens counts the thinking too, and must be more than its budget.
            envelope["max_tokens"] += quirks.thinking_budget
        envelope |= {name: value for name in ("temperature", "top_p") if (value := getattr(quirks, name)) is not None}
        if _own(spec) if quirks.cache is None else quirks.cache:
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
        import anthropic

        async def post(http: httpx2.AsyncClient) -> anthropic.AsyncStream[object]:
            client = _client(spec, key_for(spec, call, KEY_VARIABLE), http)
            return await client.post(
                "/v1/messages",
                cast_to=object,
                content=canonical_json(body.whole()),
                options={"headers": {"Content-Type": "application/json", "Accept": "text/event-stream"}},
                stream=True,
                stream_cls=anthropic.AsyncStream[object],
            )

        return attempt(anthropic, spec, call, post, MessagesAssembler(spec, call.key))


@cache
def _adapter() -> AnthropicMessages:
    return AnthropicMessages()


def adapter(spec: ModelSpec) -> AnthropicMessages:
    """The adapter for ``spec``."""
    return _adapter()


def preload() -> None:
    """Import the SDK and what it stands on."""
    import anthropic.resources.messages  # noqa: F401  the SDK imports its parts when they are first used

    preload_http()


def _client(spec: ModelSpec, key: str, http: httpx2.AsyncClient) -> anthropic.AsyncAnthropic:
    import anthropic

    base_url = (spec.base_url or BASE_URL).rstrip("/").removesuffix("/v1")
    if quirks_of(spec, AnthropicQuirks).auth == "bearer":
        return anthropic.AsyncAnthropic(auth_token=key, base_url=base_url, max_retries=0, http_client=http)
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, http_client=http)


def _own(spec: ModelSpec) -> bool:
    return spec.base_url is None or urlsplit(spec.base_url).hostname == urlsplit(BASE_URL).hostname


def _tools(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    return [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools]
