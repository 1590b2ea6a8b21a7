"""Answers calls: each change once, whatever the connection does meanwhile, and a repeat with the first answer."""

from __future__ import annotations

import asyncio
import errno
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from sessions.annotators import shown_actor
from sessions.events import Event, SessionCreated
from sessions.fold.summary import IllegalTransition
from sessions.host import protocol
from sessions.host.handlers import HANDLERS
from sessions.host.handlers.context import HandlerContext, change_answer
from sessions.host.handlers.create import creation_answer
from sessions.host.handlers.imports import examine_file, import_answer
from sessions.host.notifications import Notifications
from sessions.host.version import code_version
from sessions.host.wire import RpcError
from sessions.log.errors import LogError, RepeatedRequest
from sessions.log.schema import SCHEMA_VERSION

KEPT_ANSWERS: Final = 2000
MAX_REQUEST_CHARS: Final = 128

StopHandler = Callable[[protocol.StopHost, str], Awaitable[protocol.Stopping]]


class Dispatcher:
    """The host's side of the calls that are not about a connection. ``stop`` begins to end the host, and says what it
    waits for."""

    def __init__(
        self, context: HandlerContext, notifications: Notifications, welcome: protocol.Welcome, stop: StopHandler
    ) -> None:
        self._context = context
        self._notifications = notifications
        self._welcome = welcome
        self._stop = stop
        self._under_way: dict[tuple[str, str], asyncio.Task[object]] = {}
        self._answers: OrderedDict[tuple[str, str], object] = OrderedDict()
        self.stopping = False

    def welcome(self, hello: protocol.Hello) -> protocol.Welcome:
        """Shake hands; a mismatch is said in one line, and the client decides."""
        mine = self._welcome
        return protocol.Welcome(
            protocol=protocol.PROTOCOL,
            schema=SCHEMA_VERSION,
            version=code_version(),
            pid=mine.pid,
            log=mine.log,
            position=self._context.writer.position,
            started_at=mine.started_at,
            mismatch=_mismatch(hello, mine.pid),
        )

    async def answer(self, call: protocol.Call[Any], actor: str) -> object:
        """The answer to ``call``. Raises RpcError."""
        match call:
            case protocol.Status():
                return self._status()
            case protocol.StopHost():
                return await self._stop(call, actor)
            case protocol.ExamineFile():
                return await examine_file(self._context, call)
            case protocol.Change():
                return await self._once(call, actor)
            case _:
                raise RpcError("method", f"{call.method} is not a call that changes or asks anything")

    async def finish(self) -> None:
        """Let the changes under way be committed."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=10.0)

    async def _once(self, call: protocol.Change[Any], actor: str) -> object:
        if not call.request or len(call.request) > MAX_REQUEST_CHARS:
            raise RpcError("params", f"a request id has 1 to {MAX_REQUEST_CHARS} characters")
        key = (call.method, call.request)
        task = self._under_way.get(key)
        if task is None:
            if self.stopping:
                raise RpcError("refused", "the host is stopping; nothing was changed")
            # A task of its own: who hangs up loses the answer, not the change.
            task = asyncio.create_task(self._apply(call, actor), name=f"{call.method} {call.request}")
            self._under_way[key] = task
            task.add_done_callback(lambda ended: self._keep_answer(key, ended))
        return await asyncio.shield(task)

    def _keep_answer(self, key: tuple[str, str], task: asyncio.Task[object]) -> None:
        del self._under_way[key]
        if not task.cancelled() and task.exception() is None:
            self._answers[key] = task.result()
            if len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)

    async def _apply(self, call: protocol.Change[Any], actor: str) -> object:
        key = (call.method, call.request)
        if key in self._answers:
            return self._answers[key]
        before = await asyncio.to_thread(self._context.reader.by_request, call.request)
        if before:
            return first_answer(call, before)
        try:
            return await HANDLERS[call.method](self._context, call, actor)
        except RepeatedRequest as repeated:
            return first_answer(call, repeated.events)
        except IllegalTransition as error:
            raise RpcError("refused", f"{error}; its state has just changed, look again") from error
        except LogError as error:
            raise RpcError("log", str(error), error.remedies) from error
        except OSError as error:
            raise RpcError("log", _say_trouble(self._context.paths.folder, error)) from error

    def _status(self) -> protocol.HostStatus:
        writer = self._context.writer
        return protocol.HostStatus(
            pid=self._welcome.pid,
            version=code_version(),
            log=self._welcome.log,
            position=writer.position,
            started_at=self._welcome.started_at,
            sessions=self._context.manager.states(),
            clients=tuple(f"{shown_actor(each.actor)} ({each.client})" for each in self._notifications.clients()),
            commit_age_ms=max(0, self._context.clock() - writer.committed_at),
            wal_bytes=writer.wal_bytes(),
            waits=writer.waits_for() or self._notifications.waits,
        )


def first_answer(call: protocol.Change[Any], events: list[Event]) -> object:
    """The first answer to a request, made again from what it committed. RpcError if the id was for another call."""
    first = events[0].body
    if isinstance(call, protocol.ImportFile):
        return import_answer(events)
    makes = isinstance(call, protocol.CreateSession)
    if makes != isinstance(first, SessionCreated) or getattr(call, "session", events[0].session) != events[0].session:
        raise RpcError("params", f"request id {call.request} was used for something else; make a new one")
    if isinstance(call, protocol.CreateSession):
        return creation_answer(events)
    return change_answer(events)


def _say_trouble(folder: Path, error: OSError) -> str:
    """What the system would not let the host do, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk that holds {folder} is full: nothing was done; free some space"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "the host has as many files open as it may: nothing was done; try again, or raise 'ulimit -n'"
    where = f"{error.filename}: " if error.filename else ""
    return f"nothing was done: {where}{error.strerror or error}"


def _mismatch(hello: protocol.Hello, pid: int) -> str:
    for what, theirs, ours in (
        ("protocol", str(hello.protocol), str(protocol.PROTOCOL)),
        ("log schema", str(hello.schema), str(SCHEMA_VERSION)),
        ("code", hello.version, code_version()),
    ):
        if theirs != ours:
            return f"the host (pid {pid}) runs {what} {ours}, this client {theirs}"
    return ""
