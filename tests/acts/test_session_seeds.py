"""Reading what lies beside summaries: what cannot be read holds up nothing else, and what was read is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_feed import FakeFeed

from apollo_tui.acts import session_seeds
from apollo_tui.acts.session_seeds import SessionSeeds
from apollo_tui.state.board import BoardState, Change
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader


class Reading:
    """Seeds of a log, which are followed; ``told`` are the sessions of which the screens heard."""

    def __init__(self, feed: FakeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = BoardState(feed.actor)
        self.state.load(feed.reader.summaries(), feed.reader.position())
        self.told: list[str] = []
        self.problems: list[str] = []
        self.damaged: set[str] = set()
        self.locked = False
        self.seeds = SessionSeeds(feed, self.state)
        self.seeds.tell = self._take
        self.seeds.complain = lambda problem: self.problems.append(str(problem))
        monkeypatch.setattr(session_seeds, "RETRY_S", 0.01)
        monkeypatch.setattr(session_seeds, "read_seed", self._read_seed)
        monkeypatch.setattr(LogReader, "of_kinds", self._of_kinds)
        self.follows = asyncio.create_task(self.seeds.follow())

    def _take(self, change: Change) -> None:
        self.told += sorted(change.entries)

    def _read_seed(self, reader: LogReader, session: str, actor: str, read: Any = session_seeds.read_seed) -> Any:
        if session in self.damaged:
            raise LogReadFailed(f"{session} cannot be read")
        return read(reader, session, actor)

    def _of_kinds(self, kinds: Any, read: Any = LogReader.of_kinds) -> Any:
        if self.locked:
            raise LogReadFailed("the log is locked")
        return []

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not true():
                assert not self.follows.done()
                await asyncio.sleep(0.001)


async def test_a_session_that_cannot_be_read_holds_up_no_other_and_is_read_when_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = await FakeFeed(tmp_path).open()
    made = await feed.sessions(5)
    reading = Reading(feed, monkeypatch)
    reading.damaged = {made[2]}
    reading.seeds.begin([made[3], made[2], made[1]])
    rest = set(made) - {made[2]}

    def wanted_again() -> bool:
        if reading.problems:
            reading.seeds.want([made[2]])  # as a screen does that shows it
        return set(reading.told) == rest

    await reading.until(wanted_again)
    assert {one for one in made if reading.state.sessions[one].loaded} == rest
    assert reading.problems == [f"{made[2]} cannot be read"], "once"
    assert reading.seeds.begun.is_set()
    reading.damaged.clear()
    await reading.until(lambda: set(reading.told) == set(made))
    reading.follows.cancel()
    await feed.shut()


async def test_a_log_that_is_locked_at_first_is_said_once_and_read_as_soon_as_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = await FakeFeed(tmp_path).open()
    made = await feed.sessions(3)
    reading = Reading(feed, monkeypatch)
    reading.locked, reading.damaged = True, set(made)
    reading.seeds.begin([made[0]])
    await reading.until(lambda: reading.problems)
    assert not reading.told and not reading.seeds.begun.is_set()
    reading.locked, reading.damaged = False, set()
    await reading.until(lambda: set(reading.told) == set(made) and reading.seeds.begun.is_set())
    assert reading.problems[0] == "the log is locked"
    reading.follows.cancel()
    await feed.shut()
