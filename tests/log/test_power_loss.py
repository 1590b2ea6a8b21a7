"""The power goes: the log as it may then be on the disk opens, holds all that was acknowledged, and is written on.

With ``synchronous = FULL`` a commit is acknowledged after the WAL was synced, and a checkpoint syncs the WAL, writes
pages of the log, syncs the log, and only then begins the WAL anew. What was not synced may be there in part, in any
order, by sectors of 512 bytes. The cases are made of what really was in the files after each acknowledgement.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import log_events as make
import pytest

from sessions import events as ev
from sessions.events.text import long_text
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

SETS = 24
SECTOR = 512
WAL_HEADER = 32


@dataclass(frozen=True)
class Disk:
    """The files of a log at one moment, and how many sets were acknowledged by then."""

    log: bytes
    wal: bytes
    sets: int

    @classmethod
    def read(cls, path: Path, sets: int) -> Disk:
        wal = path.with_name(f"{path.name}-wal")
        return cls(path.read_bytes(), wal.read_bytes() if wal.exists() else b"", sets)

    def write(self, path: Path) -> Path:
        path.parent.mkdir()
        path.write_bytes(self.log)
        path.with_name(f"{path.name}-wal").write_bytes(self.wal)
        return path


async def write_sets(path: Path) -> list[list[Disk]]:
    """The disk after each set, in runs that a checkpoint ends: in each, only the WAL changes."""
    draw = random.Random(4)
    runs: list[list[Disk]] = [[]]
    async with await LogWriter.open(path) as writer:
        await writer.append(make.session_created(), make.state("running"))
        runs[-1].append(Disk.read(path, 0))
        for number in range(1, SETS + 1):
            text, blobs = long_text("".join(draw.choices("abcdef \n", k=draw.choice((40, 3_000, 90_000)))))
            notes = [ev.NewEvent(make.SESSION, ev.NoteWritten(text=f"{number}.{part}")) for part in (1, 2)]
            summary = ev.SummaryWritten(number=number, from_step=0, to_step=0, text=text)
            await writer.append(*notes, ev.NewEvent(make.SESSION, summary), blobs=blobs)
            runs[-1].append(Disk.read(path, number))
            if number % 8 == 0:
                await writer._committer.checkpoint()
                runs.append([Disk.read(path, number)])
    return runs


def torn(old: bytes, new: bytes, draw: random.Random) -> bytes:
    """``new`` of which only some sectors reached the disk; the others are as they were, or empty."""
    made = bytearray(new[: draw.randrange(len(old), len(new) + 1)] if len(new) > len(old) else new)
    for at in range(0, len(made), SECTOR):
        before = old[at : at + SECTOR]
        if bytes(made[at : at + SECTOR]) != before and draw.random() < 0.4:
            made[at : at + SECTOR] = before.ljust(len(made[at : at + SECTOR]), b"\0")
    return bytes(made)


def possible_disks(runs: list[list[Disk]], draw: random.Random) -> Iterator[tuple[str, Disk, set[int]]]:
    """What may be on the disk when the power goes, and how many sets it may hold."""
    for number, run in enumerate(runs):
        for before, after in pairwise(run):
            yield f"after set {after.sets}", after, {after.sets}
            for _ in range(3):
                wal = torn(before.wal, after.wal, draw)
                yield f"while set {after.sets} is written", Disk(after.log, wal, 0), {before.sets, after.sets}
        if number + 1 < len(runs):
            full, empty = run[-1], runs[number + 1][0]
            for _ in range(3):
                log = torn(full.log, empty.log, draw)
                yield f"while set {full.sets} is checkpointed", Disk(log, full.wal, 0), {full.sets}
            yield f"after the checkpoint of set {full.sets}", Disk(empty.log, full.wal, 0), {full.sets}
            wal = torn(full.wal[:WAL_HEADER], b"\0" * WAL_HEADER, draw) + full.wal[WAL_HEADER:]
            yield f"while the WAL after set {full.sets} begins anew", Disk(empty.log, wal, 0), {full.sets}


async def check(path: Path, allowed: set[int]) -> None:
    """It opens, holds a number of whole sets that is ``allowed``, and is written on. Raises AssertionError and more."""
    async with await LogWriter.open(path) as writer:
        await writer.append(ev.NewEvent(make.SESSION, ev.NoteWritten(text="goes on")))
    with LogReader(path) as reader:
        bodies = [event.body for event in reader.events(make.SESSION)]
        summaries = [body for body in bodies if isinstance(body, ev.SummaryWritten)]
        assert [len(reader.text(body.text)) for body in summaries] == [body.text.chars for body in summaries]
    assert len(summaries) in allowed
    notes = [body.text for body in bodies if isinstance(body, ev.NoteWritten)]
    assert notes == [*(f"{body.number}.{part}" for body in summaries for part in (1, 2)), "goes on"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_log_holds_whole_sets_and_all_that_were_acknowledged_and_goes_on(tmp_path: Path, seed: int) -> None:
    runs = await write_sets(tmp_path / "log.sqlite")
    assert max(len(run[-1].wal) for run in runs) > 100_000
    assert all(len({disk.log for disk in run}) == 1 for run in runs), "within a run, only the WAL changes"
    tried = 0
    for name, disk, allowed in possible_disks(runs, random.Random(seed)):
        try:
            await check(disk.write(tmp_path / str(tried) / "log.sqlite"), allowed)
        except AssertionError as wrong:
            raise AssertionError(f"{name}: {wrong}") from wrong
        tried += 1
    assert tried > 100


async def test_a_log_that_was_not_synced_in_this_order_would_be_noticed(tmp_path: Path) -> None:
    """The control: pages of a checkpoint that is half done, without the WAL that they are in."""
    _, run, (empty, *_), *_ = await write_sets(tmp_path / "log.sqlite")
    full = run[-1]
    for number in range(5):
        disk = Disk(torn(full.log, empty.log, random.Random(number)), b"", 0)
        with pytest.raises(Exception):  # noqa: B017 - damage has many faces
            await check(disk.write(tmp_path / str(number) / "log.sqlite"), {full.sets})
