"""A full disk: the watcher lives, everybody says what the host waits for, and all goes on when there is room."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from apollo_process import Apollo, wait_for
from small_disks import Mount, fill, resize
from sse_server import server_process

from sessions import events as ev
from sessions.host import exit_codes, lock
from sessions.host.watcher import Watcher, say_what_host_waits_for, watch_lock
from sessions.log.reader import LogReader
from sessions.paths import log_paths

OnDisk = Callable[[Path], Apollo]


def test_the_watcher_outlives_a_full_disk_and_starts_the_host_again_once_there_is_room(
    mount: Mount, on_disk: OnDisk
) -> None:
    apollo = on_disk(mount("12m"))
    paths = log_paths(apollo.log)
    apollo.run("host", "start")
    host, watcher = lock.holder(paths.lock), lock.holder(watch_lock(paths))
    assert host is not None
    assert watcher is not None
    os.kill(watcher.pid, signal.SIGSTOP)
    os.kill(host.pid, signal.SIGKILL)
    wait_for("its end", lambda: lock.holder(paths.lock) is None)
    with closing(sqlite3.connect(apollo.log)) as last:  # takes the WAL away, in which there would be room
        last.execute("SELECT count(*) FROM events").fetchone()
    filler = fill(apollo.folder)
    with paths.host_log.open("ab", buffering=0) as log, suppress(OSError):  # until its last block is full
        while True:
            log.write(b".")
    os.kill(watcher.pid, signal.SIGCONT)
    wait_for("what keeps the host from starting", lambda: "full" in say_what_host_waits_for(paths), seconds=120)
    assert lock.holder(watch_lock(paths)) == watcher
    for command in ("ls", "host status"):
        said = apollo.run(*command.split(), check=False)
        assert "the host cannot start: the disk that holds" in said.stdout + said.stderr, command
    filler.unlink()
    back = wait_for("the host", lambda: lock.holder(paths.lock), seconds=120)
    assert back.pid != host.pid
    wait_for("its socket", lambda: apollo.run("host", "status", check=False).returncode == 0)
    assert "waits" not in apollo.run("host", "status").stdout


def test_a_watcher_that_can_neither_speak_nor_fork_goes_on_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = log_paths(tmp_path / "apollo.db")
    paths.prepare()
    said: list[str] = []
    watcher = Watcher(paths, (), said.append, lambda: False)
    codes: list[Any] = [exit_codes.RESTART, OSError("no memory"), OSError("no memory"), exit_codes.STOPPED]

    class Child:
        def __init__(self, code: int) -> None:
            self.wait = lambda: code

    def popen(*_: object, **__: object) -> Child:
        code = codes.pop(0)
        if isinstance(code, OSError):
            raise code
        return Child(code)

    pauses: list[float] = []
    monkeypatch.setattr("sessions.host.watcher.subprocess.Popen", popen)
    monkeypatch.setattr("sessions.host.watcher.time.sleep", pauses.append)
    assert watcher.run() == exit_codes.STOPPED
    assert len(pauses) == 2
    assert "no host can be started: no memory" in said[0]


def big_script() -> dict[str, Any]:
    """Results that fill a small disk soon."""
    turns = [
        {"calls": [{"name": "run", "arguments": {"command": f"head -c 1500000 /dev/urandom | base64; echo {number}"}}]}
        for number in range(4)
    ]
    return {"big": {"turns": [*turns, {"calls": [{"name": "finish", "arguments": {"summary": "done"}}]}]}}


def test_sessions_wait_for_room_and_everybody_says_so_and_they_go_on_by_themselves(
    mount: Mount, on_disk: OnDisk, tmp_path: Path
) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(big_script()))
    task = tmp_path / "task.md"
    task.write_text("Go.")
    disk = mount("5m")
    apollo = on_disk(disk)
    with server_process(script) as url:
        new = ("new", str(task), "--model", "openai:big", "--base-url", f"{url}/v1")
        apollo.run(*new)
        waits = wait_for("a full disk", lambda: say_what_host_waits_for(log_paths(apollo.log)), seconds=60)
        assert "the host waits: the disk that holds" in waits
        assert "is full; free some space" in waits
        assert "the host waits: the disk that holds" in apollo.run("ls").stderr
        assert "it waits: the disk that holds" in apollo.run("host", "status").stdout
        refused = apollo.run(*new, check=False)
        assert refused.returncode == 1
        assert "is full" in refused.stderr
        assert "inside the host" not in refused.stderr
        resize(disk, "100m")
        session = wait_for("the session", lambda: apollo.json("ls", "--all"))[0]["id"]
        wait_for("its end", lambda: apollo.session(session)["state"] == "finished", seconds=60)
        wait_for("the host to wait for nothing", lambda: apollo.run("ls").stderr == "")
    with LogReader(apollo.log) as reader:
        found = [event.body for event in reader.events(session)]
    assert not [body for body in found if isinstance(body, ev.StateChanged) and body.state == "needs_you"]
    replies = [body for body in found if isinstance(body, ev.ModelReplied)]
    assert len(replies) == 5  # none was paid for twice


def test_a_stop_on_a_full_disk_is_a_stop(mount: Mount, on_disk: OnDisk) -> None:
    apollo = on_disk(mount("12m"))
    paths = log_paths(apollo.log)
    apollo.run("host", "start")
    filler = fill(apollo.folder)
    assert apollo.run("host", "stop", "--now").returncode == 0
    wait_for("the end of its watcher", lambda: lock.holder(watch_lock(paths)) is None)
    filler.unlink()
    apollo.run("host", "start")
    with LogReader(apollo.log) as reader:
        lives = [event.body for event in reader.events(ev.HOST_SESSION)]
    assert [body.after for body in lives if isinstance(body, ev.HostStarted)] == ["start", "start"]


async def test_a_paid_reply_is_kept_while_another_program_holds_the_log_and_stored_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent_testbed import Bench
    from scripted_model import ScriptedAdapter, Turn, call

    monkeypatch.setattr("sessions.log.schema.WRITER_PRAGMAS", ("PRAGMA busy_timeout = 50", "PRAGMA journal_mode = WAL"))
    monkeypatch.setattr("sessions.log.writer.PROBE_S", 0.05)
    bench = await Bench.open(tmp_path)
    with closing(sqlite3.connect(bench.paths.log, isolation_level=None)) as other:

        def hold(step: int) -> None:
            if step == 2:
                other.execute("BEGIN IMMEDIATE")

        bench.adapter = ScriptedAdapter([call("run", command="true"), Turn("paid for"), call("finish", summary="x")])
        bench.adapter.on_step = hold
        session = await bench.create()
        bench.runner(session).start()
        await bench.until(lambda: bench.writer.waits_for(), "the foreign lock")
        assert bench.writer.waits_for() == f"another program holds {bench.paths.log} locked; close it"
        assert bench.summary(session).state == "running"
        other.execute("ROLLBACK")
        await bench.state(session, "finished")
    assert bench.writer.waits_for() == ""
    assert len(bench.adapter.received) == 3
    assert not [body for body in bench.bodies(session, ev.StateChanged) if body.state == "needs_you"]
    await bench.close()


async def test_a_commit_that_takes_long_is_said_while_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import log_events as make

    from sessions.log.writer import LogWriter

    monkeypatch.setattr("sessions.log.writer.SLOW_S", 0.05)
    async with await LogWriter.open(tmp_path / "log.sqlite") as writer:
        with closing(sqlite3.connect(writer.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            storing = asyncio.create_task(writer.append(make.session_created()))
            async with asyncio.timeout(10):
                while not writer.waits_for():
                    await asyncio.sleep(0.01)
            assert "a commit takes longer than 0.05 s" in writer.waits_for()
            other.execute("ROLLBACK")
            await storing
        assert writer.waits_for() == ""


async def test_an_attached_app_is_told_what_the_host_waits_for_and_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from host_in_process import open_host

    from sessions.host import lifecycle, protocol

    monkeypatch.setattr(lifecycle, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr("sessions.log.writer.PROBE_S", 0.05)
    monkeypatch.setattr("sessions.log.schema.WRITER_PRAGMAS", ("PRAGMA busy_timeout = 50", "PRAGMA journal_mode = WAL"))
    async with open_host(tmp_path) as host:
        client = await host.client()
        assert (await client.call(protocol.Subscribe())).waits == ""
        told: asyncio.Queue[str] = asyncio.Queue()

        async def listen() -> None:
            async for note in client.notifications():
                if isinstance(note, protocol.Waits):
                    told.put_nowait(note.waits)

        listening = asyncio.create_task(listen())
        with closing(sqlite3.connect(host.paths.log, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await asyncio.gather(
                host.append(ev.NewEvent(ev.HOST_SESSION, ev.HostStopped(pid=1))), return_exceptions=True
            )
            assert "locked: nothing was stored" in str(refused[0])
            async with asyncio.timeout(10):
                assert "another program holds" in await told.get()
            assert "another program holds" in say_what_host_waits_for(host.paths)
            assert "another program holds" in (await client.call(protocol.Status())).waits
            other.execute("ROLLBACK")
            async with asyncio.timeout(10):
                assert await told.get() == ""
        listening.cancel()
