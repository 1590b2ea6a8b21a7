"""The APIs that harnesses talk to their models in, a module each."""

from __future__ import annotations

from typing import Final

from sessions.gateway.dialects.base import Dialect, UnreadableRequest
from sessions.gateway.dialects.chat import ChatDialect
from sessions.gateway.dialects.embeddings import EmbeddingsDialect
from sessions.gateway.dialects.messages import MessagesDialect
from sessions.gateway.dialects.responses import ResponsesDialect

DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect for dialect in (ChatDialect(), ResponsesDialect(), MessagesDialect())
}
"""Dialect by name."""
EMBEDDINGS: Final = EmbeddingsDialect()
"""No dialect of conversations."""

__all__ = ["DIALECTS", "EMBEDDINGS", "Dialect", "UnreadableRequest"]
