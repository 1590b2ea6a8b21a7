from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import msgspec
from host_in_process import new_session, open_host

from sessions import events as ev
from sessions.host import protocol

FILED = "sk-filed-0123456789abcdef"
GIVEN = "sk-given-0123456789abcdef"


def everything_in(log: Path) -> bytes:
    with closing(sqlite3.connect(log)) as connection:
        events = [row[0].encode() for row in connection.execute("SELECT body FROM events")]
        folds = [row[0].encode() for row in connection.execute("SELECT summary FROM sessions")]
        blobs = connection.execute("SELECT codec, data FROM blobs").fetchall()
    return b"\n".join([*events, *folds, *(zlib.decompress(data) if codec == "zlib" else data for codec, data in blobs)])


async def test_no_word_of_a_person_brings_a_key_into_the_log(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"MY_MODEL_KEY={FILED}\n")
    keys.chmod(0o600)
    model = ev.ModelSpec("demo", "steady", key_env="THEIR_KEY")
    async with open_host(tmp_path, keys=keys) as host:
        client = await host.client()
        task = f"use {FILED} and {GIVEN}. " + "x" * 5000
        made = await client.call(new_session("r1", title=f"with {GIVEN}", task=task, model=model, key=GIVEN))
        created = host.parts.reader.events(made.session, limit=1)[0].body
        assert isinstance(created, ev.SessionCreated)
        assert created.title == "with [redacted:THEIR_KEY]"
        assert created.task.startswith("use [redacted:MY_MODEL_KEY] and [redacted:THEIR_KEY]. xxx")
        for session in (made.session, (await client.call(new_session("r2"))).session):
            told = protocol.QueueAdvice(request=host.request(), session=session, text=f"export K={FILED} {GIVEN}")
            await client.call(told)
            note = msgspec.to_builtins(ev.NoteWritten(text=f"it printed {GIVEN}"))
            await client.call(
                protocol.Annotate(request=host.request(), session=session, kind="session.note", body=note)
            )
    stored = everything_in(tmp_path / "apollo.db")
    assert b"[redacted:THEIR_KEY]" in stored
    assert FILED.encode() not in stored
    assert GIVEN.encode() not in stored
