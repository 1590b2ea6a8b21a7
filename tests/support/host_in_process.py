"""A host inside the test's own process, with runners that only do what the log tells them, and raw socket talk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from sessions import events as ev
from sessions.events.states import ACTIVE
from sessions.host import protocol
from sessions.host.api_keys import KeyRing
from sessions.host.client import HostClient
from sessions.host.fault_injection import Faults
from sessions.host.lifecycle import Host, RunnerParts
from sessions.host.session_manager import RunnerFactory
from sessions.log.schema import SCHEMA_VERSION
from sessions.paths import LogPaths, log_paths

ACTOR = "human:ada"


class FakeRunner:
    """Goes to the state that the newest control asks for, at once; no model, no steps."""

    def __init__(self, session: str, parts: RunnerParts) -> None:
        self.session = session
        self.parts = parts
        self.told: list[str] = []
        self.stuck = False
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self.told.append("start")
        self._do(self._look())

    def look_for_advice(self) -> None:
        self.told.append("advice")

    def resume(self) -> None:
        self.told.append("resume")
        self._do(self._enter("running"))

    def hold(self, reason: str) -> None:
        self.told.append("hold")
        if not self.stuck:
            self._do(self._enter("paused", reason))

    async def close(self) -> None:
        self.told.append("close")
        for task in list(self._tasks):
            await task

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _state(self) -> str:
        summary = self.parts.writer.summary(self.session)
        assert summary is not None
        return summary.state

    async def _enter(self, state: Any, reason: str = "") -> None:
        await self.parts.writer.append(ev.NewEvent(self.session, ev.StateChanged(state=state, reason=reason)))

    async def _look(self) -> None:
        asked = self.parts.reader.events(self.session, kinds=("control.requested",), newest_first=True, limit=1)
        verb = asked[0].body.verb if asked and isinstance(asked[0].body, ev.ControlRequested) else ""
        if verb in ("start", "resume", "reopen") and self._state() not in ACTIVE:
            await self._enter("running")
        elif verb == "pause" and self._state() in ACTIVE:
            await self._enter("paused")
        elif verb == "stop" and self._state() != "stopped":
            await self._enter("stopped")


class HostInProcess:
    """A host that runs: its paths, its parts, its fake runners, and its clients."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.paths = host.paths
        self.parts: RunnerParts
        self.runners: dict[str, FakeRunner] = {}
        self._clients: list[HostClient] = []
        self._made = 0

    def factory(self, parts: RunnerParts) -> RunnerFactory:
        self.parts = parts

        def make(session: str) -> FakeRunner:
            return self.runners.setdefault(session, FakeRunner(session, parts))

        return make

    def request(self) -> str:
        self._made += 1
        return f"{id(self):x}-{self._made}"

    async def client(self, actor: str = ACTOR) -> HostClient:
        client = await HostClient.connect(self.paths, actor=actor, client="script")
        self._clients.append(client)
        return client

    async def close_clients(self) -> None:
        for client in self._clients:
            await client.close()

    def state(self, session: str) -> str:
        summary = self.parts.writer.summary(session)
        assert summary is not None
        return summary.state

    async def append(self, *events: ev.NewEvent) -> list[ev.Event]:
        return await self.parts.writer.append(*events)


def paths_in(folder: Path) -> LogPaths:
    """The paths of a log in ``folder``, prepared."""
    paths = log_paths(folder / "apollo.db")
    paths.prepare()
    return paths


@asynccontextmanager
async def open_host(
    folder: Path,
    *,
    faults: str = "",
    ends: Literal["stop", "restart", "cut"] = "stop",
    keys: Path | None = None,
    **more: Any,
) -> AsyncIterator[HostInProcess]:
    """A host that takes connections. In the end it is stopped, stopped for a restart, or cut off in mid-step."""
    running: HostInProcess

    def runners(parts: RunnerParts) -> RunnerFactory:
        return running.factory(parts)

    ring = KeyRing(keys or folder / "no-keys")
    host = Host(paths_in(folder), runners, **{"faults": Faults(faults), "keys": ring, "login": "", **more})
    running = HostInProcess(host)
    task = asyncio.create_task(host.run())
    ready = asyncio.create_task(host.ready.wait())
    done, _ = await asyncio.wait([task, ready], timeout=10, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if task in done:
        task.result()
    assert done, "the host did not become ready"
    try:
        yield running
    finally:
        await running.close_clients()
        host.stop(protocol.StopHost(timeout=2, at_boundary=ends != "cut", restart=ends != "stop"), "test")
        await asyncio.wait_for(task, 15)


async def until(what: str, condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until ``condition()`` is truthy; AssertionError that names ``what`` after ``seconds``."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds:g} s in vain for: {what}"
        await asyncio.sleep(0.01)
    return found


def new_session(request: str, **more: Any) -> protocol.CreateSession:
    """A request for a session of the scripted model."""
    fields: dict[str, Any] = {"title": "tune the rate", "task": "make it learn"}
    fields |= {"model": ev.ModelSpec("demo", "steady"), "env": {"PATH": "/usr/bin:/bin"}}
    return protocol.CreateSession(request=request, **(fields | more))


class Raw:
    """A client that may break every rule."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, paths: LogPaths) -> Raw:
        return cls(*await asyncio.open_unix_connection(str(paths.socket), limit=1 << 27))

    async def send(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def receive(self) -> dict[str, Any]:
        line = await asyncio.wait_for(self.reader.readline(), 10)
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    async def ask(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        await self.send(
            json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"
        )
        while (message := await self.receive()).get("id") != number:
            pass
        return message

    async def hello(self, **more: Any) -> dict[str, Any]:
        params = {"protocol": protocol.PROTOCOL, "schema": SCHEMA_VERSION, "version": "test", "actor": ACTOR}
        return await self.ask(0, "hello", params | more)

    async def close(self) -> None:
        self.writer.close()
