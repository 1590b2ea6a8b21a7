"""A machine that sleeps, and a clock that is set anew: no active time, no used-up limit, no false alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import log_events as make
import pytest
from host_in_process import open_host

from sessions import events as ev
from sessions.attention.rules import RULES
from sessions.attention.settings import Thresholds
from sessions.clock import EvenClock
from sessions.fold import budget, digest
from sessions.host import lifecycle

DAYS = 3 * 86_400_000


@dataclass
class Machine:
    """Its two clocks."""

    wall_ms: int = 1_800_000_000_000
    even_s: float = 50.0
    clock: EvenClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = EvenClock(lambda: self.wall_ms, lambda: self.even_s)

    def pass_time(self, seconds: float) -> None:
        """Time passes, awake."""
        self.wall_ms += round(seconds * 1000)
        self.even_s += seconds

    def sleep(self, milliseconds: int) -> None:
        """Time passes, asleep; negative: the clock is set back."""
        self.wall_ms += milliseconds


def test_an_even_clock_goes_with_the_wall_clock_but_for_its_jumps() -> None:
    machine = Machine()
    machine.pass_time(10)
    assert machine.clock() == machine.wall_ms
    machine.wall_ms += 400  # a clock that is a little fast is followed
    assert machine.clock.look() == 0
    assert machine.clock() == machine.wall_ms
    machine.sleep(DAYS)
    assert machine.clock() == machine.wall_ms - DAYS
    assert machine.clock.look() == DAYS
    machine.clock.follow(DAYS)
    assert (machine.clock(), machine.clock.look()) == (machine.wall_ms, 0)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("jump", [DAYS, -3_600_000, 7_200_000])
async def test_no_session_ages_by_a_sleep_of_the_machine_or_a_clock_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.01)
    machine = Machine()
    async with open_host(tmp_path, clock=machine.clock) as host:
        limits = ev.Limits(active_hours=1)
        created = make.session_created()
        body = ev.SessionCreated(number=1, title="t", task="t", model=created.body.model, limits=limits)  # type: ignore[attr-defined]
        await host.append(ev.NewEvent(make.SESSION, body), make.state("running"))
        machine.pass_time(600)
        await host.append(ev.NewEvent(make.SESSION, ev.NoteWritten(text="at work"), actor="human:ada"))
        machine.sleep(jump)
        # What is dated in the moment before the host notices is dated before the jump.
        (at_once,) = await host.append(ev.NewEvent(make.SESSION, ev.NoteWritten(text="woke"), actor="human:ada"))
        assert at_once.at <= machine.wall_ms - min(jump, 0) + 1
        events = host.parts.reader.events
        await until(lambda: events(make.SESSION, kinds=["session.recovered"]))
        (noted,) = events(make.SESSION, kinds=["session.recovered"])
        # Readers see a commit before the writer's own summaries have it.
        await host.parts.writer.wait_for_writes()
        assert isinstance(noted.body, ev.SessionRecovered)
        assert noted.body.jumped
        assert noted.at - noted.body.last_at == jump
        machine.pass_time(300)
        now = host.parts.clock()
        assert now == machine.wall_ms
        summary = host.parts.writer.summary(make.SESSION)
        assert summary is not None
        assert summary.active_now(now) == 900_000
        assert summary.state == "running"
        assert budget.reason_to_pause(summary, now, step=1) == ""
        (silent,) = [rule for rule in RULES if rule.name == "silent"]
        said = [cause.reason for cause in silent.when(summary, now, Thresholds())]
        assert said == ["silent for 15 min"]
        assert summary.last_at <= now
        found = digest.digest_of(make.SESSION, events(make.SESSION), since=0, until=now, before=digest.Baseline())
        assert [figure.value for figure in found.figures if figure.name == "active"] == [900_000]
        await host.append(make.state("paused"))
        assert (after := host.parts.writer.summary(make.SESSION)) is not None
        assert after.active_ms == 900_000


async def test_a_jump_on_a_log_that_cannot_be_written_is_told_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3
    from contextlib import closing

    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("sessions.log.writer.PROBE_S", 0.02)
    monkeypatch.setattr("sessions.log.schema.WRITER_PRAGMAS", ("PRAGMA busy_timeout = 20", "PRAGMA journal_mode = WAL"))
    machine = Machine()
    async with open_host(tmp_path, clock=machine.clock) as host:
        await host.append(make.session_created(), make.state("running"))
        machine.pass_time(60)
        with closing(sqlite3.connect(host.paths.log, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            machine.sleep(DAYS)
            await until(host.parts.writer.waits_for)
            other.execute("ROLLBACK")
        await until(lambda: host.parts.reader.events(make.SESSION, kinds=["session.recovered"]))
        await host.parts.writer.wait_for_writes()
        summary = host.parts.writer.summary(make.SESSION)
        assert summary is not None
        assert summary.active_now(host.parts.clock()) == 60_000
