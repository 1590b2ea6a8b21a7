from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import log_events as make
import msgspec
import pytest

from sessions import events as ev
from sessions.events.text import long_text
from sessions.hints import say_in_shell
from sessions.log.codec import UnknownEvent
from sessions.log.errors import AmbiguousId, LogMissing, LogReadFailed, LogTooOld, NoSuchSession
from sessions.log.reader import PAGE, LogReader
from sessions.log.writer import LogWriter

S = make.SESSION


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[LogWriter]:
    async with await LogWriter.open(tmp_path / "log.sqlite") as opened:
        yield opened


async def two_steps(writer: LogWriter) -> list[ev.Event]:
    stored = await writer.append(make.session_created(), make.state("running"))
    for step in (1, 2):
        asked, blobs = make.request(step, messages=(("user", "go on"),))
        stored += await writer.append(asked, blobs=blobs)
        stored += await writer.append(make.reply(step, stored[-1].seq, ("run", "{}")))
        stored += await writer.append(make.action_started(step, 1, "run"))
        stored += await writer.append(make.result(step, 1))
    return stored


async def test_events_are_found_by_seq_kind_and_step(writer: LogWriter) -> None:
    stored = await two_steps(writer)
    with LogReader(writer.path) as reader:
        assert reader.events(S) == stored
        assert reader.events(S, after=2, before=5) == stored[2:4]
        assert reader.events(S, steps=(2, 2)) == stored[6:]
        assert reader.events(S, kinds={"model.reply"}) == [stored[3], stored[7]]
        assert reader.events(S, kinds=[]) == []
        assert reader.events(S, limit=2, newest_first=True) == [stored[-1], stored[-2]]
        assert reader.event(S, 3) == stored[2]
        assert reader.event(S, 99) is None
        assert reader.events("nobody") == []
        assert reader.since(stored[4].id) == stored[5:]
        assert reader.since(0, limit=3) == stored[:3]


async def test_anchors_are_the_events_that_begin_entries(writer: LogWriter) -> None:
    stored = await two_steps(writer)
    expected = [(event.seq, event.step, event.call, event.kind) for event in stored if event.kind in ev.ANCHORS]
    with LogReader(writer.path) as reader:
        assert reader.anchors(S) == expected
        assert reader.anchors(S, after=expected[1][0], limit=2) == expected[2:4]


async def test_stream_pages_through_everything_up_to_a_position(writer: LogWriter) -> None:
    await writer.append(make.session_created(), make.session_created(make.OTHER, 2))
    notes = [ev.NewEvent(S if n % 3 else make.OTHER, ev.NoteWritten(text=str(n))) for n in range(2 * PAGE + 7)]
    await writer.append(*notes)
    with LogReader(writer.path) as reader:
        whole = list(reader.stream())
        assert [event.id for event in whole] == list(range(1, writer.position + 1))
        assert list(reader.stream(S)) == [event for event in whole if event.session == S]
        assert list(reader.stream(up_to=PAGE + 3)) == whole[: PAGE + 3]
        assert list(reader.stream(S, up_to=40)) == [event for event in whole[:40] if event.session == S]


async def test_a_stream_ends_at_the_position_where_it_began(writer: LogWriter) -> None:
    stored = await two_steps(writer)
    with LogReader(writer.path) as reader:
        stream = reader.stream()
        first = next(stream)
        await writer.append(make.state("paused"))
        assert [first, *stream] == stored


async def test_a_stream_under_way_does_not_hold_up_the_cutting_of_the_wal(writer: LogWriter) -> None:
    await writer.append(make.session_created(), *(ev.NewEvent(S, ev.NoteWritten(text="n")) for _ in range(3 * PAGE)))
    with LogReader(writer.path) as reader:
        stream = reader.stream()
        next(stream)
        await writer._committer.checkpoint()
        assert writer.wal_bytes() == 0
        assert len(list(stream)) == 3 * PAGE


async def test_summaries_are_those_of_the_writer(writer: LogWriter) -> None:
    await two_steps(writer)
    await writer.append(make.session_created(make.OTHER, 2))
    with LogReader(writer.path) as reader:
        assert reader.summaries() == list(writer.summaries().values())
        assert reader.summary(S) == writer.summary(S)
        assert reader.summary("nobody") is None


async def test_a_summary_of_another_version_or_damaged_is_made_from_the_events(writer: LogWriter) -> None:
    await two_steps(writer)
    for change in ("fold = 0", "summary = '{}'"):
        with closing(sqlite3.connect(writer.path)) as raw:
            raw.execute(f"UPDATE sessions SET {change}")
            raw.commit()
        with LogReader(writer.path) as reader:
            assert reader.summary(S) == writer.summary(S)


async def test_two_sessions_whose_ids_end_alike_are_told_apart_by_more_of_it(writer: LogWriter) -> None:
    twin = f"{make.OTHER[:3]}1{S[4:]}"
    await writer.append(make.session_created(), make.session_created(twin, 2))
    with LogReader(writer.path) as reader:
        with pytest.raises(AmbiguousId, match="2 sessions end with zzzz"):
            reader.find("zzzz")
        assert reader.find(twin[3:]) == twin


async def test_sessions_are_found_by_number_and_by_unique_prefix_or_ending(writer: LogWriter) -> None:
    child = "02" + "Y" * 24
    of_a_child = make.session_created(child, 13)
    begun = msgspec.structs.replace(of_a_child.body, child_address="1.b", begins=ev.Beginning(S, 1, "child"))
    await writer.append(make.session_created(), make.session_created(make.OTHER, 12))
    await writer.append(msgspec.structs.replace(of_a_child, body=begun))
    with LogReader(writer.path) as reader:
        assert reader.find("12") == make.OTHER
        assert reader.find("1.b") == child
        assert reader.find("1") == S
        assert reader.find("01j") == reader.find(S) == S
        with pytest.raises(AmbiguousId, match="2 sessions begin with 01"):
            reader.find("01")
        assert reader.find("ZZZZ") == reader.find(S[-8:].lower()) == S
        assert reader.find(make.OTHER[-8:]) == make.OTHER
        for wrong in ("14", "1.c", "zz", "", "%", "000", "0000000"):
            with pytest.raises(NoSuchSession):
                reader.find(wrong)


async def test_long_texts_come_back_whole_and_a_missing_blob_is_said(writer: LogWriter) -> None:
    text, blobs = long_text("grüße " * 5000)
    await writer.append(make.session_created(), blobs=blobs)
    with LogReader(writer.path) as reader:
        assert reader.text(text) == "grüße " * 5000
        assert reader.text(long_text("short")[0]) == "short"
        with pytest.raises(LogReadFailed, match="abc is not in"):
            reader.blob("abc")


async def test_damaged_rows_are_shown_as_such_and_the_rest_is_read(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    with closing(sqlite3.connect(writer.path)) as raw:
        insert = "INSERT INTO events (session, seq, kind, v, at, actor, body) VALUES (?, ?, ?, 1, 0, ?, ?)"
        raw.execute(insert.replace("?)", "CAST(x'7B22FF' AS TEXT))"), (S, 2, "session.note", "human:x"))
        raw.execute(insert, (S, 3, "kind.of_tomorrow", "human:x", '{"a":1}'))
        raw.execute(insert.replace("?, ?)", "CAST(x'FFFE' AS TEXT), ?)"), (S, 4, "session.note", '{"text":"fine"}'))
        raw.commit()
    with LogReader(writer.path) as reader:
        created, broken, unknown, fine = reader.stream()
    assert isinstance(created.body, ev.SessionCreated)
    assert isinstance(broken.body, UnknownEvent)
    assert isinstance(unknown.body, UnknownEvent)
    assert unknown.body.raw == '{"a":1}'
    assert (fine.actor, fine.body) == ("\ufffd\ufffd", ev.NoteWritten(text="fine"))


async def test_one_reader_serves_many_threads(writer: LogWriter) -> None:
    stored = await two_steps(writer)
    wrong: list[object] = []
    with LogReader(writer.path) as reader:

        def look() -> None:
            for _ in range(50):
                if reader.events(S) != stored or reader.position() != len(stored):
                    wrong.append(reader.position())

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


async def test_a_reader_cannot_write(writer: LogWriter) -> None:
    with LogReader(writer.path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM sessions")


async def test_a_path_with_signs_of_a_uri_in_it_is_just_a_path(tmp_path: Path) -> None:
    path = tmp_path / "what? #1 100%.sqlite"
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created())
        with LogReader(path) as reader:
            assert reader.position() == 1


async def test_a_missing_an_empty_and_an_old_log_are_each_said_in_one_line(tmp_path: Path, writer: LogWriter) -> None:
    with pytest.raises(LogMissing, match="there is no log at"):
        LogReader(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(LogMissing, match="is empty"):
        LogReader(tmp_path / "empty.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sessions.log.schema.SCHEMA_VERSION", 2)
        with pytest.raises(LogTooOld) as old:
            LogReader(writer.path)
        assert "apollo host start" in say_in_shell(old.value)


WRITE_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
import log_events as make
from sessions.log.writer import LogWriter
async def main():
    writer = await LogWriter.open(Path(sys.argv[1]))
    await writer.append(make.session_created(), make.state("running"))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.mark.parametrize("shm", ["kept", "lost"])
def test_a_log_whose_host_was_killed_is_read_with_all_of_its_wal(tmp_path: Path, shm: str) -> None:
    path = tmp_path / "log.sqlite"
    support = Path(__file__).parents[1] / "support"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(support)])}
    died = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path)], env=env, check=False, timeout=30)
    assert died.returncode == -signal.SIGKILL
    assert (tmp_path / "log.sqlite-wal").stat().st_size > 0
    if shm == "lost":
        (tmp_path / "log.sqlite-shm").unlink()

    with LogReader(path) as reader:
        assert [event.kind for event in reader.stream()] == ["session.created", "session.state"]
        assert reader.summaries()[0].state == "running"
