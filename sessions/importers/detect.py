"""Which agent recorded a file, by what is in it; more telling shapes come first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sessions.importers import (
    atif,
    claude_code,
    codex,
    codex_exec,
    gemini,
    inspect_log,
    mini_swe_agent,
    openhands,
    plain_chat,
    swe_agent,
)
from sessions.importers.base import ImportedSession
from sessions.importers.documents import Document

Recognises = Callable[[Document], bool]
Parse = Callable[[Document], list[ImportedSession]]

SHAPES: Final[tuple[tuple[str, Recognises, Parse], ...]] = (
    ("atif", atif.recognises, atif.parse),
    ("inspect", inspect_log.recognises, inspect_log.parse),
    ("openhands", openhands.is_output, openhands.parse_output),
    ("mini-swe-agent", mini_swe_agent.recognises, mini_swe_agent.parse),
    ("swe-agent", swe_agent.recognises, swe_agent.parse),
    ("claude-code", claude_code.recognises, claude_code.parse),
    ("codex", codex.recognises, codex.parse),
    ("codex", codex.is_flat, codex.parse_flat),
    ("codex", codex_exec.recognises, codex_exec.parse),
    ("gemini-cli", gemini.recognises, gemini.parse),
    ("openhands", openhands.recognises, openhands.parse),
    ("openhands", openhands.is_old, openhands.parse),
    ("chat", plain_chat.recognises, plain_chat.parse),
)
NAMES: Final = tuple(dict.fromkeys(name for name, _, _ in SHAPES))


def shape_of(found: Document, format: str = "auto") -> tuple[str, Parse] | None:
    """Whose file it is (or, of one agent, which of its shapes), and what reads it; None if nobody's."""
    for name, recognises, parse in SHAPES:
        if format in ("auto", name) and recognises(found):
            return name, parse
    return None
