"""What endpoints of one API disagree on: the ``quirks`` table of a profile, typed per provider."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

import msgspec

from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.providers.base import ProviderError

RESERVED: Final = frozenset({"model", "messages", "system", "tools", "stream"})
"""Fields of a request that ``extra_body`` must not replace."""


class BadQuirks(ApolloError):
    """The quirks of a profile are wrong: which key, what was expected."""


class _Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class OpenAIQuirks(_Quirks, frozen=True):
    """Of Chat Completions endpoints. Defaults suit api.openai.com and vLLM."""

    send_reasoning: str = "none"
    """Name of the field in which a model gets its own earlier reasoning back (``reasoning_content``), or ``none``."""
    null_content: bool = True
    """A reply that is only calls has the content null; False: an empty text, for servers that take no null."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """Unset: ``max_completion_tokens`` at api.openai.com, ``max_tokens`` elsewhere."""
    tool_choice: Literal["auto", "required", "none"] | None = None
    """Unset: not sent, which means auto."""
    stream_usage: bool = True
    """Ask for token counts at the end of the stream."""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    logprobs: bool = False
    """Ask for the log-probability of each token."""
    return_token_ids: bool = False
    """vLLM: ask for the ids of the reply's tokens."""
    extra_body: dict[str, Any] = {}
    """Further fields of the request, as they are."""


class AnthropicQuirks(_Quirks, frozen=True):
    """Of Messages endpoints."""

    thinking_budget: int | None = None
    """Tokens for thinking; unset: no thinking is asked for."""
    thinking: dict[str, Any] | None = None
    """The ``thinking`` parameter itself, for models that take another form of it."""
    cache: bool | None = None
    """Whether the moving cache breakpoint is sent. Unset: at api.anthropic.com only."""
    tool_choice: Literal["auto", "any", "none"] | None = None
    auth: Literal["key", "bearer"] = "key"
    """How the key is sent: ``x-api-key``, or ``Authorization: Bearer`` as some gateways want it."""
    temperature: float | None = None
    top_p: float | None = None
    extra_body: dict[str, Any] = {}


class ReplayQuirks(_Quirks, frozen=True):
    """Of a replayed recording."""

    speed: float = 1.0
    """How many times faster than it was recorded."""


KINDS: Final[dict[str, type[_Quirks]]] = {
    "openai": OpenAIQuirks,
    "anthropic": AnthropicQuirks,
    "replay": ReplayQuirks,
}

_Kind = TypeVar("_Kind", bound=_Quirks)


def check_quirks(provider: str, quirks: dict[str, Any]) -> None:
    """Raise BadQuirks if a provider cannot take them. A provider that is not in KINDS checks its own."""
    if provider in KINDS:
        _convert(KINDS[provider], quirks)


def quirks_of(spec: ModelSpec, kind: type[_Kind]) -> _Kind:
    """The typed quirks of a model. Raises ProviderError, because only a person can mend them."""
    try:
        return _convert(kind, spec.quirks)
    except BadQuirks as problem:
        raise ProviderError("fatal", f"{spec.id}: quirks: {problem}") from None


def _convert(kind: type[_Kind], quirks: dict[str, Any]) -> _Kind:
    try:
        typed = msgspec.convert(quirks, type=kind)
    except msgspec.ValidationError as problem:
        expected, _, place = str(problem).partition(" - at `$")
        raise BadQuirks(f"{place.strip('`.')}: {expected}" if place else expected) from None
    clash = RESERVED & set(getattr(typed, "extra_body", ()))
    if clash:
        raise BadQuirks(f"extra_body: may not replace {', '.join(sorted(clash))}")
    if isinstance(typed, ReplayQuirks) and typed.speed <= 0:
        raise BadQuirks(f"speed: expected more than 0, got {typed.speed}")
    return typed
