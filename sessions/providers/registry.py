"""From ``provider:name`` to the adapter that speaks for it. An adapter's module is imported when it is first needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final, cast

from sessions import tokens
from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.providers.base import Adapter

MODULES: Final = {
    "openai": "sessions.providers.openai_chat",
    "anthropic": "sessions.providers.anthropic_messages",
    "replay": "sessions.providers.replay",
    "demo": "sessions.providers.demo",
}
"""Each module has ``adapter(spec) -> Adapter`` and ``preload() -> None`` (imports what an attempt needs); a scripted
one that agent programs can talk to has ``wire``."""


class UnknownModel(ApolloError):
    """The text names no model that this version can reach."""


def parse_model(text: str) -> tuple[str, str]:
    """Split ``provider:name``; the name may hold further colons (``openai:llama3:8b``). Raises UnknownModel."""
    provider, colon, name = text.partition(":")
    if not colon or not name or provider not in MODULES:
        raise UnknownModel(f"{text!r} is no model: write PROVIDER:NAME, with one of {', '.join(MODULES)}")
    return provider, name


def adapter_for(spec: ModelSpec) -> Adapter:
    """The adapter that answers for ``spec``; one object per provider (per recording for ``replay``)."""
    return cast(Adapter, _module(spec.provider).adapter(spec))


def scripted_wire(spec: ModelSpec) -> Callable[[ModelSpec, bytes], AsyncIterator[bytes]] | None:
    """What a scripted model sends as a server would (``wire(spec, body)`` of its module); None for real ones."""
    found: Callable[[ModelSpec, bytes], AsyncIterator[bytes]] | None = getattr(_module(spec.provider), "wire", None)
    return found


def preload(specs: Iterable[ModelSpec]) -> None:
    """Import all that these models' sessions need, now: files may change beneath a running host."""
    tokens.preload()
    for provider in {spec.provider for spec in specs}:
        _module(provider).preload()


@cache
def _module(provider: str) -> ModuleType:
    if provider not in MODULES:
        raise UnknownModel(f"{provider!r} is no provider: there are {', '.join(MODULES)}")
    return import_module(MODULES[provider])
