"""The socket: takes connections, answers each line, and lets no client harm another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import stat
import time
from collections import deque
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from sessions.annotators import name_problem
from sessions.clock import now_ms
from sessions.errors import ApolloError
from sessions.host import protocol, wire
from sessions.host.callers import Caller, Callers
from sessions.host.fault_injection import Faults
from sessions.host.notifications import Notifications
from sessions.host.protocol import ClientInfo
from sessions.paths import private_folder

BACKLOG: Final = 1024
"""Clients that may come in one instant; the kernel takes fewer where it is set so."""
ACCEPT_PAUSE: Final = 1.0
"""Seconds for which nobody is let in when there is no file descriptor for him."""
HALF_MESSAGES: Final = 4 * wire.MAX_REQUEST
"""Bytes that messages under way may take, of all clients together."""
SAY_AGAIN: Final = 60.0
CONGESTED_BYTES: Final = 256 << 10
"""With more than this not yet taken by a client, it gets no frames until it has caught up."""
NO_PERSON: Final = "agent"
"""What is said to be attached in place of a name where a client is no person's."""
REFUSALS_TOLD: Final = 20
"""So many a minute are written to the host's log: a command that tries for ever must not fill it."""
ACTORS: Final = ("human", "judge", "rule")

_log = logging.getLogger(__name__)


class Answerer(Protocol):
    """What the server serves."""

    def welcome(self, hello: protocol.Hello) -> protocol.Welcome:
        """Shake hands."""
        ...

    async def answer(self, call: protocol.Call[Any], actor: str) -> object:
        """The answer to any call but ``hello`` and ``subscribe``. Raises wire.RpcError."""
        ...


class Connection:
    """One client. Its calls are answered in order, but for the slow ones (protocol.SLOW), which others overtake."""

    def __init__(
        self, server: Server, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._caller = caller
        self._reader = reader
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()
        self.info = ClientInfo(actor="", client="", since=now_ms())
        self._limited_to: frozenset[str] | None = frozenset({protocol.Hello.method})

    @property
    def congested(self) -> bool:
        """Whether the client has not taken what it was sent."""
        return self._writer.is_closing() or self._writer.transport.get_write_buffer_size() > CONGESTED_BYTES

    def send(self, line: bytes) -> None:
        """Put a line into the client's buffer; never waits."""
        if not self._writer.is_closing():
            self._writer.write(line)

    async def finish(self) -> None:
        """Let the answers under way out, for a moment, then hang up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.drain()
        self._writer.close()

    def cut(self) -> None:
        """Hang up at once, whatever has not been sent."""
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Read and answer until the client hangs up."""
        try:
            async for line in wire.lines(self._reader, wire.MAX_REQUEST, self._server.room):
                if line is None:
                    most = f"longer than {wire.MAX_REQUEST >> 20} MB, or came while others took all room for messages"
                    problem = f"a message was {most}; nothing of it was applied"
                    self.send(wire.error(None, wire.RpcError("parse", problem)))
                else:
                    await self._take(line)
                await self._writer.drain()
        except OSError:
            pass  # hung up in the middle: what it asked for goes on
        finally:
            self._server.notifications.detach(self)
            self._writer.close()

    async def _take(self, line: bytes) -> None:
        number: int | str | None = None
        try:
            message = wire.decode(line)
            number = message.id
            call = self._call(message)
        except wire.RpcError as problem:
            self.send(wire.error(number, problem))
            return
        if call.method in protocol.SLOW:
            task = asyncio.create_task(self._answer(number, call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            await self._answer(number, call)

    def _call(self, message: wire.Message) -> protocol.Call[Any]:
        if not message.method or message.id is None:
            raise wire.RpcError("invalid", "a request needs a method and an id")
        kind = protocol.CALLS.get(message.method)
        if kind is None:
            raise wire.RpcError("method", f"there is no method {message.method!r}; this host knows {_METHODS}")
        if self._limited_to is not None and message.method not in self._limited_to:
            raise wire.RpcError("mismatch", f"{message.method} is not possible before a hello that both sides agree on")
        if not kind.reads and not self._caller.is_person:
            self._server.note_refusal(self._caller, message.method)
            why = f"pid {self._caller.pid} {self._caller.why}"
            raise wire.RpcError("refused", f"{why}, so it may only read; a person asks from a shell of their own")
        try:
            call: protocol.Call[Any] = msgspec.json.decode(message.params, type=kind)
            return call
        except (msgspec.DecodeError, UnicodeError) as error:
            raise wire.RpcError("params", f"{message.method}: {error}") from error
        except RecursionError as error:
            raise wire.RpcError("params", f"{message.method}: it is nested too deeply") from error

    async def _answer(self, number: int | str | None, call: protocol.Call[Any]) -> None:
        try:
            match call:
                case protocol.Hello():
                    result: object = self._hello(call)
                case protocol.Subscribe():
                    result = self._server.notifications.subscribe(self, call.deltas)
                case protocol.Active():
                    active_at = now_ms() - max(0, call.idle_ms)
                    self.info = msgspec.structs.replace(self.info, active_at=max(active_at, self.info.active_at))
                    result = protocol.Noted()
                case _:
                    result = await self._server.answerer.answer(call, self.info.actor)
            line = wire.answer(number, result)
        except wire.RpcError as problem:
            line = wire.error(number, problem)
        except ApolloError as problem:
            line = wire.error(number, wire.RpcError("refused", str(problem), problem.remedies))
        except Exception:  # noqa: BLE001 - a defect in one handler is this call's problem, never the host's
            _log.exception("%s failed", call.method)
            line = wire.error(number, wire.RpcError("log", f"{call.method} failed inside the host; see its log file"))
        if self._server.faults.cuts(call.method):
            self.cut()
        self.send(line)

    def _hello(self, hello: protocol.Hello) -> protocol.Welcome:
        kind, _, name = hello.actor.partition(":")
        if problem := "is of no kind that may ask" if kind not in ACTORS else name_problem(name):
            said = ascii(hello.actor[:100])
            raise wire.RpcError("params", f"{said} is no actor; write human:NAME: it {problem}")
        welcome = self._server.answerer.welcome(hello)
        agree = (hello.protocol, hello.schema) == (welcome.protocol, welcome.schema)
        self._limited_to = None if agree else frozenset({"hello", *(call.method for call in protocol.ANYHOW)})
        if not self.info.actor and agree:
            actor = hello.actor if self._caller.is_person else NO_PERSON
            self.info = ClientInfo(actor=actor, client=hello.client, since=self.info.since)
            self._server.notifications.attach(self)
        return welcome


_METHODS: Final = ", ".join(protocol.CALLS)


class Server:
    """Listens on a unix socket that only our user can open."""

    def __init__(
        self,
        path: Path,
        answerer: Answerer,
        notifications: Notifications,
        callers: Callers,
        faults: Faults | None = None,
    ) -> None:
        self.path = path
        self._callers = callers
        self._told: deque[float] = deque(maxlen=REFUSALS_TOLD)
        self.answerer = answerer
        self.notifications = notifications
        self.faults = faults or Faults()
        self.room = wire.Room(HALF_MESSAGES)
        self._connections: set[Connection] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._file: tuple[int, int] | None = None
        self._refused_at = float("-inf")

    async def open(self) -> None:
        """Begin to listen. Only who holds the host's lock may: what lies at the path is then a dead host's."""
        private_folder(self.path.parent)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise ApolloError(f"{self.path} is in the way and is no socket: move it away")
            self.path.unlink()
        before = os.umask(0o177)
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                listener.setblocking(False)
                listener.bind(str(self.path))
                listener.listen(BACKLOG)
            except OSError:
                listener.close()
                raise
        finally:
            os.umask(before)
        self._stop_listening()
        self._listener = listener
        self._file = _file(self.path)
        self._listen()

    async def look(self) -> None:
        """Bind again if somebody has removed the socket's file; who is connected stays so."""
        if self._listener is not None and _file(self.path) != self._file:
            try:
                await self.open()
            except (OSError, ApolloError) as problem:
                _log.error("%s is gone and cannot be bound again: %s", self.path, problem)
            else:
                _log.warning("%s was removed; it is bound again", self.path)

    async def close(self) -> None:
        """Hang up on everybody and take the socket away."""
        if self._listener is None:
            return
        self._stop_listening()
        self._listener = None
        self.path.unlink(missing_ok=True)
        # All at once: each may wait a moment for a client that takes nothing.
        await asyncio.gather(*(connection.finish() for connection in self._connections))

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.fileno(), self._let_in)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()

    def _let_in(self) -> None:
        """Take the next client. asyncio's own server would fill the log where descriptors are used up."""
        assert self._listener is not None
        loop = asyncio.get_running_loop()
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as problem:
            if loop.time() - self._refused_at > SAY_AGAIN:
                self._refused_at = loop.time()
                _log.error("clients wait: %s", problem)
            loop.remove_reader(self._listener.fileno())
            loop.call_later(ACCEPT_PAUSE, self._listen)
            return
        task = loop.create_task(self._welcome(client))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _welcome(self, client: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(sock=client)
        except OSError:
            client.close()
            return
        await self._accept(reader, writer)

    def note_refusal(self, caller: Caller, method: str) -> None:
        """Write to the host's log who was refused what."""
        now = time.monotonic()
        if len(self._told) < REFUSALS_TOLD or now - self._told[0] > 60.0:
            self._told.append(now)
            _log.warning("refused %s to %s: it %s", method, caller, caller.why)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = await self._callers.look_at(writer.get_extra_info("socket"))
        connection = Connection(self, caller, reader, writer)
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)


def _file(path: Path) -> tuple[int, int] | None:
    """Which file lies at ``path``."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
