"""The live feed against a host that really serves the socket, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from host_in_process import HostInProcess, open_host, paths_in
from host_in_process import new_session as creation
from textual.message import Message

from apollo_tui.backend import host_link, live_feed
from apollo_tui.backend.feed import EventsArrived, LinkChanged, Loaded, NotDone
from apollo_tui.backend.live_feed import LiveFeed
from sessions import events as ev
from sessions.host import protocol
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.ulid import new_ulid

ME = "human:ada"


class Heard:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def events(self) -> list[ev.Event]:
        return [event for message in self.messages if isinstance(message, EventsArrived) for event in message.events]

    @property
    def links(self) -> list[str]:
        return [message.state for message in self.messages if isinstance(message, LinkChanged)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "POLL_S", 0.05)
    monkeypatch.setattr(host_link, "RETRY_S", 0.05)
    monkeypatch.setattr(host_link, "RESEND_S", 0.2)


@asynccontextmanager
async def listening(paths: LogPaths, **more: bool) -> AsyncIterator[tuple[LiveFeed, Heard]]:
    feed, heard = LiveFeed(paths, ME, **more), Heard()
    await feed.start(heard)
    try:
        yield feed, heard
    finally:
        await feed.close()


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


async def new_session(host: HostInProcess) -> str:
    made = await (await host.client()).call(creation(host.request()))
    assert isinstance(made, protocol.Created)
    return made.session


@pytest.fixture
def no_host_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(host_link, "ensure_host", nothing)


async def test_what_another_client_does_arrives_and_so_does_ones_own_request(
    tmp_path: Path, no_host_is_started: None
) -> None:
    async with open_host(tmp_path) as host:
        session = await new_session(host)
        async with listening(host.paths) as (feed, heard):
            await until(lambda: heard.links == ["up"])
            await until(lambda: any(isinstance(message, Loaded) for message in heard.messages))
            await host.append(ev.NewEvent(session, ev.NoteWritten(text="from elsewhere"), actor="human:bob"))
            await until(lambda: [e.kind for e in heard.events][-1:] == ["session.note"])
            done = await feed.call(
                protocol.Annotate(request=new_ulid(), session=session, kind="cursor.moved", body={"read_seq": 1})
            )
            assert isinstance(done, protocol.Done)
            await until(lambda: heard.events[-1].kind == "cursor.moved" and heard.events[-1].actor == ME)
            assert [e.id for e in heard.events] == sorted({e.id for e in heard.events}), "each event comes once"


async def test_a_refusal_is_one_line_and_nothing_breaks(tmp_path: Path, no_host_is_started: None) -> None:
    async with open_host(tmp_path) as host, listening(host.paths) as (feed, heard):
        await until(lambda: heard.links == ["up"])
        with pytest.raises(NotDone) as caught:
            await feed.call(protocol.Control(request=new_ulid(), session="nobody", verb="pause"))
        assert str(caught.value) and "\n" not in str(caught.value)
        assert isinstance(await feed.call(protocol.Status()), protocol.HostStatus)


async def test_a_lost_host_is_said_reading_goes_on_and_the_link_comes_back_by_itself(
    tmp_path: Path, no_host_is_started: None
) -> None:
    async with open_host(tmp_path) as host:
        session = await new_session(host)
        paths = host.paths
        feed, heard = LiveFeed(paths, ME), Heard()
        await feed.start(heard)
        await until(lambda: heard.links == ["up"])
    try:
        await until(lambda: heard.links[-1] == "down")
        with pytest.raises(NotDone):
            await feed.call(protocol.Control(request=new_ulid(), session=session, verb="pause"))
        assert await feed.read(lambda reader: [s.session for s in reader.summaries()]) == [session]
        async with open_host(tmp_path) as again:
            await until(lambda: heard.links[-1] == "up")
            await again.append(ev.NewEvent(session, ev.NoteWritten(text="back"), actor="human:bob"))
            await until(lambda: heard.events and heard.events[-1].kind == "session.note")
    finally:
        await feed.close()


async def test_a_read_only_window_starts_no_host_and_follows_the_log_by_polling(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        session = await new_session(host)
        async with listening(host.paths, read_only=True) as (feed, heard):
            await until(lambda: any(isinstance(message, Loaded) for message in heard.messages))
            await host.append(ev.NewEvent(session, ev.NoteWritten(text="x"), actor="human:bob"))
            await until(lambda: heard.events and heard.events[-1].kind == "session.note")
            assert heard.links == ["read-only"]
            with pytest.raises(NotDone, match="read-only"):
                await feed.call(protocol.Status())


async def test_a_log_that_cannot_be_read_for_a_moment_is_said_and_then_the_link_is_what_it_was(
    tmp_path: Path, no_host_is_started: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = LogReader.since
    broken: list[int] = []

    def sometimes(reader: LogReader, position: int, limit: int) -> list[ev.Event]:
        if broken:
            raise LogReadFailed("the log cannot be read: disk I/O error")
        return since(reader, position, limit)

    async with open_host(tmp_path) as host:
        session = await new_session(host)
        async with listening(host.paths) as (_, heard):
            await until(lambda: heard.links == ["up"])
            monkeypatch.setattr(LogReader, "since", sometimes)
            broken.append(1)
            await host.append(ev.NewEvent(session, ev.NoteWritten(text="x"), actor="human:bob"))
            await until(lambda: heard.links[-1] == "down")
            broken.clear()
            await until(lambda: heard.links[-1] == "up")
            assert heard.events[-1].kind == "session.note"


async def test_a_log_that_is_not_there_yet_is_waited_for(tmp_path: Path, no_host_is_started: None) -> None:
    paths = paths_in(tmp_path)
    feed, heard = LiveFeed(paths, ME), Heard()
    await feed.start(heard)
    try:
        await until(lambda: "down" in heard.links)
        assert not [message for message in heard.messages if isinstance(message, Loaded)]
        async with open_host(tmp_path):
            await until(lambda: any(isinstance(message, Loaded) for message in heard.messages))
    finally:
        await feed.close()


async def test_a_host_of_another_protocol_is_said_and_can_be_restarted_from_here(
    tmp_path: Path, no_host_is_started: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessions.host.client.SCHEMA_VERSION", 99)
    async with open_host(tmp_path, ends="restart") as host, listening(host.paths) as (feed, heard):
        await until(lambda: "mismatch" in heard.links)
        assert "up" not in heard.links
        with pytest.raises(NotDone, match="nothing was sent"):
            await feed.call(protocol.Control(request=new_ulid(), session="s", verb="pause"))
        stopping = await feed.call(protocol.StopHost(by=ME, restart=True))
        assert isinstance(stopping, protocol.Stopping)


async def test_hanging_up_ends_also_in_the_moment_in_which_the_log_grows(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        await new_session(host)
    feed, heard = LiveFeed(host.paths, ME, read_only=True), Heard()
    await feed.start(heard)
    await until(lambda: feed._log_grew._waiters)
    feed._log_grew.set()
    await asyncio.wait_for(feed.close(), 2)
