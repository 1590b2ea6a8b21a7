"""What the app and the command line talk to the host through."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal, TypeVar

import msgspec

from sessions.errors import ApolloError
from sessions.hints import Remedy
from sessions.host import exit_codes, lock, protocol, wire
from sessions.host.spawn import spawn_host
from sessions.host.version import code_version
from sessions.host.watcher import is_watched, say_what_host_waits_for
from sessions.log.schema import SCHEMA_VERSION
from sessions.paths import LogPaths

A = TypeVar("A")

HELLO_SECONDS: Final = 10.0
START_SECONDS: Final = 30.0
OPEN_SECONDS: Final = 180.0
"""How much longer a host that is opening its log is waited for: after an update, a long one is read whole."""
CALL_SECONDS: Final = 60.0
TRIES: Final = 3
BUSY_TRIES: Final = 100
BUSY_PAUSE: Final = 0.05
KEPT_NOTIFICATIONS: Final = 4096

RESTART: Final = Remedy("restart_host", "restarts it at the sessions' boundaries")
"""What to do about a host of other code than ours."""

Note = protocol.Changed | protocol.DeltaFrame | protocol.Clients | protocol.Waits
ClientKind = Literal["app", "cli", "script"]


class HostDown(ApolloError):
    """No host answers for this log; the text says why and what to do."""


class ConnectionLost(HostDown):
    """The connection broke while a call was under way: it may have been applied. Repeat it with the same request id."""


class Mismatch(ApolloError):
    """Host and client speak different protocols or schemas; restart the host."""


class RequestRefused(ApolloError):
    """The host said no; ``kind`` is a key of protocol.ERRORS, the text says why and what to do."""

    def __init__(self, message: str, kind: str = "refused", *, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message, remedies=remedies)
        self.kind = kind


class HostClient:
    """One connection to a host. Made by ``connect``; not usable again after it is lost or closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._pending: dict[int, asyncio.Future[wire.Message]] = {}
        self._next = 1
        self._notes: deque[Note] = deque(maxlen=KEPT_NOTIFICATIONS)
        self._noted = asyncio.Event()
        self._lost = False
        self._reading = asyncio.create_task(self._read(reader))
        self.welcome: protocol.Welcome

    @classmethod
    async def connect(
        cls, paths: LogPaths, *, actor: str, client: ClientKind = "cli", anyhow: bool = False
    ) -> HostClient:
        """Connect and shake hands. Raises HostDown, or Mismatch when the two could not understand each other.

        ``anyhow``: take also a host of another protocol or schema, which then only says how it is, and stops.
        Other code than ours that speaks the same protocol is no error: ``welcome.mismatch`` then says so in a line.
        """
        try:
            reader, writer = await _open_connection(paths)
        except OSError as error:
            raise _why_down(paths, error) from error
        self = cls(reader, writer)
        hello = protocol.Hello(
            protocol=protocol.PROTOCOL, schema=SCHEMA_VERSION, version=code_version(), actor=actor, client=client
        )
        try:
            self.welcome = await self.call(hello, seconds=HELLO_SECONDS)
        except HostDown as error:
            await self.close()
            raise type(error)(_why_silent(paths)) from error
        except BaseException:
            await self.close()
            raise
        theirs = (self.welcome.protocol, self.welcome.schema)
        if theirs != (protocol.PROTOCOL, SCHEMA_VERSION) and not anyhow:
            await self.close()
            what = self.welcome.mismatch or f"the host (pid {self.welcome.pid}) speaks protocol {theirs[0]}"
            raise Mismatch(what, remedies=[RESTART])
        return self

    async def call(self, params: protocol.Call[A], *, seconds: float | None = None) -> A:
        """Make one call and return its answer struct (protocol.ANSWERS).

        Raises RequestRefused, ConnectionLost, or HostDown when no answer came within ``seconds`` (None: no limit).
        """
        if self._lost:
            raise ConnectionLost("the connection to the host is lost")
        number, self._next = self._next, self._next + 1
        future: asyncio.Future[wire.Message] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        try:
            self._writer.write(wire.request(number, params.method, params))
            async with asyncio.timeout(seconds):
                with contextlib.suppress(ConnectionError):  # the reading side says it better
                    await self._writer.drain()
                message = await future
        except TimeoutError:
            raise HostDown(f"the host did not answer {params.method} within {seconds:g} s") from None
        finally:
            self._pending.pop(number, None)
        if message.error is not None:
            raise RequestRefused(
                message.error.message, _kind(message.error.code), remedies=wire.remedies(message.error)
            )
        answer: A = msgspec.json.decode(message.result, type=protocol.ANSWERS[params.method])
        return answer

    async def notifications(self) -> AsyncIterator[Note]:
        """What the host tells unasked, after ``subscribe``; ends when the connection is lost.

        A consumer that falls behind by thousands loses the oldest; a gap in the offsets of delta frames shows it.
        """
        while True:
            while self._notes:
                yield self._notes.popleft()
            if self._lost:
                return
            self._noted.clear()
            await self._noted.wait()

    async def close(self) -> None:
        """Hang up. Calls under way raise ConnectionLost; the sessions notice nothing."""
        self._writer.close()
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._reading
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            async for line in wire.lines(reader, wire.MAX_ANSWER):
                if line is not None:
                    self._take(wire.decode(line))
        except (OSError, wire.RpcError):
            self._writer.close()
        finally:
            self._lost = True
            self._noted.set()
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(ConnectionLost("the connection to the host broke before it answered"))

    def _take(self, message: wire.Message) -> None:
        if message.method:
            kind = protocol.NOTIFICATIONS.get(message.method)
            if kind is not None:
                self._notes.append(msgspec.json.decode(message.params, type=kind))
                self._noted.set()
            return
        future = self._pending.get(message.id) if isinstance(message.id, int) else None
        if future is not None and not future.done():
            future.set_result(message)


async def _open_connection(paths: LogPaths) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; where many do so in one instant, wait for one's turn."""
    for _ in range(BUSY_TRIES):
        try:
            return await asyncio.open_unix_connection(str(paths.socket))
        except BlockingIOError:
            await asyncio.sleep(BUSY_PAUSE)
    return await asyncio.open_unix_connection(str(paths.socket))


def _kind(code: int) -> str:
    return next((kind for kind, known in protocol.ERRORS.items() if known == code), "refused")


def _why_down(paths: LogPaths, error: OSError) -> HostDown:
    found = lock.holder(paths.lock)
    if found is None:
        if waits := say_what_host_waits_for(paths):
            return HostDown(waits)
        return HostDown(f"no host runs for {paths.log}", remedies=[Remedy("start_host", "starts one")])
    why = error.strerror or error
    return HostDown(f"the host (pid {found.pid}) is not ready ({why}); its log is {paths.host_log}")


def _why_silent(paths: LogPaths) -> str:
    found = lock.holder(paths.lock)
    if found is None:
        return f"the host for {paths.log} ended before it answered; its log is {paths.host_log}"
    return f"the host (pid {found.pid}) does not answer; if it is suspended, 'kill -CONT {found.pid}' lets it go on"


async def ensure_host(paths: LogPaths, *options: str, seconds: float = START_SECONDS) -> None:
    """Return once a host takes connections; start a detached one, with its watcher, if none runs.

    ``options`` go to a host that has to be started. Raises HostDown with the reason that the host itself gave.
    """
    if await _listens(paths):
        if not is_watched(paths):
            spawn_host(paths, *options)
        return
    began = paths.host_log.stat().st_size if paths.host_log.exists() else 0
    watcher = spawn_host(paths, *options)
    deadline = time.monotonic() + seconds
    while not await _listens(paths):
        code = watcher.poll()
        if code not in (None, exit_codes.STOPPED):
            raise HostDown(_last_words(paths, began) or _why_not_started(paths))
        if code == exit_codes.STOPPED and not is_watched(paths):
            # It found the watcher of a host that was stopped a moment ago, which had not gone yet.
            watcher = spawn_host(paths, *options)
        now = time.monotonic()
        if now >= deadline:
            opening = lock.holder(paths.lock)
            if opening is None:
                none = f"no host came up within {seconds:g} s; see {paths.host_log}"
                raise HostDown(say_what_host_waits_for(paths) or _last_words(paths, began) or none)
            if now >= deadline + OPEN_SECONDS:
                raise HostDown(f"the host (pid {opening.pid}) has its log but is not ready; see {paths.host_log}")
        await asyncio.sleep(0.05)


def _why_not_started(paths: LogPaths) -> str:
    """Why a host did not start, where its log file could not take its words."""
    last = lock.last_holder(paths.lock)
    if last is not None and last.waits:
        return f"the host could not start: {last.waits}"
    return f"the host could not start; see {paths.host_log}"


async def _listens(paths: LogPaths) -> bool:
    try:
        _, writer = await _open_connection(paths)
    except OSError:
        return False
    writer.close()
    return True


def _last_words(paths: LogPaths, began: int) -> str:
    """The newest line for a person in the host's log file since ``began`` (bytes; from the start if it was rotated)."""
    try:
        data = paths.host_log.read_bytes()
    except FileNotFoundError:
        return ""
    recent = data[began:] if began <= len(data) else data
    said = [line for line in recent.decode("utf-8", "replace").splitlines() if line.startswith(exit_codes.PREFIX)]
    return said[-1].removeprefix(exit_codes.PREFIX) if said else ""


def call_once(
    paths: LogPaths,
    params: protocol.Call[A],
    *,
    actor: str,
    start: bool = True,
    options: Sequence[str] = (),
    seconds: float = CALL_SECONDS,
) -> A:
    """Connect, make one call, hang up: for the command line, without a running loop.

    ``start``: start a host if none runs, with ``options``.
    A call whose connection breaks is repeated; its request id keeps it from being applied twice.
    """

    async def once() -> A:
        if start:
            await ensure_host(paths, *options)
        client = await HostClient.connect(paths, actor=actor, anyhow=isinstance(params, protocol.ANYHOW))
        try:
            return await client.call(params, seconds=None if params.method in protocol.SLOW else seconds)
        finally:
            await client.close()

    async def repeat_until_answer() -> A:
        for _ in range(TRIES - 1):
            with contextlib.suppress(ConnectionLost):
                return await once()
        return await once()

    return asyncio.run(repeat_until_answer())


def host_status(paths: LogPaths) -> protocol.HostStatus | None:
    """How the host is, None if none runs. Never starts one. Raises HostDown if one runs but does not answer."""
    if lock.holder(paths.lock) is None:
        return None
    return call_once(paths, protocol.Status(), actor="human:status", start=False, seconds=HELLO_SECONDS)


def wait_for_stop(paths: LogPaths, *, pid: int | None = None, seconds: float = 60.0) -> None:
    """Return once no host holds the log, or none with this ``pid``. Raises HostDown after ``seconds``.

    After ``StopHost(restart=True)`` give the pid of its answer: the watcher may have the next host up in no time.
    """
    deadline = time.monotonic() + seconds
    while (found := lock.holder(paths.lock)) is not None and pid in (None, found.pid):
        if time.monotonic() >= deadline:
            raise HostDown(f"the host (pid {found.pid}) still runs after {seconds:g} s; see {paths.host_log}")
        time.sleep(0.05)
