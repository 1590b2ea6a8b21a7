"""Reasoning that a server sends in blocks of its own and wants back as it came: signed, summarised or encrypted."""

from __future__ import annotations

from typing import Any, Final

BLOCK_FIELDS: Final = ("reasoning_details", "thinking_blocks")
"""Lists of blocks beside the text of a reply (OpenRouter, LiteLLM)."""
OPAQUE_FIELDS: Final = ("reasoning_opaque", "thought_signature", "extra_content")
"""Values that only the server understands (Copilot, Gemini)."""
SENT_BACK: Final = (*BLOCK_FIELDS, *OPAQUE_FIELDS)
_GROWING: Final = ("text", "summary", "thinking")
"""Fields of a block that come in pieces."""


class ReasoningBlocks:
    """Takes what streams in under the names of ``SENT_BACK``."""

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}

    def take(self, delta: dict[str, Any]) -> tuple[bool, str]:
        """What a delta brings: whether it was anything, and what of it a person can read."""
        words: list[str] = []
        anything = False
        for name in BLOCK_FIELDS:
            pieces = delta.get(name)
            for piece in pieces if isinstance(pieces, list) else [pieces]:
                if isinstance(piece, dict) and piece:
                    anything = True
                    words += [piece[field] for field in _GROWING if isinstance(piece.get(field), str)]
                    _grow(self._fields.setdefault(name, []), piece)
        for name in OPAQUE_FIELDS:
            if delta.get(name):
                anything = True
                self._fields[name] = delta[name]
        return anything, "".join(words)

    @property
    def raw(self) -> dict[str, Any] | None:
        """All of it, to be sent back as it came; None for nothing."""
        return dict(self._fields) or None


def words_in_blocks(fields: dict[str, Any]) -> str:
    """What of the blocks a person can read."""
    blocks = [block for name in BLOCK_FIELDS for block in fields.get(name) or () if isinstance(block, dict)]
    return "".join(block[field] for block in blocks for field in _GROWING if isinstance(block.get(field), str))


def _grow(blocks: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add ``piece`` to the block that it goes on with, or begin one."""
    last = blocks[-1] if blocks else None
    if last is None or not _goes_on(last, piece):
        blocks.append(dict(piece))
        return
    for name, value in piece.items():
        if name in _GROWING and isinstance(value, str) and isinstance(last.get(name), str):
            last[name] += value
        elif value is not None:
            last[name] = value


def _goes_on(last: dict[str, Any], piece: dict[str, Any]) -> bool:
    """Whether ``piece`` is more of the block ``last``. A block with its signature is whole."""
    if last.get("type") != piece.get("type") or last.get("index") != piece.get("index"):
        return False
    if last.get("id") and piece.get("id") and last["id"] != piece["id"]:
        return False
    if last.get("data") and piece.get("data"):
        return False
    return not (last.get("signature") and any(piece.get(name) for name in _GROWING))
