"""Where models are served: the providers' own addresses, and where a path of an API is at a server."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from sessions.events import ModelSpec

BASES: Final = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "demo": "http://scripted.invalid/v1",
}
"""The provider's own address, where a profile names none."""
VARIABLES: Final = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
"""Where the key for a provider's own address is by convention."""


def address(spec: ModelSpec, path: str) -> str:
    """Where a path of the API is at a model's server.

    >>> address(ModelSpec(provider="openai", name="m", base_url="http://127.0.0.1:8000/v1"), "messages")
    'http://127.0.0.1:8000/v1/messages'
    >>> address(ModelSpec(provider="anthropic", name="m"), "messages")
    'https://api.anthropic.com/v1/messages'
    """
    base = (spec.base_url or BASES.get(spec.provider, "")).rstrip("/")
    if path.startswith("messages") or spec.provider == "anthropic":
        base = base.removesuffix("/v1") + "/v1"
    return f"{base}/{path}"


def place_of(spec: ModelSpec) -> str:
    """The server as a person reads it: host and port, nothing that stands before an ``@``."""
    parts = urlsplit(spec.base_url or BASES.get(spec.provider, ""))
    return parts.netloc.rpartition("@")[2] or spec.id


def shown_url(url: str) -> str:
    """``url`` without what stands before an ``@``.

    >>> shown_url("https://me:secret@models.invalid/v1")
    'https://models.invalid/v1'
    """
    scheme, there, rest = url.partition("://")
    if not there or "@" not in rest.partition("/")[0]:
        return url
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}{''.join(rest.partition('/')[1:])}"


def key_header(spec: ModelSpec, key: str) -> tuple[str, str]:
    """Where a model's server looks for the key."""
    if spec.provider == "anthropic" and spec.quirks.get("auth") != "bearer":
        return "x-api-key", key
    return "authorization", f"Bearer {key}"


def is_asked(spec: ModelSpec) -> bool:
    """Whether there is a server to ask: scripted models and recordings have none."""
    return spec.provider in VARIABLES
