"""``openai:MODEL``: Chat Completions, streamed, from OpenAI or whoever speaks it (vLLM, SGLang, llama.cpp, …)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sessions.events import ModelSpec
from sessions.events.messages import Message
from sessions.providers.attempt import Api, attempt
from sessions.providers.base import CallContext, Delta, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.chat_stream import ChatAssembler
from sessions.providers.chat_wire import chat_tools, chat_wire, with_system
from sessions.providers.quirks import OpenAIQuirks, quirks_of

if TYPE_CHECKING:
    import httpx2
    import openai

_OPTIONAL: Final = ("temperature", "top_p", "seed", "reasoning_effort")


class OpenAIChat:
    """The adapter. It holds no state: every attempt opens and closes its own connection."""

    name = "openai"
    version = 2
    playback = None

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        """One wire message per neutral one."""
        quirks = quirks_of(spec, OpenAIQuirks)
        return chat_wire(spec, messages, send_reasoning=quirks.send_reasoning, null_content=quirks.null_content)

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        """The system prompt is the first message. A summary gets no tools."""
        quirks = quirks_of(spec, OpenAIQuirks)
        envelope: dict[str, Any] = {"model": spec.name, "stream": True}
        field = "max_completion_tokens" if API.is_own(spec) else "max_tokens"
        envelope[quirks.max_tokens_field or field] = spec.max_output_tokens
        envelope |= {name: value for name in _OPTIONAL if (value := getattr(quirks, name)) is not None}
        if quirks.stream_usage:
            envelope["stream_options"] = {"include_usage": True}
        if quirks.logprobs:
            envelope["logprobs"] = True
        if quirks.return_token_ids:
            envelope["return_token_ids"] = True
        offered = chat_tools(tools) if purpose == "step" and tools else None
        if offered and quirks.tool_choice:
            envelope["tool_choice"] = quirks.tool_choice
        envelope |= quirks.extra_body
        return RequestBody(envelope=envelope, messages=with_system(system, wire), tools=offered)

    def stream(self, spec: ModelSpec, body: RequestBody, call: CallContext) -> AsyncGenerator[Delta | Reply, None]:
        """One attempt; what is sent is the canonical JSON of ``body.whole()``, byte for byte."""
        return attempt(API, spec, body, call)


def adapter(spec: ModelSpec) -> OpenAIChat:
    """The adapter for ``spec``."""
    return _ADAPTER


def preload() -> None:
    """Import the SDK and what it stands on."""
    API.preload()


def _client(spec: ModelSpec, key: str, http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(api_key=key, base_url=spec.base_url or API.base_url, max_retries=0, http_client=http)


API: Final = Api(
    sdk="openai",
    resources="openai.resources.chat.completions",
    base_url="https://api.openai.com/v1",
    path="/chat/completions",
    key_variable="OPENAI_API_KEY",
    client=_client,
    assembler=ChatAssembler,
)
_ADAPTER: Final = OpenAIChat()
