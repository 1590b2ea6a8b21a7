"""How far a loop goes that begins with an action, and which loop an action is in, asked of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sessions import events as ev
from sessions.fold.repeats import KINDS, Loop, Repeats, find_loop, find_repeats
from sessions.log.reader import LogReader

PAGE: Final = 200
"""Events that are read at once: most loops are short."""


def read_repeats(reader: LogReader, session: str, target: ev.Target, position: int | None = None) -> Repeats:
    """What follows ``target`` up to the log position (None: the log's end), by the rule of sessions/fold/repeats."""
    first = target.to_step or target.step
    begin = reader.events(session, steps=(first, first), kinds=KINDS, limit=1)
    if not begin:
        return Repeats(first)
    return find_repeats(_read_on(reader, session, begin[0].seq - 1, position), target, _read_tools(reader, session))


def read_loop(reader: LogReader, session: str, target: ev.Target) -> Loop:
    """The loop that ``target`` is in, as the log stands."""
    begin = reader.events(session, steps=(target.step, target.step), kinds=KINDS, limit=1)
    if not begin:
        return Loop(target, target.step)
    seq = begin[0].seq
    after = _read_on(reader, session, seq - 1, None)
    return find_loop(_read_back(reader, session, seq), after, target, _read_tools(reader, session))


def _read_tools(reader: LogReader, session: str) -> Mapping[str, str]:
    summary = reader.summary(session)
    return summary.tools if summary is not None else {}


def _read_back(reader: LogReader, session: str, before: int) -> Iterator[ev.Event]:
    while True:
        page = reader.events(session, before=before, kinds=KINDS, limit=PAGE, newest_first=True)
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].seq


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
