from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_feed import FakeFeed

from apollo_tui.acts.bulk import BulkActs, rename
from apollo_tui.acts.undo import UndoHistory
from apollo_tui.backend.feed import EventsArrived, NotDone
from apollo_tui.state.board import BoardState
from sessions import events as ev
from sessions.host import protocol
from sessions.labels import load_labels


class Desk:
    """The acts of an annotator on a log, without an app."""

    def __init__(self, feed: FakeFeed) -> None:
        self.feed = feed
        self.state = BoardState(feed.actor)
        self.state.load(feed.reader.summaries(), feed.reader.position())
        for now in self.state.sessions.values():
            now.loaded = True
        feed._post = lambda message: self.state.apply(message.events) if isinstance(message, EventsArrived) else None
        self.bulk = BulkActs(feed, self.state)  # type: ignore[arg-type]
        self.undo = UndoHistory(feed, self.state, load_labels())  # type: ignore[arg-type]

    def states(self) -> dict[int, str]:
        return {now.summary.number: now.summary.state for now in self.state.sessions.values()}

    async def press_u(self) -> str:
        act = await self.undo.act_to_undo()
        assert act is not None
        return await self.undo.undo(act, lambda _: None)

    async def press_shift_u(self) -> str:
        act = await self.undo.act_to_redo()
        assert act is not None
        return await self.undo.redo(act)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[tuple[Desk, list[str]]]:
    feed = await FakeFeed(tmp_path).open()
    sessions = [await feed.session(title, tags=("old",)) for title in ("tune-lr", "poller", "steady")]
    await feed.add(sessions[2], ev.StateChanged(state="finished"))
    yield Desk(feed), sessions
    await feed.shut()


async def test_a_pause_of_several_is_one_receipt_and_one_undo(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    assert await made.bulk.control("pause", sessions) == (
        "2 sessions, 1 tune-lr, 2 poller pause at the boundary · not 3 steady: finished · u undoes"
    )
    assert made.states() == {1: "paused", 2: "paused", 3: "finished"}
    assert await made.press_u() == "undone: pause of 2 sessions (1 tune-lr, 2 poller) · U does it again"
    assert made.states() == {1: "running", 2: "running", 3: "finished"}
    assert "2 sessions" in await made.press_shift_u()
    assert made.states() == {1: "paused", 2: "paused", 3: "finished"}
    await made.press_u()
    assert await made.undo.act_to_undo() is None


async def test_what_was_archived_together_comes_back_as_it_was(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    await made.bulk.control("pause", sessions)
    await made.bulk.control("archive", sessions)
    assert set(made.states().values()) == {"archived"} and made.state.order() == []
    await made.press_u()
    assert made.states() == {1: "paused", 2: "paused", 3: "finished"}


async def test_tags_of_several_are_changed_where_they_are_not_so_already(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    await made.bulk.tag(sessions[:1], ["keep"])
    said = await made.bulk.tag(sessions, ["keep", "-old"])
    assert said.startswith("3 sessions") and said.endswith("are tagged keep -old · u undoes")
    assert {now.summary.tags for now in made.state.sessions.values()} == {("keep",)}
    await made.press_u()
    assert [made.state.sessions[one].summary.tags for one in sessions] == [("keep", "old"), ("old",), ("old",)]
    with pytest.raises(NotDone, match="so already"):
        await made.bulk.tag(sessions, ["old"])
    with pytest.raises(NotDone, match="no tag"):
        await made.bulk.tag(sessions, ["a,b"])


async def test_a_word_on_several_gives_way_to_what_each_had_before(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    await made.bulk.sign_off(sessions[:1], "good")
    await made.bulk.sign_off(sessions[:2], "discard")
    await made.press_u()
    assert [made.state.sessions[one].summary.sign_off for one in sessions] == ["good", "", ""]


async def test_a_name_is_taken_back_by_the_one_before_it(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    await rename(made.feed, made.state, sessions[0], " adam\nagain ")  # type: ignore[arg-type]
    assert made.state.sessions[sessions[0]].summary.title == "adam again"
    await rename(made.feed, made.state, sessions[0], "third")  # type: ignore[arg-type]
    for title in ("adam again", "tune-lr"):
        await made.press_u()
        assert made.state.sessions[sessions[0]].summary.title == title


async def test_of_a_single_session_the_host_says_why_not(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    await made.bulk.control("pause", sessions[2:])
    assert [call.verb for call in made.feed.calls if isinstance(call, protocol.Control)] == ["pause"]


async def test_where_no_host_answers_nothing_is_said_to_be_done(desk: tuple[Desk, list[str]]) -> None:
    made, sessions = desk
    made.feed.up = False
    with pytest.raises(NotDone, match="no host is connected"):
        await made.bulk.sign_off(sessions, "good")
    assert not [call for call in made.feed.calls if isinstance(call, protocol.Annotate)]
