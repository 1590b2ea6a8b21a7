from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import log_events as make
import pytest

from sessions import events as ev
from sessions.events.text import Blob
from sessions.fold.summary import IllegalTransition, Summary, fold_summary
from sessions.log.errors import BadEvent, LogClosed, LogReadFailed, LogTooNew, LogWriteFailed, NotALog
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

S = make.SESSION


def note(text: str = "x", request: str | None = None, session: str = S) -> ev.NewEvent:
    return ev.NewEvent(session, ev.NoteWritten(text=text), request=request, actor="human:ada")


@pytest.fixture
async def writer(tmp_path: Path):
    async with await LogWriter.open(tmp_path / "log.sqlite") as opened:
        yield opened


async def test_a_write_set_with_one_bad_event_leaves_nothing(writer: LogWriter) -> None:
    await writer.append(make.session_created())

    with pytest.raises(IllegalTransition, match="cannot go from created to sleeping"):
        await writer.append(note("lost"), make.state("sleeping"), blobs=[Blob.of(b"lost too")])

    with LogReader(writer.path) as reader:
        assert reader.position() == 1
    with closing(sqlite3.connect(writer.path)) as raw:
        assert raw.execute("SELECT count(*) FROM blobs").fetchone() == (0,)
    assert (await writer.append(note("kept")))[0].seq == 2


async def test_a_bad_set_among_others_in_one_commit_rolls_back_alone(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    commits: list[int] = []
    writer.subscribe(lambda events: commits.append(len(events)))

    answers = await asyncio.gather(
        writer.append(note("a")),
        writer.append(make.state("sleeping")),
        writer.append(ev.NewEvent(S, ev.NoteWritten(text="too far"), step=2**70)),
        writer.append(note("b")),
        return_exceptions=True,
    )

    assert isinstance(answers[1], IllegalTransition)
    assert isinstance(answers[2], LogWriteFailed)
    with LogReader(writer.path) as reader:
        assert [event.body.text for event in reader.events(S, kinds=["session.note"])] == ["a", "b"]  # type: ignore[attr-defined]
        assert [event.seq for event in reader.events(S)] == [1, 2, 3]
    assert commits == [2]


async def test_a_body_that_would_not_come_back_is_refused(writer: LogWriter) -> None:
    await writer.append(make.session_created())

    with pytest.raises(BadEvent, match=r"session\.note cannot be stored"):
        await writer.append(ev.NewEvent(S, ev.NoteWritten(text=3)))  # type: ignore[arg-type]
    with pytest.raises(BadEvent, match="no kind"):
        await writer.append(ev.NewEvent(S, ev.Body()))


async def test_an_event_that_the_fold_cannot_bear_fails_alone(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.append(make.session_created())

    def fold_badly(before: Summary | None, event: ev.Event) -> Summary:
        if event.body == ev.NoteWritten(text="absurd"):
            raise ZeroDivisionError("a mistake in a fold")
        return fold_summary(before, event)

    monkeypatch.setattr("sessions.log.transaction.fold_summary", fold_badly)
    answers = await asyncio.gather(writer.append(note("absurd")), writer.append(note("fine")), return_exceptions=True)

    assert isinstance(answers[0], BadEvent)
    assert isinstance(answers[1], list)


async def test_lone_surrogates_become_replacement_characters_and_never_fail(writer: LogWriter) -> None:
    await writer.append(make.session_created())

    (stored,) = await writer.append(note("a\ud800b"))

    assert stored.body == ev.NoteWritten(text="a\ufffdb")
    with LogReader(writer.path) as reader:
        assert reader.event(S, 2) == stored


async def test_a_request_that_failed_may_be_made_again(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    with pytest.raises(IllegalTransition):
        await writer.append(note(request="r"), make.state("sleeping"))

    assert len(await writer.append(note(request="r"))) == 1


async def test_a_writer_whose_task_dies_refuses_in_one_line_and_hangs_nobody(tmp_path: Path) -> None:
    writer = await LogWriter.open(tmp_path / "log.sqlite")
    await writer.append(make.session_created())
    waiting = [asyncio.create_task(writer.append(note(str(number)))) for number in range(3)]
    await asyncio.sleep(0)

    writer._task.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)

    assert all(isinstance(answer, LogClosed | list) for answer in answers)
    with pytest.raises(LogClosed):
        await writer.append(note())
    await writer.close()


async def test_a_lock_held_elsewhere_is_said_in_one_line_and_the_writer_works_again_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sessions.log.schema.WRITER_PRAGMAS",
        ("PRAGMA busy_timeout = 50", "PRAGMA journal_mode = WAL", "PRAGMA recursive_triggers = ON"),
    )
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(make.session_created())
        with closing(sqlite3.connect(writer.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LogWriteFailed, match="locked") as failed:
                await writer.append(note())
            assert "\n" not in str(failed.value)
            other.execute("ROLLBACK")
        (stored,) = await writer.append(note())
        assert stored.seq == 2


async def test_a_full_disk_is_said_in_one_line_and_the_writer_works_again_after(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    connection = writer._committer._connection
    pages = (await (await connection.execute("PRAGMA page_count")).fetchone())[0]  # type: ignore[index]
    await connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    blob = Blob.of(bytes(range(256)) * 4000 + b"x")

    with pytest.raises(LogWriteFailed, match="full: nothing was stored; free some space"):
        while True:
            await writer.append(note("n" * 100_000), blobs=[blob])
    before = writer.position
    await connection.execute("PRAGMA max_page_count = 1000000")
    (stored,) = await writer.append(note("there is space again"))

    assert stored.id == before + 1
    with LogReader(writer.path) as reader:
        assert reader.position() == stored.id
        assert [event.seq for event in reader.events(S)] == list(range(1, stored.seq + 1))


async def test_events_that_another_hand_put_in_do_not_break_the_numbering(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    with closing(sqlite3.connect(writer.path)) as raw:
        raw.execute(
            "INSERT INTO events (session, seq, kind, v, at, actor, body) VALUES (?, 2, 'session.note', 1, 0, 'x', ?)",
            (S, '{"text":"by hand"}'),
        )
        raw.commit()

    with pytest.raises(LogWriteFailed):
        await writer.append(note("first try"))
    (stored,) = await writer.append(note("second try"))

    assert stored.seq == 3


async def test_other_files_and_newer_logs_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("this is no database, although it is long enough to look at" * 20)
    with pytest.raises(NotALog):
        await LogWriter.open(text)
    assert text.read_text().startswith("this is no database")

    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as raw:
        raw.execute("CREATE TABLE t (x)")
        raw.commit()
    with pytest.raises(NotALog, match="no Apollo log"):
        await LogWriter.open(foreign)

    newer = tmp_path / "newer.sqlite"
    await (await LogWriter.open(newer)).close()
    with closing(sqlite3.connect(newer)) as raw:
        raw.execute("PRAGMA user_version = 99")
    with pytest.raises(LogTooNew, match="update Apollo"):
        await LogWriter.open(newer)


async def test_a_path_that_cannot_hold_a_log_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "log.sqlite"):
        with pytest.raises(LogWriteFailed) as refused:
            await LogWriter.open(path)
        assert "\n" not in str(refused.value)
    with pytest.raises(LogReadFailed, match="could not be opened"):
        LogReader(tmp_path)
