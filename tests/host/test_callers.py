"""Who is at the other end of a connection, and what those may do who are no person."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from host_in_process import HostInProcess, Raw, new_session, open_host

from sessions import processes
from sessions.host import protocol
from sessions.host.callers import Caller, Callers
from sessions.host.client import HostClient, RequestRefused
from sessions.jobs.files import MARK

pytestmark = pytest.mark.skipif(not processes.HAS_PROC, reason="descent is read from /proc")

READS = {"hello", "subscribe", "host.status"}
CONNECT = """
import os, socket, sys
where, name = os.path.split(sys.argv[1])
os.chdir(where)
if len(sys.argv) > 2:
    os.seteuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as mine:
    mine.connect(name)
    if len(sys.argv) > 3:
        sys.exit()
    print("connected", flush=True)
    sys.stdin.read()
"""


def test_every_call_says_whether_it_reads() -> None:
    assert set(protocol.CALLS) == set(protocol.ANSWERS)
    assert {method for method, call in protocol.CALLS.items() if call.reads} == READS
    assert not any(call.reads for call in protocol.CALLS.values() if issubclass(call, protocol.Change))


@asynccontextmanager
async def connection_from(tmp_path: Path, *more: str, env: dict[str, str] | None = None) -> AsyncIterator[Any]:
    """The accepted end of a connection that another process made; it lives until the block ends, unless told else."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        tmp_path.chmod(0o711)
        listener.listen()
        listener.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-c", CONNECT, str(path), *more],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        accepted, _ = await asyncio.to_thread(listener.accept)
        try:
            if len(more) == 2:
                await asyncio.to_thread(process.wait)
            yield accepted
        finally:
            accepted.close()
            process.communicate()


def callers(tmp_path: Path, *known: str) -> Callers:
    return Callers(tmp_path / "sessions", lambda session: str(known.index(session) + 1) if session in known else None)


async def test_a_program_of_our_own_user_is_a_persons(tmp_path: Path) -> None:
    async with connection_from(tmp_path) as accepted:
        found = await callers(tmp_path, "A").look_at(accepted)
    assert found.is_person
    assert "python" in found.program


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("A/jobs/3", "is a command of an agent (job 3 of session 1)"),
        ("B/evaluations/2", "is a command of an agent (evaluation 2 of session 2)"),
        ("X/jobs/1 B/jobs/7", "is a command of an agent (job 7 of session 2)"),
        ("B/anything", "is a command of an agent (session 2)"),
        ("X/jobs/1", ""),
        ("", ""),
    ],
)
async def test_an_environment_that_names_a_job_of_this_log_is_an_agents(tmp_path: Path, mark: str, said: str) -> None:
    async with connection_from(tmp_path, env={MARK: mark}) as accepted:
        assert (await callers(tmp_path, "A", "B").look_at(accepted)).why == said


async def test_who_is_gone_before_it_was_looked_at_is_unknown(tmp_path: Path) -> None:
    async with connection_from(tmp_path, str(os.geteuid()), "goes") as accepted:
        found = await callers(tmp_path).look_at(accepted)
    assert found.why.startswith("is unknown")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
async def test_another_user_is_no_person_here(tmp_path: Path) -> None:
    async with connection_from(tmp_path, "65534") as accepted:
        assert (await callers(tmp_path).look_at(accepted)).why == "belongs to another user (uid 65534)"


async def test_a_process_that_cannot_be_looked_at_in_time_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("sessions.host.callers.LOOK_SECONDS", 0.05)

    def read_slowly(pid: int) -> dict[str, str]:
        let_go.wait(60)
        return {}

    monkeypatch.setattr("sessions.processes.first_environment", read_slowly)
    async with connection_from(tmp_path) as accepted:
        found = await callers(tmp_path).look_at(accepted)
    let_go.set()
    assert found.why == "is unknown: its processes could not be looked at"


async def test_a_look_reads_the_chain_of_parents_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()

    def count(name: str) -> None:
        real: Callable[..., object] = getattr(processes, name)

        def reading(*words: object) -> object:
            read[name] += 1
            return real(*words)

        monkeypatch.setattr(processes, name, reading)

    count("_stat")
    count("_strings")
    async with connection_from(tmp_path) as accepted:
        assert (await callers(tmp_path, "A").look_at(accepted)).is_person
    parents = len(processes.ancestry(os.getpid()) or []) + 1  # who connects is a child of ours
    assert read["_strings"] == 2 * parents, "the words and the environment of each"
    assert read["_stat"] <= 4 * parents, "each twice, so that the chain held still, and one look more"


def as_agent(host: HostInProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(self: Callers, connection: object) -> Caller:
        return Caller(812, "apollo", "is a command of an agent (job 3 of session 2)")

    monkeypatch.setattr(Callers, "look_at", look)


async def test_no_person_reads_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_host(tmp_path) as host:
        as_agent(host, monkeypatch)
        client = await host.client(actor="human:mallory")
        assert (await client.call(protocol.Status())).clients == ("agent (script)",)
        await client.call(protocol.Subscribe())
        calls = (new_session("r1"), protocol.StopHost(), protocol.Active(), protocol.ExamineFile(path="/etc/passwd"))
        for call in calls:
            with pytest.raises(RequestRefused, match=r"^pid 812 is a command of an agent \(job 3 of session 2\)"):
                await client.call(call)
        assert host.parts.writer.summaries() == {}
    told = [line for line in caplog.messages if line.startswith("refused ")]
    first = "refused session.create to pid 812 (apollo): it is a command of an agent (job 3 of session 2)"
    assert told[0] == first
    assert len(told) == len(calls)


async def test_refusals_without_end_do_not_fill_the_hosts_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_host(tmp_path) as host:
        as_agent(host, monkeypatch)
        raw = await Raw.connect(host.paths)
        await raw.hello()
        for number in range(1, 101):
            assert "error" in await raw.ask(number, "host.stop", {})
        await raw.close()
    assert 0 < len([line for line in caplog.messages if line.startswith("refused ")]) <= 20


async def test_a_host_serves_its_own_process_tree(tmp_path: Path) -> None:
    async with open_host(tmp_path) as host:
        client = await HostClient.connect(host.paths, actor="human:ada")
        assert (await client.call(new_session("r1", start=False))).number == 1
        await client.close()
