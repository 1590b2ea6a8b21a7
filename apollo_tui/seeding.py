"""What a pane needs of a session when the app starts: one short read per session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from apollo_tui.state import COUNTED, WINDOW
from sessions.fold import remarks
from sessions.log import events as ev
from sessions.log.reader import LogReader

CURSORS: Final = 50


@dataclass(frozen=True, slots=True)
class Seed:
    """The newest events (oldest first), all that was judged, this annotator's cursor and what is unread after it."""

    window: Sequence[ev.Event]
    flags: Sequence[ev.Event]
    cursor: int
    unread: Sequence[int]


def seed_of(reader: LogReader, session: str, actor: str) -> Seed:
    """Read the seed of one session."""
    window = reader.events(session, newest_first=True, limit=WINDOW)[::-1]
    flags = reader.events(session, kinds=remarks.KINDS | {"flag.set", "flag.removed"})
    cursor = cursor_of(reader, session, actor)
    unread = [seq for seq, _, _, _ in reader.anchors(session, after=cursor, kinds=COUNTED)]
    return Seed(window, flags, cursor, unread)


def cursor_of(reader: LogReader, session: str, actor: str) -> int:
    """How far ``actor`` has read the session (seq), 0 if never."""
    before: int | None = None
    while True:
        moves = reader.events(session, kinds={"cursor.moved"}, before=before, newest_first=True, limit=CURSORS)
        for event in moves:
            if event.actor == actor and isinstance(event.body, ev.CursorMoved):
                return event.body.read_seq
        if len(moves) < CURSORS:
            return 0
        before = moves[-1].seq
