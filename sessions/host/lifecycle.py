"""A host's life: take the lock, open the log, take the sessions over, serve, and end in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sessions.annotators import know_logins, own_login
from sessions.attention.settings import Thresholds
from sessions.clock import EvenClock, now_ms
from sessions.config import GatewaySettings
from sessions.containment.keeper import end_idle_spaces
from sessions.errors import ApolloError
from sessions.events import HOST_SESSION, HostStarted, HostStopped, ModelSpec, NewEvent, SessionRecovered, StateChanged
from sessions.events.states import ACTIVE, ENDED, RESTARTING, STOPPED
from sessions.fold.summary import IllegalTransition, Summary
from sessions.gateway.gateway import Gateway
from sessions.host import protocol
from sessions.host.api_keys import KeyRing
from sessions.host.callers import Callers
from sessions.host.dispatch import Dispatcher
from sessions.host.fault_injection import Faults
from sessions.host.handlers.context import HandlerContext, waits_for
from sessions.host.lock import Holder, HostLock
from sessions.host.notifications import Notifications
from sessions.host.notify_command import NotifyCommand
from sessions.host.server import Server
from sessions.host.session_env import SessionEnvs
from sessions.host.session_manager import After, RunnerFactory, SessionManager
from sessions.host.session_spaces import SessionSpaces
from sessions.host.version import code_version
from sessions.log.errors import FULL, LogClosed, LogError, LogUnavailable, is_full
from sessions.log.reader import LogReader
from sessions.log.schema import SCHEMA_VERSION
from sessions.log.writer import LogWriter
from sessions.paths import LogPaths
from sessions.processes import boot_id
from sessions.providers.registry import preload

STOP_SECONDS: Final = 30.0
"""How long a signal's orderly stop waits for boundaries."""
LOOK_SECONDS: Final = 2.0
"""How often the host looks whether its log is still there."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerParts:
    """What the runners of a host are made of."""

    writer: LogWriter
    reader: LogReader
    paths: LogPaths
    notifications: Notifications
    keys: KeyRing
    environments: SessionEnvs
    gateway: Gateway
    spaces: SessionSpaces
    clock: Callable[[], int] = now_ms
    """Even time: what sessions are timed by, and the log's events dated."""


@dataclass(slots=True)
class Host:
    """One host for one log. ``runners`` makes the factory of runners from the host's parts."""

    paths: LogPaths
    runners: Callable[[RunnerParts], RunnerFactory]
    resume_on_start: bool = False
    notify: Sequence[str] = ()
    """The user's command for when a session wants a person (program and arguments), empty for none."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    faults: Faults = field(default_factory=Faults)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    keys: KeyRing = field(default_factory=KeyRing)
    boot: Callable[[], str] = boot_id
    clock: EvenClock = field(default_factory=EvenClock)
    login: str = field(default_factory=own_login)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _stop_call: asyncio.Future[tuple[protocol.StopHost, str]] | None = None
    _writer: LogWriter | None = None
    _notifications: Notifications | None = None
    _server: Server | None = None

    async def run(self) -> bool:
        """Serve until somebody stops the host; True if it is to be started again. Raises LockHeld or LogError."""
        self.paths.prepare()
        lock = HostLock.acquire(self.paths.lock)
        try:
            watching = asyncio.create_task(self._watch(lock))
            try:
                stop = await self._serve(lock.before)
            finally:
                watching.cancel()
            lock.note_end("restart" if stop.restart else "stopped")
            return stop.restart
        except (ApolloError, OSError) as problem:
            lock.note_waits(" ".join(str(problem).split()))
            raise
        finally:
            lock.release()

    def stop(self, call: protocol.StopHost, by: str) -> None:
        """Begin to end in order. The first one who asks decides how."""
        if self._stop_call is not None and not self._stop_call.done():
            self._stop_call.set_result((call, by))

    async def _watch(self, lock: HostLock) -> None:
        """End when somebody has removed or replaced the log: what is written from then on, nobody would ever read.

        Meanwhile say what the log cannot be written for.
        """
        log = None
        said = ""
        while not lock.is_removed:
            waits = self._writer.waits_for() if self._writer is not None else ""
            if not waits and is_full(self.paths.log):  # the output of jobs, and their ends, need room too
                waits = f"{FULL.format(path=self.paths.log)}; free some space"
            if waits != said:
                said = waits
                _log.warning("the host waits: %s", waits) if waits else _log.info("the log can be written again")
                lock.note_waits(waits)
            if self._notifications is not None:
                self._notifications.tell_waits(waits)
            if self._server is not None:
                await self._server.look()
            found = _file(self.paths.log)
            if log is not None and found != log:
                break
            log = found
            await asyncio.sleep(LOOK_SECONDS)
        self.stop(protocol.StopHost(at_boundary=False), "the log was removed")

    async def _follow_clock(self, writer: LogWriter) -> None:
        """Have no session age by a jump of the clock: a sleep of the machine is no active time, nor does it use up a
        limit."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.clock.look():
                await writer.wait_for_writes()
                # From here to the queue of the writer nothing is waited for, so that no other event is dated before.
                if not (jumped := self.clock.look()):
                    continue
                before = self.clock()
                self.clock.follow(jumped)
                events = [
                    NewEvent(s.session, SessionRecovered(last_at=before, host_pid=os.getpid(), jumped=True))
                    for s in writer.summaries().values()
                    if s.state in ACTIVE and s.origin != "import"
                ]
                _log.warning("the clock jumped by %d s; %d sessions were active", jumped // 1000, len(events))
                if not events:
                    continue
                try:
                    await writer.append(*events)
                except LogUnavailable:
                    self.clock.follow(-jumped)  # seen again with the next look
                    await writer.wait_until_available()
                except LogClosed:
                    return
                except (LogError, IllegalTransition) as problem:
                    _log.error("the log does not take a jump of the clock: %s", problem)

    async def _serve(self, before: Holder | None) -> protocol.StopHost:
        self._stop_call = asyncio.get_running_loop().create_future()
        writer = self._writer = await LogWriter.open(self.paths.log, clock=self.clock)
        following = asyncio.create_task(self._follow_clock(writer))
        try:
            return await self._with_log(writer, before)
        finally:
            following.cancel()
            self._writer = None
            await writer.close()

    async def _with_log(self, writer: LogWriter, before: Holder | None) -> protocol.StopHost:
        assert self._stop_call is not None
        callers = Callers(self.paths.sessions, lambda session: _address(writer, session))
        if job := await asyncio.to_thread(callers.job_of, os.getpid()):
            raise ApolloError(f"{job} started this host: a command of an agent starts none, a person's shell does")
        reader = LogReader(self.paths.log)
        after = await asyncio.to_thread(_read_last_end, reader, self.boot(), before)
        know_logins([self.login])
        started = HostStarted(
            pid=os.getpid(), boot_id=self.boot(), version=code_version(), after=after, login=self.login
        )
        await writer.append(NewEvent(HOST_SESSION, started))
        notifications = self._notifications = Notifications(writer.position)
        writer.subscribe(notifications.on_commit)
        writer.subscribe(self.faults.on_commit)
        environments = SessionEnvs(self.paths)
        gateway = Gateway(self.paths.folder, self.keys.hide, self.keys.adopt, self.gateway)
        spaces = SessionSpaces(reader, self.paths, gateway)
        parts = RunnerParts(
            writer, reader, self.paths, notifications, self.keys, environments, gateway, spaces, self.clock
        )
        manager = SessionManager(self.runners(parts), writer, reader)
        gateway.runner = manager.runner
        context = HandlerContext(writer, reader, self.paths, manager, self.keys, environments, spaces, self.clock)
        dispatcher = Dispatcher(
            context, notifications, self._welcome(), lambda call, actor: self._answer_stop(manager, call, actor)
        )
        server = Server(self.paths.socket, dispatcher, notifications, callers, self.faults)
        await server.open()
        self._server = server
        _log.info("host %s of %s runs (after %s)", code_version(), self.paths.log, after)
        notifier = self._notifier(writer, notifications)
        try:
            await asyncio.to_thread(_import_providers, writer.summaries().values())
            await _open_lines(gateway, manager, writer.summaries().values())
            await manager.recover(after, resume=self.resume_on_start)
            if notifier is not None:
                notifier.start()
            self.ready.set()
            call, by = await self._wait_for_stop(writer)
            dispatcher.stopping = True
            await dispatcher.finish()
            await self._rest(writer, manager, call)
            if not call.restart:
                await gateway.stop_harnesses()
        finally:
            if notifier is not None:
                await notifier.close()
            await manager.close()
            await gateway.close()
            await asyncio.to_thread(end_idle_spaces, self.paths.sessions)
            notifications.close()
            self._server = None
            await server.close()
            reader.close()
        # On a full disk the lock file alone says that the host was stopped.
        with contextlib.suppress(LogUnavailable):
            await writer.append(NewEvent(HOST_SESSION, HostStopped(pid=os.getpid(), by=by, restart=call.restart)))
        _log.info("host ends (%s)", "restart" if call.restart else "stopped")
        return call

    async def _wait_for_stop(self, writer: LogWriter) -> tuple[protocol.StopHost, str]:
        """Wait until somebody stops the host. Without its writer it crashes instead: the watcher starts another."""
        assert self._stop_call is not None
        ended = asyncio.ensure_future(writer.wait_for_end())
        waits: list[asyncio.Future[Any]] = [self._stop_call, ended]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not self._stop_call.done():
                raise RuntimeError("the writer of the log has died") from ended.exception()
            return await self._stop_call
        finally:
            ended.cancel()

    def _notifier(self, writer: LogWriter, notifications: Notifications) -> NotifyCommand | None:
        if not self.notify:
            return None
        memory = self.paths.folder / "notified.json"
        notifier = NotifyCommand(
            self.notify, writer.summaries, notifications.active_at, memory, self.thresholds, str(self.paths.log)
        )
        writer.subscribe(notifier.on_commit)
        return notifier

    async def _rest(self, writer: LogWriter, manager: SessionManager, call: protocol.StopHost) -> None:
        """Bring every session to rest; who does not reach a boundary in time is cut off where it is."""
        reason = RESTARTING if call.restart else STOPPED
        left = await manager.rest(reason, call.timeout if call.at_boundary else 0.0)
        # After a restart they go on from here as after a crash; otherwise the log must not say that they run.
        for summary in left if not call.restart else ():
            with contextlib.suppress(LogUnavailable):  # the next host does it
                await writer.append(NewEvent(summary.session, StateChanged(state="paused", reason=reason)))

    async def _answer_stop(self, manager: SessionManager, call: protocol.StopHost, actor: str) -> protocol.Stopping:
        waits = [f"session {s.address} {s.title}{waits_for(s)}" for s in manager.active()] if call.at_boundary else []
        self.stop(call, call.by or actor)
        return protocol.Stopping(pid=os.getpid(), waits_for=tuple(waits))

    def _welcome(self) -> protocol.Welcome:
        return protocol.Welcome(
            protocol=protocol.PROTOCOL,
            schema=SCHEMA_VERSION,
            version=code_version(),
            pid=os.getpid(),
            log=str(self.paths.log),
            position=0,
            started_at=now_ms(),
        )


def _address(writer: LogWriter, session: str) -> str | None:
    found = writer.summary(session)
    return found.address if found is not None else None


def _file(path: Path) -> tuple[int, int] | None:
    """Which file lies at ``path``, None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


async def _open_lines(gateway: Gateway, manager: SessionManager, summaries: Iterable[Summary]) -> None:
    """Let harnesses that an earlier host served ask again. One that cannot be let in keeps nobody else out."""
    try:
        gateway.resume()
    except ApolloError as problem:
        _log.error("harnesses cannot ask: %s", problem)
        return
    for summary in sorted(summaries, key=lambda each: each.number):
        if not summary.harness or summary.state in ENDED or summary.origin == "import":
            continue
        try:
            manager.runner(summary.session)
            if summary.open_jobs:
                await gateway.listen_again(summary.session)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the other sessions go on
            _log.exception("the harness of session %s cannot ask", summary.address)


def _import_providers(summaries: Iterable[Summary]) -> None:
    """Import all that the sessions need, now, because files may change beneath a running host."""
    for provider in {s.model.partition(":")[0] for s in summaries if s.state not in ENDED and s.origin != "import"}:
        try:
            preload([ModelSpec(provider=provider, name="")])
        except (ImportError, ApolloError) as problem:  # its sessions will say so; the others go on
            _log.error("provider %s cannot be loaded: %s", provider, problem)


def _read_last_end(reader: LogReader, boot: str, before: Holder | None) -> After:
    """How the host before this one ended, from the newest of its events, or from the lock file where a full disk took
    none."""
    newest = reader.events(HOST_SESSION, kinds=("host.started", "host.stopped"), newest_first=True, limit=1)
    started = reader.events(HOST_SESSION, kinds=("host.started",), newest_first=True, limit=1)
    if not newest or not started:
        return "start"
    rebooted = isinstance(started[0].body, HostStarted) and started[0].body.boot_id != boot
    match newest[0].body:
        case HostStopped(restart=False):
            return "start"
        case HostStarted(pid=pid) if before is not None and before.ended == "stopped" and before.pid == pid:
            return "start"
        case _ if rebooted:
            return "reboot"
        case HostStopped():
            return "restart"
        case _:
            return "crash"
