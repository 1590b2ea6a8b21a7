from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import log_events as make
import pytest

from sessions import events as ev
from sessions.log.reader import LogReader
from sessions.log.session_heads import fold_summaries
from sessions.log.writer import LogWriter

KILLS = 45
SET = 3
"""Events per write set."""

WRITE_UNTIL_KILLED = """
import asyncio, os, sys
from pathlib import Path
import log_events as make
from sessions import events as ev
from sessions.events.text import long_text
from sessions.log.writer import LogWriter

async def keep_writing(writer, run, lane):
    number = 0
    while True:
        name = f"{run}.{lane}.{number}"
        text, blobs = long_text(name * 300)
        body = ev.SummaryWritten(number=1, from_step=1, to_step=1, text=text)
        notes = [ev.NewEvent(make.SESSION, ev.NoteWritten(text=name), request=name) for _ in range(2)]
        await writer.append(*notes, ev.NewEvent(make.SESSION, body), blobs=blobs)
        os.write(1, f"{name}\\n".encode())
        number += 1

async def main():
    writer = await LogWriter.open(Path(sys.argv[1]))
    if writer.summary(make.SESSION) is None:
        await writer.append(make.session_created())
    os.write(1, b"ready\\n")
    await asyncio.gather(*(keep_writing(writer, sys.argv[2], lane) for lane in range(4)))

asyncio.run(main())
"""


@pytest.mark.kill
async def test_what_was_acknowledged_survives_every_kill_and_no_write_set_is_ever_half_there(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    support = Path(__file__).parents[1] / "support"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(support)])}
    chance = random.Random(20251122)
    acknowledged: set[str] = set()
    for run in range(KILLS):
        command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path), str(run)]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0.0, 0.04))
            child.send_signal(signal.SIGKILL)
            told = child.stdout.read().decode()
        # The last line may be cut in the middle: that acknowledgement never arrived.
        acknowledged |= set(told[: told.rfind("\n") + 1].split())

        with LogReader(path) as reader:
            events = list(reader.stream(make.SESSION))
            assert {s.session: s for s in reader.summaries()} == fold_summaries(events)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) % SET == 1

    names = [event.request for event in events if event.request is not None]
    assert acknowledged <= set(names)
    assert len(names) == len(set(names))
    assert len(acknowledged) > KILLS
    with LogReader(path) as reader:
        for name in names:
            note, twin, summary = reader.by_request(name)
            assert note.body == twin.body == ev.NoteWritten(text=name)
            assert isinstance(summary.body, ev.SummaryWritten)
            assert reader.text(summary.body.text) == name * 300
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    async with await LogWriter.open(path) as writer:
        assert writer.position == len(events)
