from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import log_events as make
import pytest

from sessions import events as ev
from sessions.events.text import Blob, long_text
from sessions.log.errors import BadEvent, LogClosed, RepeatedRequest
from sessions.log.reader import LogReader
from sessions.log.session_heads import Heads
from sessions.log.transaction import WriteRows, WriteSet, stage
from sessions.log.writer import LogWriter

S = make.SESSION


def note(text: str = "x", request: str | None = None, session: str = S) -> ev.NewEvent:
    return ev.NewEvent(session, ev.NoteWritten(text=text), request=request, actor="human:ada")


@pytest.fixture
async def writer(tmp_path: Path):
    async with await LogWriter.open(tmp_path / "log.sqlite") as opened:
        yield opened


async def test_what_was_asked_for_before_is_in_the_summaries_once_the_writer_has_caught_up(writer: LogWriter) -> None:
    await writer.append(make.session_created(), make.state("running"))
    pausing = asyncio.create_task(writer.append(make.state("paused")))
    await asyncio.sleep(0)
    await writer.wait_for_writes()
    now = writer.summary(S)
    assert now is not None
    assert now.state == "paused"
    await pausing


async def test_a_writer_that_closes_keeps_nobody_waiting_for_it_to_catch_up(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    appending = asyncio.create_task(writer.append(make.state("running")))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(writer.wait_for_writes())
    await asyncio.wait_for(asyncio.gather(writer.close(), waiting, appending), 10)


async def test_what_a_reader_has_seen_is_in_the_summaries_once_the_writer_has_caught_up(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.append(make.session_created(), make.state("running"))
    on_disk, go_on = asyncio.Event(), asyncio.Event()
    store = writer._committer.store

    async def slow(batch: list[WriteSet]) -> list[ev.Event]:
        heads = writer._committer.heads
        writer._committer.heads = heads.branch()
        stored = await store(batch)
        writer._committer.heads, newer = heads, writer._committer.heads
        on_disk.set()
        await go_on.wait()
        writer._committer.heads = newer
        return stored

    monkeypatch.setattr(writer._committer, "store", slow)
    pausing = asyncio.create_task(writer.append(make.state("paused")))
    await on_disk.wait()
    with LogReader(writer.path) as reader:
        [seen] = reader.summaries()
    caught_up = asyncio.create_task(writer.wait_for_writes())
    await asyncio.sleep(0)
    assert (seen.state, caught_up.done()) == ("paused", False)
    go_on.set()
    await caught_up
    now = writer.summary(S)
    assert now is not None and now.state == "paused"
    await pausing


async def test_what_append_returns_is_what_a_reader_finds(writer: LogWriter) -> None:
    stored = await writer.append(make.session_created(), make.state("running"), note("grüße 🌍\0"))

    with LogReader(writer.path) as reader:
        assert list(reader.stream()) == stored
        assert reader.position() == writer.position == stored[-1].id == 3
    assert [event.seq for event in stored] == [1, 2, 3]


async def test_seqs_count_per_session_and_ids_over_all(writer: LogWriter) -> None:
    await writer.append(make.session_created(S, 1))
    await writer.append(make.session_created(make.OTHER, 2))
    stored = await writer.append(note(session=S), note(session=make.OTHER), note(session=S))

    assert [(event.id, event.seq) for event in stored] == [(3, 2), (4, 2), (5, 3)]


async def test_events_of_the_host_belong_to_no_session(writer: LogWriter) -> None:
    await writer.append(ev.NewEvent(ev.HOST_SESSION, ev.HostStarted(pid=1, boot_id="b", version="0")))

    assert writer.summaries() == {}
    with LogReader(writer.path) as reader:
        assert [event.kind for event in reader.events(ev.HOST_SESSION)] == ["host.started"]


async def test_a_repeated_request_gets_the_whole_first_answer_and_stores_nothing(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    first = await writer.append(note("one", request="r1"), note("two", request="r1"), note("three"))
    await writer.append(note("between"))

    with pytest.raises(RepeatedRequest) as repeated:
        await writer.append(note("again", request="r1"))

    assert repeated.value.events == first
    assert [event.request for event in first] == ["r1", None, None]
    with LogReader(writer.path) as reader:
        assert reader.by_request("r1") == first
        assert reader.by_request("r2") == []
        assert reader.position() == 5


async def test_a_request_repeated_at_the_same_moment_is_applied_once(writer: LogWriter) -> None:
    await writer.append(make.session_created())

    answers = await asyncio.gather(*(writer.append(note(request="r")) for _ in range(5)), return_exceptions=True)

    stored = [answer for answer in answers if isinstance(answer, list)]
    repeats = [answer for answer in answers if isinstance(answer, RepeatedRequest)]
    assert len(stored) == 1
    assert [repeat.events for repeat in repeats] == [stored[0]] * 4


async def test_a_cancelled_caller_loses_the_answer_and_not_the_event(writer: LogWriter) -> None:
    await writer.append(make.session_created())

    calls = [asyncio.create_task(writer.append(note(str(number)))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await writer.append(note("last"))

    assert all(call.cancelled() for call in calls)
    with LogReader(writer.path) as reader:
        said = [event.body.text for event in reader.events(S, kinds=["session.note"])]  # type: ignore[attr-defined]
    assert said == [*map(str, range(20)), "last"]


async def test_appends_are_stored_in_the_order_of_the_calls_also_beside_large_blobs(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    text, blobs = long_text("x" * 500_000)
    large = ev.NewEvent(S, ev.SummaryWritten(number=1, from_step=1, to_step=1, text=text))

    await asyncio.gather(writer.append(large, blobs=blobs), writer.append(note("after")))

    with LogReader(writer.path) as reader:
        assert [event.kind for event in reader.events(S)] == ["session.created", "summary.written", "session.note"]
        assert reader.text(text) == "x" * 500_000


async def test_numbers_are_never_given_twice(writer: LogWriter) -> None:
    assert [writer.next_number(), writer.next_number()] == [1, 2]
    await writer.append(make.session_created(S, 7))
    assert writer.next_number() == 8
    with pytest.raises(BadEvent, match="number 7"):
        await writer.append(make.session_created(make.OTHER, 7))


async def test_listeners_hear_of_commits_and_a_broken_one_harms_nobody(writer: LogWriter) -> None:
    heard: list[ev.Event] = []

    def broken(_: list[ev.Event]) -> None:
        raise RuntimeError("listener")

    writer.subscribe(broken)
    end = writer.subscribe(heard.extend)
    stored = await writer.append(make.session_created())
    end()
    await writer.append(note())

    assert heard == stored


async def test_close_stores_what_is_queued_and_then_refuses(tmp_path: Path) -> None:
    writer = await LogWriter.open(tmp_path / "log.sqlite")
    calls = [asyncio.create_task(writer.append(make.session_created()))]
    calls += [asyncio.create_task(writer.append(note(str(number)))) for number in range(300)]
    await asyncio.sleep(0)

    await asyncio.gather(writer.close(), writer.close())

    assert len([event for call in calls for event in await call]) == 301
    with pytest.raises(LogClosed):
        await writer.append(note())
    assert not (tmp_path / "log.sqlite-wal").exists()


async def test_a_writer_opened_again_goes_on_where_the_log_ends(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created(), make.state("running"))
        before = writer.summaries()
    async with await LogWriter.open(path) as writer:
        assert writer.summaries() == before
        (stored,) = await writer.append(note())
    assert (stored.id, stored.seq) == (3, 3)


async def test_a_large_wal_is_cut_when_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessions.log.writer.LARGE_WAL_BYTES", 100_000)
    monkeypatch.setattr("sessions.log.writer.IDLE_S", 0.01)
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        await writer.append(make.session_created(), note("n" * 200_000))

        async def cut() -> None:
            while writer.wal_bytes() > 0:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(cut(), 5)
        await writer.append(note())


async def test_blobs_may_be_stored_without_events(writer: LogWriter) -> None:
    blob = Blob.of(b"alone")
    assert await writer.append(blobs=[blob]) == []
    with LogReader(writer.path) as reader:
        assert reader.blob(blob.hash) == b"alone"


async def test_a_long_write_set_is_encoded_and_folded_off_the_event_loop(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_loop: list[bool] = []

    def watched(events: Sequence[ev.NewEvent], heads: Heads, clock: Callable[[], int]) -> WriteRows:
        on_loop.append(threading.current_thread() is threading.main_thread())
        return stage(events, heads, clock)

    monkeypatch.setattr("sessions.log.transaction.stage", watched)
    await writer.append(make.session_created())
    stored = await writer.append(*(note(str(number)) for number in range(1_000)))

    assert [event.seq for event in stored] == list(range(2, 1_002))
    assert on_loop == [True, False]


async def test_the_log_is_readable_by_its_owner_only(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    for name in ("log.sqlite", "log.sqlite-wal", "log.sqlite-shm"):
        assert (writer.path.parent / name).stat().st_mode & 0o077 == 0


async def test_what_an_import_stores_with_less_effort_reads_the_same(writer: LogWriter) -> None:
    chance = random.Random(1)
    texts = ["".join(chance.choices("loss of this run\n", k=size)) for size in (10, 2_000, 900_000, 900_000)]
    blobs = [Blob.of(text.encode()) for text in texts]
    notes = [note(f"note {number}") for number in range(1000)]
    stored = await writer.append(make.session_created(), make.state("running"), *notes, blobs=blobs)
    assert [event.seq for event in stored] == list(range(1, 1003))
    with LogReader(writer.path) as reader:
        assert [reader.blob(blob.hash).decode() for blob in blobs] == texts
        assert [event.body for event in reader.events(S)] == [event.body for event in stored]
        assert reader.summary(S) == writer.summary(S)


async def test_a_large_set_that_is_refused_stores_nothing_of_it(writer: LogWriter) -> None:
    await writer.append(make.session_created())
    blob = Blob.of(bytes(range(256)) * 8192)
    notes = [note() for _ in range(200)]
    with pytest.raises(BadEvent):
        await writer.append(*notes, note(text=7), blobs=[blob])  # type: ignore[arg-type]  # no text
    with LogReader(writer.path) as reader:
        assert reader.count(S) == 1
        assert reader.find_blobs([blob.hash], up_to=1 << 30) == {}
