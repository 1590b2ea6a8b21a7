"""The events of one session up to a position of the log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from sessions import events as ev
from sessions.log.reader import LogReader

PAGE: Final = 500
"""Events per read: few reads, and bodies of a few hundred KB at most in memory."""


def read_events(
    reader: LogReader, session: str, position: int, kinds: Collection[str] | None = None, *, after: int = 0
) -> Iterator[ev.Event]:
    """The session's events of these kinds up to the log position, page by page: constant memory."""
    while True:
        page = reader.events(session, after=after, kinds=kinds, limit=PAGE)
        for event in page:
            if event.id > position:
                return
            yield event
        if len(page) < PAGE:
            return
        after = page[-1].seq
