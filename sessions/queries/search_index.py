"""The index: a file of its own in the log's folder, made from the log and worth nothing without it.

Contentless FTS5: it holds words and positions, no texts. It grows at both ends: what is new, and, the first time, from
the newest event backwards, so that what happened last can be found at once. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sessions import events as ev
from sessions.errors import ApolloError
from sessions.log.reader import LogReader
from sessions.queries.search_words import fold_word, space_words
from sessions.queries.searchable_text import SEARCHABLE_KINDS, searchable_text

VERSION: Final = 2
"""Raised when what goes into the index changes: an index of another version is made anew by the next search."""
BATCH: Final = 500
BUSY_MS: Final = 5_000
MOST_WORDS: Final = 2_000
"""So many different words may hold what is looked for inside words."""

SCHEMA: Final = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT) STRICT;
CREATE TABLE rows(id INTEGER PRIMARY KEY, session TEXT NOT NULL, seq INTEGER NOT NULL, step INTEGER, call INTEGER,
                  kind TEXT NOT NULL, tool TEXT NOT NULL) STRICT;
CREATE INDEX rows_by_tool ON rows(tool, id) WHERE tool <> '';
CREATE INDEX rows_by_call ON rows(session, step, call) WHERE call IS NOT NULL;
CREATE VIRTUAL TABLE words USING fts5(said, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');
"""

Row = tuple[int, str, int, int | None, int | None, str]
"""``(id, session, seq, step, call, kind)`` of a found event."""


class IndexFailed(ApolloError):
    """The index cannot be used; the message says what to do, in one line."""


def index_path(folder: Path) -> Path:
    """Where the index of the log whose folder is ``folder`` lies."""
    return folder / "search.sqlite"


class SearchIndex:
    """One connection, of one thread. ``reader`` is the log that it is made from."""

    def __init__(self, path: Path, reader: LogReader) -> None:
        self._path = path
        self._reader = reader
        self._names: dict[tuple[str, int, int], str] = {}
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise _index_error(path, error) from error  # somebody else may be at work with it: it is left alone
            remove_index(path)
            try:
                self._connection = self._open()
            except sqlite3.DatabaseError as again:
                raise _index_error(path, again) from again

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @property
    def span(self) -> tuple[int, int]:
        """The log's events ``low < id <= high`` are in the index."""
        found = dict(self._connection.execute("SELECT name, value FROM meta WHERE name IN ('low', 'high')"))
        return int(found.get("low", 0)), int(found.get("high", 0))

    def catch_up(self, go_on: Callable[[int], bool] = lambda _: True) -> bool:
        """Take in what is missing, newest first at the first time. Batches are atomic; other processes may do it too.

        ``go_on`` is asked between batches, with the number of events that are still to do. True when nothing is left.
        """
        with self._explain_errors():
            position = self._reader.position()
            while self._batch(position):
                low, high = self.span
                left = position - high + low
                if left > 0 and not go_on(left):
                    return False
            return True

    def newest(self, match: str, tools: Sequence[str], *, before: int, limit: int) -> list[Row]:
        """Found events with an id below ``before``, newest first."""
        values: list[Any] = []
        marks = ", ".join("?" * len(tools))
        if match:
            query = (
                "SELECT r.id, r.session, r.seq, r.step, r.call, r.kind FROM words JOIN rows r ON r.id = words.rowid "
                "WHERE words MATCH ? AND words.rowid < ?"
            )
            values += [match, before]
            if tools:
                query += f" AND r.tool IN ({marks})"
                values += tools
            query += " ORDER BY words.rowid DESC LIMIT ?"
        else:
            query = "SELECT id, session, seq, step, call, kind FROM rows WHERE id < ?"
            values.append(before)
            if tools:
                query += f" AND tool IN ({marks})"
                values += tools
            query += " ORDER BY id DESC LIMIT ?"
        with self._explain_errors():
            return list(self._connection.execute(query, [*values, limit]))

    def words_with(self, part: str) -> list[str]:
        """The words of the index that hold ``part``, at most MOST_WORDS and one more."""
        with self._explain_errors():
            # A table of this connection only: the words of the index, read from the index itself.
            self._connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.known USING fts5vocab(main, words, row)")
            query = "SELECT term FROM temp.known WHERE instr(term, ?) LIMIT ?"
            return [term for (term,) in self._connection.execute(query, [fold_word(part), MOST_WORDS + 1])]

    # --- taking in ----------------------------------------------------------------------------------------------

    def _batch(self, position: int) -> bool:
        """One batch, new events first; False if there was nothing to do."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            low, high = self.span
            if high == 0 and position:
                low = high = position
            if high < position:
                events = self._reader.since(high, BATCH)
                self._put(events)
                high = events[-1].id if events else position
            elif low > 0:
                start = max(0, low - BATCH)
                self._put([event for event in self._reader.since(start, BATCH) if event.id <= low])
                low = start
            else:
                return False
            self._connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("low", str(low)), ("high", str(high))]
            )
        return True

    def _put(self, events: Sequence[ev.Event]) -> None:
        for event in events:
            if event.kind not in SEARCHABLE_KINDS:
                continue
            tool = self._tool(event)
            row = (event.id, event.session, event.seq, event.step, event.call, event.kind, tool)
            self._connection.execute("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            text = searchable_text(self._reader, event.body)
            if text:
                self._connection.execute("INSERT INTO words(rowid, said) VALUES (?, ?)", (event.id, space_words(text)))

    def _tool(self, event: ev.Event) -> str:
        """The tool of an action or of its result, "" for anything else."""
        if isinstance(event.body, ev.ActionStarted | ev.ActionRefused):
            if event.step and event.call:
                if len(self._names) > BATCH:
                    self._names.clear()
                self._names[event.session, event.step, event.call] = event.body.name
            return event.body.name
        if not isinstance(event.body, ev.ActionResult) or not event.step or not event.call:
            return ""
        known = self._names.get((event.session, event.step, event.call))
        if known is not None:
            return known
        steps = (event.step, event.step)
        for started in self._reader.events(event.session, steps=steps, kinds={"action.started"}):
            if started.call == event.call and isinstance(started.body, ev.ActionStarted):
                return started.body.name
        return ""

    # --- the file -------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, anew if they are of another version or of another log."""
        wanted = f"{VERSION} {self._log_id()}"
        connection.execute("BEGIN IMMEDIATE")
        known = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name IN ('meta')")]
        if known:
            found = connection.execute("SELECT value FROM meta WHERE name = 'made from'").fetchone()
            if found is not None and found[0] == wanted:
                connection.execute("COMMIT")
                return
            for table in ("words", "rows", "meta"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('made from', ?)", (wanted,))
        connection.execute("COMMIT")

    def _log_id(self) -> str:
        first = self._reader.since(0, 1)
        return f"{first[0].session} {first[0].at}" if first else ""

    @contextlib.contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _index_error(self._path, error) from error


def _index_error(path: Path, error: sqlite3.Error) -> IndexFailed:
    if "locked" in str(error):
        return IndexFailed(f"another search is at work with the index {path}: try again in a moment")
    if "full" in str(error):
        return IndexFailed(f"the disk that holds the search index {path} is full: free some space")
    return IndexFailed(f"the search index {path} cannot be used ({error}): delete it")


def remove_index(path: Path) -> None:
    """Delete an index; it is made anew by the next search."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
