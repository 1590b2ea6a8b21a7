"""Long logs for reading: one session is written through the real writer, the others are copies of its rows."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from sessions import events as ev
from sessions.events import NewEvent
from sessions.events.messages import CallPart, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text
from sessions.fold.summary import FOLD_VERSION, Summary
from sessions.log.writer import LogWriter
from sessions.ulid import encode

START: Final = 1_700_000_000_000
EVERY_MS: Final = 15_000
BATCH: Final = 500
TEXT: Final = (
    "loss metrics epoch warmup schedule evaluate baseline gradient checkpoint results batch memory limit accuracy "
    "validation shuffle tokenizer learning rate decay restart worker cache buffer timeout dataset split sample"
)


def make_log(path: Path, sessions: int, events: int) -> None:
    """A log of so many sessions with so many events each; the first one is number 1, ``long-001``."""
    asyncio.run(_write(path, events))
    if sessions > 1:
        with closing(sqlite3.connect(path)) as connection:
            _copy(connection, sessions)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def _write(path: Path, events: int) -> None:
    writer = await LogWriter.open(path)
    batch: list[NewEvent] = []
    for event in _story(_id(1), events):
        batch.append(event)
        if len(batch) == BATCH:
            await writer.append(*batch)
            batch = []
    await writer.append(*batch)
    await writer.close()


def _story(session: str, count: int) -> Iterator[NewEvent]:
    """A session of ``count`` events: four a step, as a real one has them, then a pause."""
    chance = random.Random(7)
    seq = 0

    def event(body: ev.Body, step: int | None = None, call: int | None = None, actor: str = "host") -> NewEvent:
        nonlocal seq
        seq += 1
        return NewEvent(session, body, step, call, actor, None, START + EVERY_MS * seq)

    model = ev.ModelSpec("openai", "m", context_tokens=128_000)
    yield event(ev.SessionCreated(number=1, title="long-001", task=_words(chance, 60), model=model))
    yield event(ev.StateChanged(state="running"))
    step, parent = 0, None
    while seq < count - 5:
        step += 1
        refs = tuple(ev.MessageRef(Blob.of(canonical_json([step, n])).hash, "tool") for n in range(2))
        asked = ev.ModelRequested(
            adapter="openai", adapter_version=1, envelope={"model": "m"}, parent=parent, append=refs, sha256="0" * 64
        )
        yield event(asked, step)
        parent = seq
        command = f"python train.py --lr {chance.random():.4f} --steps {chance.randint(100, 9000)}"
        call = CallPart(f"c{step}", "run", msgspec.json.encode({"command": command}).decode())
        parts = (ReasoningPart(_words(chance, 40)), TextPart(_words(chance, 30)), call)
        replied = ev.ModelReplied(request=parent, parts=parts, finish="calls", usage=Usage(20_000, 200))
        yield event(replied, step, None, "agent")
        yield event(ev.ActionStarted(call_id=call.id, name="run", arguments={"command": command}), step, 1)
        output, _ = long_text("\n".join(_words(chance, 12) for _ in range(10)))
        yield event(ev.ActionResult(call_id=call.id, outcome="ok", output=output, duration_ms=9_000), step, 1)
    yield event(ev.StateChanged(state="paused", reason="bench"), actor="human:bench")


def _copy(connection: sqlite3.Connection, sessions: int) -> None:
    first = _id(1)
    summary = msgspec.json.decode(
        connection.execute("SELECT summary FROM sessions WHERE session = ?", (first,)).fetchone()[0], type=Summary
    )
    with connection:
        for number in range(2, sessions + 1):
            session, title = _id(number), f"long-{number:03}"
            connection.execute(
                "INSERT INTO events (session, seq, step, call, kind, v, at, actor, request, body) "
                "SELECT ?, seq, step, call, kind, v, at, actor, NULL, "
                "CASE seq WHEN 1 THEN json_set(body, '$.number', ?, '$.title', ?) ELSE body END "
                "FROM events WHERE session = ? ORDER BY seq",
                (session, number, title, first),
            )
            last = connection.execute("SELECT max(id) FROM events").fetchone()[0]
            copy = msgspec.structs.replace(summary, session=session, number=number, title=title, last_id=last)
            connection.execute(
                "INSERT INTO sessions (session, number, fold, summary) VALUES (?, ?, ?, ?)",
                (session, number, FOLD_VERSION, msgspec.json.encode(copy).decode()),
            )


def _id(number: int) -> str:
    return encode((START << 80) + number)


def _words(chance: random.Random, count: int) -> str:
    words = TEXT.split()
    return " ".join(chance.choice(words) for _ in range(count))
