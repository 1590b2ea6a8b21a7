"""Search within one session, over everything that was said and done, whole outputs included. Runs in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sessions.log import events as ev
from sessions.log.reader import LogReader

MOST: Final = 2_000
"""So many entries with a match are enough to go through by hand."""

SILENT: Final = frozenset({"model.request", "cursor.moved", "effort.spent", "host.started", "host.stopped"})


def find_entries(reader: LogReader, session: str, text: str) -> list[int]:
    """Seqs of the entries that hold ``text``, oldest first. Lower case finds both cases."""
    found: dict[int, None] = {}
    anchors: dict[tuple[int, int], int] = {}
    last = 0
    exact = text != text.lower()
    for event in reader.stream(session):
        if event.kind in ev.ANCHORS:
            last = event.seq
            if event.step and event.call:
                anchors[event.step, event.call] = event.seq
        if event.kind in SILENT:
            continue
        if any(text in (said if exact else said.lower()) for said in _texts(reader, event.body)):
            found[anchors.get((event.step or 0, event.call or 0), last)] = None
            if len(found) >= MOST:
                break
    return sorted(found)


def _texts(reader: LogReader, body: ev.Body) -> Iterator[str]:
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, ev.LongText):
            yield reader.text(value)
        else:
            yield from _strings(msgspec.to_builtins(value))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
