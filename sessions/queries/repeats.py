"""How far the loop goes that begins with a flagged action, asked of the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sessions import events as ev
from sessions.fold.repeats import KINDS, Repeats, find_repeats
from sessions.log.reader import LogReader

PAGE: Final = 200
"""Events that are read at once: most loops are short."""


def read_repeats(reader: LogReader, session: str, target: ev.Target, position: int | None = None) -> Repeats:
    """What follows ``target`` up to the log position (None: the log's end), by the rule of sessions/fold/repeats."""
    first = target.to_step or target.step
    begin = reader.events(session, steps=(first, first), kinds=KINDS, limit=1)
    if not begin:
        return Repeats(first)
    summary = reader.summary(session)
    tools = summary.tools if summary is not None else {}
    return find_repeats(_read_on(reader, session, begin[0].seq - 1, position), target, tools)


def _read_on(reader: LogReader, session: str, after: int, position: int | None) -> Iterator[ev.Event]:
    while True:
        page = reader.events(session, after=after, kinds=KINDS, limit=PAGE)
        for event in page:
            if position is not None and event.id > position:
                return
            yield event
        if len(page) < PAGE:
            return
        after = page[-1].seq
