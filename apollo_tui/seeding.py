"""What a pane needs of a session when the app starts: one short read per session."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from apollo_tui.state import COUNTED, WINDOW
from sessions.fold import remarks
from sessions.fold.read import ReadBook
from sessions.log import events as ev
from sessions.log.reader import LogReader


class Seed(msgspec.Struct, frozen=True):
    """The newest events (oldest first), all that was judged, what this annotator has read and what of it is unread."""

    window: Sequence[ev.Event]
    flags: Sequence[ev.Event]
    read: ReadBook
    unread: Sequence[int]


def seed_of(reader: LogReader, session: str, actor: str) -> Seed:
    """Read the seed of one session."""
    window = reader.events(session, newest_first=True, limit=WINDOW)[::-1]
    flags = reader.events(session, kinds=remarks.KINDS | {"flag.set", "flag.removed"})
    read = read_by(reader, session, actor)
    return Seed(window, flags, read, unread_of(reader, session, read))


def unread_of(reader: LogReader, session: str, read: ReadBook) -> list[int]:
    """Seqs of the entries that count as unread, oldest first."""
    # What was read or let go from the beginning on has not to be looked through.
    after = max(read.let_go, read.beginning)
    return read.unread(seq for seq, _, _, _ in reader.anchors(session, after=after, kinds=COUNTED))


def read_by(reader: LogReader, session: str, actor: str) -> ReadBook:
    """What ``actor`` has read of the session."""
    moves = reader.events(session, kinds={"cursor.moved"})
    return ReadBook(event for event in moves if event.actor == actor)
