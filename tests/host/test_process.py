"""The host as a process of its own: detached, watched, killed, suspended, started from hostile places."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from host_in_process import ACTOR, paths_in, until

from sessions import events as ev
from sessions.hints import say_in_shell
from sessions.host import exit_codes, lock, protocol
from sessions.host.client import (
    ConnectionLost,
    HostClient,
    HostDown,
    call_once,
    ensure_host,
    host_status,
    wait_for_stop,
)
from sessions.host.spawn import child_environment, command_line
from sessions.host.watcher import is_watched, watch_lock
from sessions.log.reader import LogReader
from sessions.paths import LogPaths

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogPaths]:
    monkeypatch.setenv("APOLLO_CONFIG", str(tmp_path / "no-config.toml"))
    made = paths_in(tmp_path)
    yield made
    end(made)


def end(paths: LogPaths) -> None:
    """Leave no process behind, whatever the test did: watchers first, so that they start nothing new."""
    while left := processes_of(paths):
        for pid in sorted(left, key=lambda pid: b"watcher" not in left[pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def processes_of(paths: LogPaths) -> dict[int, bytes]:
    """The processes whose command line names this log or its folder, by pid; zombies do not count."""
    found: dict[int, bytes] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (place / "cmdline").read_bytes()
                if os.fsencode(paths.log) in line:
                    found[int(place.name)] = line
    return found


def pid_of(path: Path) -> int:
    found = lock.holder(path)
    return found.pid if found else 0


@asynccontextmanager
async def client_of(paths: LogPaths) -> AsyncIterator[HostClient]:
    client = await HostClient.connect(paths, actor=ACTOR)
    try:
        yield client
    finally:
        await client.close()


def reads(paths: LogPaths, ask: Callable[[LogReader], Any]) -> Any:
    reader = LogReader(paths.log)
    try:
        return ask(reader)
    finally:
        reader.close()


def newest_start(paths: LogPaths) -> ev.HostStarted:
    body = reads(paths, lambda r: r.events(ev.HOST_SESSION, kinds=("host.started",), newest_first=True, limit=1))[
        0
    ].body
    assert isinstance(body, ev.HostStarted)
    return body


def step(paths: LogPaths, session: str) -> int:
    return int(reads(paths, lambda r: r.summary(session)).step)


async def working(paths: LogPaths) -> str:
    """A demo session that has made its first step."""
    model = ev.ModelSpec("demo", "poller", quirks={"pace": 0.02})
    env = {"PATH": os.environ["PATH"], "APOLLO_DEMO_PACE": "0.02"}
    call = protocol.CreateSession(request="demo", title="t", task="poll", model=model, env=env, origin="demo")
    async with client_of(paths) as client:
        made = await client.call(call)
    await until("a first step", lambda: step(paths, made.session) >= 1)
    return str(made.session)


async def test_the_host_is_detached_private_and_ours_even_in_a_folder_with_its_own_sessions(
    paths: LogPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "project"
    (hostile / "sessions" / "host").mkdir(parents=True)
    for name in ("sessions/__init__.py", "sessions/host/__init__.py", "msgspec.py"):
        (hostile / name).write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", f"{hostile}:.")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-the-host-000000")
    await ensure_host(paths)
    async with client_of(paths) as client:
        pid = client.welcome.pid
    place = Path(f"/proc/{pid}")
    assert (place / "cwd").readlink() == paths.folder
    assert b"sk-not-for" not in (place / "environ").read_bytes()
    fields = (place / "stat").read_text().rpartition(")")[2].split()
    assert (int(fields[3]), int(fields[4])) == (pid_of(watch_lock(paths)), 0)  # its session's leader, no terminal
    assert {oct(path.stat().st_mode & 0o777) for path in (paths.socket, paths.host_log, paths.log)} == {"0o600"}


async def test_a_killed_host_is_back_within_seconds_and_its_session_goes_on(paths: LogPaths) -> None:
    await ensure_host(paths)
    session = await working(paths)
    first = pid_of(paths.lock)
    began = time.monotonic()
    os.kill(first, signal.SIGKILL)
    await until("another host", lambda: pid_of(paths.lock) not in (0, first))
    await until("that takes connections", lambda: newest_start(paths).pid != first)
    assert time.monotonic() - began < 5
    assert newest_start(paths).after == "crash"
    before = step(paths, session)
    await until("more steps", lambda: step(paths, session) > before + 1)
    started = reads(paths, lambda r: r.events(session, kinds=("action.started",)))
    calls = [(event.step, event.call) for event in started]
    assert len(calls) == len(set(calls))


async def test_a_killed_watcher_takes_nothing_with_it_and_the_next_client_brings_one(paths: LogPaths) -> None:
    await ensure_host(paths)
    host, watcher = pid_of(paths.lock), pid_of(watch_lock(paths))
    os.kill(watcher, signal.SIGKILL)
    await until("no watcher", lambda: not is_watched(paths))
    assert pid_of(paths.lock) == host
    await ensure_host(paths)
    await until("a new watcher", lambda: is_watched(paths))
    assert pid_of(paths.lock) == host
    await until("that watches", lambda: f"runs already (pid {host})" in paths.host_log.read_text())
    os.kill(host, signal.SIGKILL)
    await until("another host", lambda: pid_of(paths.lock) not in (0, host))


async def test_a_suspended_host_is_not_dead(paths: LogPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    await ensure_host(paths)
    host = pid_of(paths.lock)
    os.kill(host, signal.SIGSTOP)
    try:
        monkeypatch.setattr("sessions.host.client.HELLO_SECONDS", 0.3)
        with pytest.raises(HostDown, match=f"kill -CONT {host}"):
            await HostClient.connect(paths, actor=ACTOR)
        await ensure_host(paths)
        second = await asyncio.create_subprocess_exec(
            *command_line("sessions.host.main", paths.log), env=child_environment(), stderr=subprocess.PIPE
        )
        _, said = await second.communicate()
        assert (second.returncode, said.decode().count("\n")) == (exit_codes.REFUSED, 1)
        assert f"another host (pid {host})" in said.decode()
        assert pid_of(paths.lock) == host
    finally:
        os.kill(host, signal.SIGCONT)
    monkeypatch.undo()
    async with client_of(paths) as client:
        assert client.welcome.pid == host


async def test_a_host_survives_a_hang_up_and_ends_in_order_when_it_is_terminated(paths: LogPaths) -> None:
    await ensure_host(paths)
    session = await working(paths)
    host = pid_of(paths.lock)
    os.kill(host, signal.SIGHUP)
    before = step(paths, session)
    await until("more steps", lambda: step(paths, session) > before)
    os.kill(host, signal.SIGTERM)
    await until("the host's end", lambda: pid_of(paths.lock) == 0, seconds=20)
    await until("its watcher's end", lambda: not is_watched(paths))
    assert reads(paths, lambda r: r.summary(session)).state == "paused"
    assert not paths.socket.exists()
    stopped = reads(paths, lambda r: r.events(ev.HOST_SESSION))[-1].body
    assert stopped == ev.HostStopped(pid=host, by="SIGTERM")


async def test_a_restart_changes_the_process_and_lets_sessions_go_on(paths: LogPaths) -> None:
    await ensure_host(paths)
    session = await working(paths)
    first = pid_of(paths.lock)
    async with client_of(paths) as client:
        await client.call(protocol.StopHost(restart=True, timeout=10))
        with pytest.raises(ConnectionLost):
            await until_lost(client)
    await until("another host", lambda: pid_of(paths.lock) not in (0, first), seconds=20)
    await until("that says so", lambda: newest_start(paths).after == "restart")
    before = step(paths, session)
    await until("more steps", lambda: step(paths, session) > before + 1)


async def until_lost(client: HostClient) -> None:
    while True:
        await client.call(protocol.Status(), seconds=20)


async def test_a_log_that_no_host_can_open_is_said_in_one_line_and_not_tried_again(paths: LogPaths) -> None:
    paths.log.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(HostDown, match=str(paths.log)) as refused:
        await ensure_host(paths, seconds=20)
    assert "\n" not in str(refused.value)
    await until("the watcher's end", lambda: not is_watched(paths))


async def test_a_log_deep_in_long_folders_has_a_socket_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    paths = paths_in(deep)
    try:
        await ensure_host(paths)
        async with client_of(paths) as client:
            assert client.welcome.log == str(paths.log)
    finally:
        end(paths)


def test_the_command_line_asks_a_host_without_starting_one_and_starts_one_to_change_something(
    paths: LogPaths,
) -> None:
    assert host_status(paths) is None
    with pytest.raises(HostDown) as down:
        call_once(paths, protocol.Status(), actor=ACTOR, start=False)
    assert "apollo host start" in say_in_shell(down.value)
    assert not paths.log.exists()
    note = ev.NoteWritten(text="hm")
    call = protocol.Annotate(request="r1", session="01NOPE", kind=note.kind, body={"text": "hm"})
    with pytest.raises(Exception, match="no session 01NOPE"):
        call_once(paths, call, actor=ACTOR)
    status = host_status(paths)
    assert status is not None
    assert (status.pid, status.log) == (pid_of(paths.lock), str(paths.log))
    call_once(paths, protocol.StopHost(), actor=ACTOR, start=False)
    wait_for_stop(paths, seconds=10)
    assert host_status(paths) is None


def test_a_call_that_is_cut_after_its_commit_is_applied_once_by_the_command_line(
    paths: LogPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APOLLO_FAULTS", "cut:session.create:1")
    model = ev.ModelSpec("demo", "steady")
    call = protocol.CreateSession(request="once", title="t", task="x", model=model, env={"A": "b"}, start=False)
    made = call_once(paths, call, actor=ACTOR)
    assert [summary.session for summary in reads(paths, lambda r: r.summaries())] == [made.session]


def test_a_host_that_dies_at_a_commit_still_applies_the_call_once(
    paths: LogPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APOLLO_FAULTS", "die:session.created:1")
    model = ev.ModelSpec("demo", "steady")
    call = protocol.CreateSession(request="once", title="t", task="x", model=model, env={"A": "b"}, start=False)
    made = call_once(paths, call, actor=ACTOR)
    assert [summary.session for summary in reads(paths, lambda r: r.summaries())] == [made.session]


async def test_a_host_whose_log_was_removed_ends_and_leaves_no_process(paths: LogPaths, tmp_path: Path) -> None:
    await ensure_host(paths)
    shutil.rmtree(paths.folder)
    for path in (paths.lock, paths.log):
        path.unlink()
    await until("nothing is left", lambda: not processes_of(paths), seconds=20)


def test_waiting_for_a_restart_does_not_wait_for_the_next_host(paths: LogPaths) -> None:
    asyncio.run(ensure_host(paths))
    for _ in range(3):
        stopping = call_once(paths, protocol.StopHost(restart=True), actor=ACTOR)
        wait_for_stop(paths, pid=stopping.pid, seconds=10)
        asyncio.run(ensure_host(paths))
        assert pid_of(paths.lock) != stopping.pid
