"""Where each session stands: newest id, newest seq, and the summary. Loaded when the log is opened for writing."""

from __future__ import annotations

import logging
import sqlite3
from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from sessions.events import HOST_SESSION, Event, SessionPurged
from sessions.fold.summary import FOLD_VERSION, IllegalTransition, Summary, fold_summary
from sessions.log import schema
from sessions.log.codec import COLUMNS, event_of

UPSERT: Final = (
    "INSERT INTO sessions (session, number, fold, summary) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (session) DO UPDATE SET fold = excluded.fold, summary = excluded.summary"
)
SummaryRow = tuple[str, int, int, str]
_PAGE: Final = 500
_logger = logging.getLogger(__name__)


class Heads(msgspec.Struct):
    """The state that the next write set builds on."""

    position: int
    seqs: MutableMapping[str, int]
    summaries: MutableMapping[str, Summary]
    highest_purged: int = 0
    """The highest number of a session that was taken out: notes and papers may name it still."""

    def branch(self) -> Heads:
        """A view whose changes leave this one alone until they are merged."""
        return Heads(self.position, ChainMap({}, self.seqs), ChainMap({}, self.summaries), self.highest_purged)

    def merge(self, branch: Heads) -> None:
        """Take over what a branch of this one changed."""
        self.position = branch.position
        for mine, theirs in ((self.seqs, branch.seqs), (self.summaries, branch.summaries)):
            assert isinstance(theirs, ChainMap)
            mine.update(theirs.maps[0])


def summary_row(summary: Summary) -> SummaryRow:
    """The row of the ``sessions`` table."""
    return summary.session, summary.number, FOLD_VERSION, msgspec.json.encode(summary).decode()


def fold_summaries(events: Iterable[Event]) -> dict[str, Summary]:
    """The summaries of all sessions, from their events alone."""
    found: dict[str, Summary] = {}
    for event in events:
        if event.session == HOST_SESSION:
            continue
        before = found.get(event.session)
        try:
            found[event.session] = fold_summary(before, event)
        except IllegalTransition as error:
            # The table of transitions may have grown stricter since; a log must open all the same.
            _logger.warning("event %d of session %s is passed over: %s", event.seq, event.session, error)
            if before is not None:
                found[event.session] = msgspec.structs.replace(before, last_id=event.id, last_seq=event.seq)
    return found


def load_heads(connection: sqlite3.Connection) -> Heads:
    """The heads of an open log. Summaries that are missing, of another version or behind are made anew and stored."""
    position = int(connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])
    # A loose index scan: the newest seq of each session without a walk over all events.
    seqs: dict[str, int] = dict(
        connection.execute(
            "WITH RECURSIVE s(name) AS (SELECT min(session) FROM events UNION ALL "
            "SELECT (SELECT min(session) FROM events WHERE session > s.name) FROM s WHERE s.name IS NOT NULL) "
            "SELECT name, (SELECT max(seq) FROM events WHERE session = name) FROM s WHERE name IS NOT NULL"
        )
    )
    summaries: dict[str, Summary] = {}
    for session, version, text in connection.execute("SELECT session, fold, summary FROM sessions"):
        try:
            summary = msgspec.json.decode(text, type=Summary) if version == FOLD_VERSION else None
        except msgspec.MsgspecError:
            summary = None
        if summary is not None and summary.last_seq == seqs.get(session):
            summaries[session] = summary
    stale = [session for session in seqs if session != HOST_SESSION and session not in summaries]
    if stale:
        fresh = {name: made for session in stale for name, made in _summaries_of(connection, session).items()}
        connection.executemany(UPSERT, [summary_row(summary) for summary in fresh.values()])
        summaries |= fresh
    return Heads(position, seqs, summaries, _highest_purged(connection))


def _highest_purged(connection: sqlite3.Connection) -> int:
    found = connection.execute(
        "SELECT max(json_extract(body, '$.number')) FROM events WHERE session = ? AND kind = ?",
        (HOST_SESSION, SessionPurged.kind),
    )
    return int(found.fetchone()[0] or 0)


def read_heads(path: Path) -> Heads:
    """The heads of the log at ``path``, on a connection of its own."""
    with closing(_connect(path)) as connection:
        return load_heads(connection)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in schema.WRITER_PRAGMAS:
        connection.execute(pragma)
    return connection


def _summaries_of(connection: sqlite3.Connection, session: str) -> dict[str, Summary]:
    return fold_summaries(_events_of(connection, session))


def _events_of(connection: sqlite3.Connection, session: str) -> Iterator[Event]:
    after = 0
    query = f"SELECT {COLUMNS} FROM events WHERE session = ? AND seq > ? ORDER BY seq LIMIT {_PAGE}"
    while rows := connection.execute(query, (session, after)).fetchall():
        yield from map(event_of, rows)
        after = rows[-1][2]
