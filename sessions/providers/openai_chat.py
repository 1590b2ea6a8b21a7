"""``openai:MODEL``: Chat Completions, streamed, from OpenAI or whoever speaks it (vLLM, SGLang, llama.cpp, …)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sessions.log.events import ModelSpec
from sessions.log.parts import Message
from sessions.log.text import canonical_json
from sessions.providers.attempt import attempt, key_for, preload_http
from sessions.providers.base import CallContext, Delta, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.chat_stream import ChatAssembler
from sessions.providers.chat_wire import chat_tools, chat_wire, with_system
from sessions.providers.quirks import OpenAIQuirks, quirks_of

if TYPE_CHECKING:
    import httpx2

BASE_URL: Final = "https://api.openai.com/v1"
KEY_VARIABLE: Final = "OPENAI_API_KEY"
_OPTIONAL: Final = ("temperature", "top_p", "seed", "reasoning_effort")


class OpenAIChat:
    """The adapter. It holds no state: every attempt opens and closes its own connection."""

    name = "openai"
    version = 1
    executes = True

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
        envelope[quirks.max_tokens_field or _max_tokens_field(spec)] = spec.max_output_tokens
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
        import openai

        async def post(http: httpx2.AsyncClient) -> openai.AsyncStream[object]:
            key = key_for(spec, call, KEY_VARIABLE)
            base_url = spec.base_url or BASE_URL
            client = openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=http)
            return await client.post(
                "/chat/completions",
                cast_to=object,
                content=canonical_json(body.whole()),
                options={"headers": {"Content-Type": "application/json", "Accept": "text/event-stream"}},
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )

        return attempt(openai, spec, call, post, ChatAssembler(spec, call.key))


@cache
def _adapter() -> OpenAIChat:
    return OpenAIChat()


def adapter(spec: ModelSpec) -> OpenAIChat:
    """The adapter for ``spec``."""
    return _adapter()


def preload() -> None:
    """Import the SDK and what it stands on."""
    import openai.resources.chat.completions  # noqa: F401  the SDK imports its parts when they are first used

    preload_http()


def _max_tokens_field(spec: ModelSpec) -> str:
    own = spec.base_url is None or urlsplit(spec.base_url).hostname == urlsplit(BASE_URL).hostname
    return "max_completion_tokens" if own else "max_tokens"
