"""Embeddings: texts in, vectors out. No conversation, and nothing that a model says."""

from __future__ import annotations

import msgspec

from sessions.events.messages import Usage
from sessions.gateway.dialects.chat import ChatDialect
from sessions.gateway.json_spans import Span
from sessions.gateway.units import Unit
from sessions.providers.base import Reply


class EmbeddingsDialect(ChatDialect):
    """``POST /v1/embeddings``; its errors are those of Chat Completions."""

    name = "embeddings"
    talk = "input"

    def _read_units(self, text: str, talk: Span) -> tuple[list[Unit], int]:
        # Texts, or thousands of token ids: one unit.
        return [self._unit(text, talk.start, talk.start, talk.end, "user", "other", talk.value)], talk.end


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Answer(msgspec.Struct):
    """What is read of an answer; the vectors are skipped."""

    model: str = ""
    usage: _Usage | None = None


def read_embeddings(body: bytes) -> Reply:
    """An answer as a reply without words: which model gave it, and what it used. An unreadable one says neither.

    >>> read_embeddings(b'{"data": [{"embedding": [0.1]}], "model": "e", "usage": {"prompt_tokens": 3}}').model
    'e'
    """
    try:
        said = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        return Reply((), "stop")
    usage = None if said.usage is None else Usage(input_tokens=said.usage.prompt_tokens or said.usage.total_tokens)
    return Reply((), "stop", model=said.model, usage=usage)
