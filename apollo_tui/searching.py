"""Search within one session, over everything that was said and done, whole outputs included. Runs in a thread."""

from __future__ import annotations

from typing import Final

from sessions.log import events as ev
from sessions.log.reader import LogReader
from sessions.search.texts import all_texts

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
        if any(text in (said if exact else said.lower()) for said in all_texts(reader, event.body)):
            found[anchors.get((event.step or 0, event.call or 0), last)] = None
            if len(found) >= MOST:
                break
    return sorted(found)
