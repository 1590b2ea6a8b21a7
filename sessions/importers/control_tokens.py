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
SHOWN: Final = 4


def say_control_tokens(blobs: Iterable[Blob]) -> str:
    """A line on the texts that hold such tokens, "" if none does."""
    found: dict[str, None] = {}
    holding = 0
    for blob in blobs:
        tokens = _TOKENS.findall(blob.data) if b"<" in blob.data or b"[" in blob.data else []
        holding += bool(tokens)
        found |= dict.fromkeys(token.decode(errors="replace") for token in tokens)
    if not found:
        return ""
    names = ", ".join(list(found)[:SHOWN]) + (", …" if len(found) > SHOWN else "")
    return (
        f"{say_count(holding, 'text')} of it hold control tokens of chat templates ({names}): a tokenizer may take "
        "them for its own, so look at these rows before you train on them"
    )
