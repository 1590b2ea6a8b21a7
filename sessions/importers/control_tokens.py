"""Control tokens of chat templates that stand in a recording as plain text, as in the README of a tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from sessions.events.text import Blob
from sessions.terminal_text import say_count

_TOKENS: Final = re.compile(
    rb"<\|[a-z][a-z0-9_]{1,30}\|>|</?think>|\[/?INST\]|<(?:start|end)_of_turn>|<\xef\xbd\x9c[^<>]{1,40}\xef\xbd\x9c>"
)
_MARKS: Final = (b"<|", b"think>", b"_of_turn>", b"<\xef\xbd\x9c")
"""One of these is in every such token that begins with ``<``: to look for them alone is much faster."""
SHOWN: Final = 4


def _may_hold(data: bytes) -> bool:
    if b"<" in data:
        for mark in _MARKS:
            if mark in data:
                return True
    return b"INST]" in data


def say_control_tokens(blobs: Iterable[Blob]) -> str:
    """A line on the texts that hold such tokens, "" if none does."""
    found: dict[str, None] = {}
    holding = 0
    for blob in blobs:
        tokens = _TOKENS.findall(blob.data) if _may_hold(blob.data) else []
        holding += bool(tokens)
        found |= dict.fromkeys(token.decode(errors="replace") for token in tokens)
    if not found:
        return ""
    names = ", ".join(list(found)[:SHOWN]) + (", …" if len(found) > SHOWN else "")
    return (
        f"{say_count(holding, 'text')} of it hold control tokens of chat templates ({names}): a tokenizer may take "
        "them for its own, so look at these rows before you train on them"
    )
