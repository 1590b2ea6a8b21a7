"""A reply while it streams: frames become a ``LiveReply``, and that becomes entries at the end of a pane."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from widgets.entry_kinds import reply_lines
from widgets.models import Entry, LivePart, LiveReply
from widgets.sanitise import clean_line
from widgets.tool_call_text import raw_call_line

LIVE_SEQ: Final = 1 << 40
"""Live entries count from here: beyond every event of the log, so they come last."""

SHOWN: Final = 4000
"""Characters of a streaming part that are painted; what came before stands in the log soon."""


def grow(
    live: LiveReply | None,
    *,
    step: int,
    attempt: int,
    index: int,
    channel: Literal["reasoning", "text", "call"],
    offset: int,
    text: str,
    name: str = "",
) -> LiveReply:
    """``live`` with one frame more. A new step or attempt begins anew, an overlap overwrites, a gap shows ``…``."""
    if live is None or (live.step, live.attempt) != (step, attempt):
        live = LiveReply(step, attempt)
    parts = list(live.parts)
    while len(parts) <= index:
        parts.append(LivePart(channel, ""))
    known = parts[index]
    kept = known.text[:offset]
    if offset > len(known.text):
        # Frames were dropped: keep offsets true, the reader sees that something is missing.
        kept += "…" * min(1, offset - len(kept)) + " " * max(0, offset - len(kept) - 1)
    parts[index] = LivePart(channel, kept + text, name or known.name)
    return msgspec.structs.replace(live, parts=tuple(parts))


def live_entries(live: LiveReply, at: int) -> list[Entry]:
    """The entries of a partial reply: what it says, then each call as far as it is written."""
    said = [(part.channel, _end(part.text)) for part in live.parts if part.channel != "call"]
    body = reply_lines(said)
    entries: list[Entry] = []
    if body:
        entries.append(Entry(LIVE_SEQ, "reply", at, live.step, body=body, live=True))
    calls = [part for part in live.parts if part.channel == "call"]
    for number, part in enumerate(calls, 1):
        head = raw_call_line(part.name or "…", part.text[:SHOWN])
        entries.append(Entry(LIVE_SEQ + number, "action", at, live.step, number, part.name, head, live=True))
    return entries


def ticker(live: LiveReply, cells: int) -> str:
    """The end of what a partial reply says, in about so many cells, from the beginning of a word."""
    text = clean_line(live.parts[-1].text[-2 * cells :]) if live.parts else ""
    if len(text) <= cells:
        return text
    space = text.find(" ", len(text) - cells)
    return "… " + text[space + 1 if space >= 0 else len(text) - cells :]


def _end(text: str) -> str:
    """The end of a long text, cut in big strides so that its rows stay where they are between two cuts."""
    if len(text) <= 2 * SHOWN:
        return text
    start = (len(text) - SHOWN) // SHOWN * SHOWN
    space = text.find(" ", start, start + 200)
    return "… " + text[(space + 1 if space > 0 else start) :]
