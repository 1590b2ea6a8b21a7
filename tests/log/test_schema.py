from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import log_events as make
import pytest

from sessions import events as ev
from sessions.events.text import Blob
from sessions.log import schema
from sessions.log.errors import LogTooNew, SqliteTooOld
from sessions.log.migrations import MIGRATIONS, prepare_log, run_script
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.sqlite"
    async with await LogWriter.open(path) as writer:
        note = ev.NewEvent(make.SESSION, ev.NoteWritten(text="n"), request="r1")
        await writer.append(make.session_created(), note, blobs=[Blob.of(b"blob")])
    return path


@pytest.fixture(params=["our pragmas", "a stranger's"])
def raw(log: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(log, isolation_level=None)) as connection:
        if request.param == "our pragmas":
            for pragma in schema.WRITER_PRAGMAS:
                connection.execute(pragma)
        yield connection


EVENT = "(id, session, seq, kind, v, at, actor, request, body) VALUES"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET body = '{}'",
        "UPDATE events SET request = NULL WHERE seq = 2",
        "DELETE FROM events",
        f"INSERT OR REPLACE INTO events {EVENT} (2, 'x', 1, 'k', 1, 0, 'a', NULL, '{{}}')",
        f"INSERT OR REPLACE INTO events {EVENT} (NULL, '{make.SESSION}', 2, 'k', 1, 0, 'a', NULL, '{{}}')",
        f"INSERT OR REPLACE INTO events {EVENT} (NULL, 'x', 1, 'k', 1, 0, 'a', 'r1', '{{}}')",
        f"REPLACE INTO events {EVENT} (1, 'x', 1, 'k', 1, 0, 'a', NULL, '{{}}')",
        "INSERT INTO events SELECT * FROM events WHERE true ON CONFLICT DO UPDATE SET body = '{}'",
        "UPDATE blobs SET data = x'00'",
        "DELETE FROM blobs",
        "UPDATE requests SET last = 9",
        "DELETE FROM requests",
        "REPLACE INTO requests VALUES ('r1', 5, 6)",
    ],
)
def test_nothing_in_the_log_can_be_changed_deleted_or_replaced(raw: sqlite3.Connection, statement: str) -> None:
    before = [raw.execute(f"SELECT * FROM {table}").fetchall() for table in ("events", "blobs", "requests")]
    with pytest.raises(sqlite3.IntegrityError, match="never"):
        raw.execute(statement)
    after = [raw.execute(f"SELECT * FROM {table}").fetchall() for table in ("events", "blobs", "requests")]
    assert after == before


def test_the_same_blob_again_changes_nothing_not_even_with_replace(raw: sqlite3.Connection) -> None:
    before = raw.execute("SELECT * FROM blobs").fetchall()
    raw.execute("INSERT OR REPLACE INTO blobs VALUES (?, 0, 'raw', x'00')", (before[0][0],))
    assert raw.execute("SELECT * FROM blobs").fetchall() == before


def test_types_are_strict(raw: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        raw.execute(f"INSERT INTO events {EVENT} (NULL, 'x', 'one', 'k', 1, 0, 'a', NULL, '{{}}')")


def test_a_log_says_what_it_is_and_how_it_is_kept(log: Path) -> None:
    with closing(sqlite3.connect(log)) as raw:
        found = {name: raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "journal_mode")}
    assert found == {"application_id": 0x41504C4F, "journal_mode": "wal"}
    assert len(MIGRATIONS) == schema.SCHEMA_VERSION


def test_the_writer_waits_for_the_disk_at_each_commit() -> None:
    assert {"PRAGMA synchronous = FULL", "PRAGMA recursive_triggers = ON"} <= set(schema.WRITER_PRAGMAS)


async def test_no_usual_question_walks_through_bodies(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan: list[str] = []
    with LogReader(log) as reader:
        rows = reader._rows

        def explain(query: str, *values: object) -> list[object]:
            plan.extend(row[3] for row in rows(f"EXPLAIN QUERY PLAN {query}", *values))
            return []

        def plan_of(ask: Callable[..., object], *values: Any, **more: Any) -> str:
            plan.clear()
            ask(*values, **more)
            assert not [line for line in plan if line.startswith("SCAN")]
            return " | ".join(plan)

        monkeypatch.setattr(reader, "_rows", explain)
        s = make.SESSION
        assert "(session=? AND seq>?)" in plan_of(reader.events, s, after=7, limit=50)
        assert "events_by_step (session=? AND step>? AND step<?)" in plan_of(reader.events, s, steps=(3, 4))
        assert "events_by_step (session=? AND step>?" in plan_of(reader.events, s, steps=(3, 4), kinds=["a", "b"])
        assert "events_by_kind (session=? AND kind=?" in plan_of(reader.events, s, kinds=["a"], newest_first=True)
        assert "COVERING INDEX events_in_order" in plan_of(reader.events, s, kinds=["a", "b"], before=99)
        assert "COVERING INDEX events_in_order" in plan_of(reader.anchors, s, after=7)
        plan.clear()
        reader.actors(["a", "b"])
        assert "SEARCH e USING INDEX events_by_kind (session=? AND kind=?)" in plan, "each session's, by kind"
        assert "PRIMARY KEY" in plan_of(reader.by_request, "r1")
        assert "PRIMARY KEY" in plan_of(reader.since, 7)


def test_an_old_sqlite_is_refused_in_one_line() -> None:
    with pytest.raises(SqliteTooOld, match=r"has SQLite 3\.36\.0, a log needs 3\.37\.0") as refused:
        schema.check_sqlite((3, 36, 0))
    assert "\n" not in str(refused.value)


def _add_column(connection: sqlite3.Connection) -> None:
    run_script(connection, "ALTER TABLE sessions ADD COLUMN extra TEXT; CREATE TABLE added (x INTEGER) STRICT;")


def _fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (x)")
    raise sqlite3.OperationalError("a migration that fails")


def test_a_migration_copies_the_log_first_and_keeps_every_event(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with LogReader(log) as reader:
        before = list(reader.stream())
    prepare_log(log, (*MIGRATIONS, _add_column))

    monkeypatch.setattr(schema, "SCHEMA_VERSION", schema.SCHEMA_VERSION + 1)
    with LogReader(log) as reader:
        assert list(reader.stream()) == before
    copy = log.with_name(f"log.sqlite.v{len(MIGRATIONS)}.bak")
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert raw.execute("SELECT count(*) FROM events").fetchone()[0] == len(before)
    assert copy.stat().st_mode & 0o077 == 0


def test_a_migration_that_fails_leaves_the_log_as_it_was(log: Path) -> None:
    with pytest.raises(Exception, match="a migration that fails"):
        prepare_log(log, (*MIGRATIONS, _fail))
    with closing(sqlite3.connect(log)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall() == []
    with LogReader(log) as reader:
        assert reader.position() == 2


def test_preparing_a_log_that_is_up_to_date_changes_nothing(log: Path) -> None:
    before = log.read_bytes()
    prepare_log(log)
    assert log.read_bytes() == before
    assert list(log.parent.glob("*.bak")) == []


def test_a_newer_log_is_refused_by_reader_and_writer(log: Path) -> None:
    with closing(sqlite3.connect(log)) as raw:
        raw.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    with pytest.raises(LogTooNew):
        LogReader(log)
    with pytest.raises(LogTooNew):
        prepare_log(log)
