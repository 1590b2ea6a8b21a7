"""Where the app's data comes from: the log for all that happened, the host's socket for live tokens and for writing.

The log is read in one thread of its own, by short complete reads; long reads (counts, searches) have a second one.
The feed posts messages and touches no widget. Without a host it polls once a second, and keeps trying to connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeVar

from textual.message import Message

from sessions.errors import ApolloError
from sessions.fold.summary import Summary
from sessions.host import protocol
from sessions.host.client import (
    RESTART,
    ConnectionLost,
    HostClient,
    HostDown,
    Mismatch,
    RequestRefused,
    call_once,
    ensure_host,
)
from sessions.log.errors import LogError, LogMissing
from sessions.log.events import Event
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.remedy import Remedy

T = TypeVar("T")

PAGE: Final = 500
POLL_S: Final = 1.0
PAINT_FIRST_S: Final = 0.2
"""What is in the log is on screen before the work of reaching the host begins."""
CALL_S: Final = 30.0
RESEND_S: Final = 8.0
"""How long a request that was cut off waits for the host to come back, to be sent again under the same id."""

STARTS: Final = Remedy("start_host", "starts one")

LinkState = Literal["connecting", "up", "down", "mismatch", "read-only"]


class Loaded(Message):
    """The log was read for the first time: all summaries, up to ``position``."""

    def __init__(self, summaries: Sequence[Summary], position: int) -> None:
        super().__init__()
        self.summaries = summaries
        self.position = position


class EventsArrived(Message):
    """New events, in order; each is posted once."""

    def __init__(self, events: Sequence[Event]) -> None:
        super().__init__()
        self.events = events


class DeltasArrived(Message):
    """Frames of replies that are streaming."""

    def __init__(self, frames: Sequence[protocol.DeltaFrame]) -> None:
        super().__init__()
        self.frames = frames


class ClientsChanged(Message):
    """Who is attached to the host now, command lines included."""

    def __init__(self, clients: Sequence[protocol.ClientInfo]) -> None:
        super().__init__()
        self.clients = tuple(clients)


class LinkChanged(Message):
    """The link to the host changed; ``detail`` is one line, "" if all is well, ``remedies`` what to do about it."""

    def __init__(self, state: LinkState, detail: str = "", remedies: Sequence[Remedy] = ()) -> None:
        super().__init__()
        self.state = state
        self.detail = detail
        self.remedies = tuple(remedies)


class NotDone(Exception):
    """A request was not done; the text is one line for a person. ``cut``: nobody knows, repeat with the same id.

    ``remedies`` say what to do about it (apollo_tui/remedies.py names the keys).
    """

    def __init__(self, message: str, *, cut: bool = False, remedies: Sequence[Remedy] = ()) -> None:
        super().__init__(message)
        self.cut = cut
        self.remedies = tuple(remedies)


class Feed(Protocol):
    """What screens may ask of the world outside. Tests give the app another one."""

    paths: LogPaths
    actor: str

    async def start(self, post: Callable[[Message], object]) -> None:
        """Begin to read and to post; returns when the first messages are on their way."""
        ...

    async def read(self, ask: Callable[[LogReader], T]) -> T:
        """One short read in the reading thread. Raises LogError."""
        ...

    async def work(self, ask: Callable[[LogReader], T]) -> T:
        """A read that may take long, beside the short ones. Raises LogError."""
        ...

    async def call(self, params: protocol.Call) -> Any:
        """A request to the host; the answer is given after its event is on disk. Raises NotDone."""
        ...

    async def active(self, idle_ms: int) -> None:
        """Tell the host that a key was pressed here ``idle_ms`` ago; nothing is said if it cannot be told."""
        ...

    async def start_host(self) -> None:
        """Start a host for this log. Raises NotDone."""
        ...

    async def close(self) -> None:
        """Stop reading and hang up. Sessions go on."""
        ...


class LiveFeed:
    """The feed of a real log. ``read_only``: never start a host and never write."""

    def __init__(self, paths: LogPaths, actor: str, *, read_only: bool = False) -> None:
        self.paths = paths
        self.actor = actor
        self.read_only = read_only
        self._post: Callable[[Message], object] = lambda _: None
        self._threads = {name: ThreadPoolExecutor(1, f"log-{name}") for name in ("read", "work")}
        self._readers: dict[str, LogReader] = {}
        self._grew = asyncio.Event()
        self._client: HostClient | None = None
        self._connected = asyncio.Event()
        self._looked = asyncio.Event()
        self._state: LinkState = "connecting"
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, post: Callable[[Message], object]) -> None:
        """Begin to read and to connect."""
        self._post = post
        self._tasks = [asyncio.create_task(self._follow_log(), name="follow log")]
        if self.read_only:
            self._say("read-only", "read-only")
        else:
            self._tasks.append(asyncio.create_task(self._hold_link(), name="hold link"))

    async def read(self, ask: Callable[[LogReader], T]) -> T:
        """One short read in the reading thread."""
        return await self._ask("read", ask)

    async def work(self, ask: Callable[[LogReader], T]) -> T:
        """A long read in a thread of its own."""
        return await self._ask("work", ask)

    async def _ask(self, thread: str, ask: Callable[[LogReader], T]) -> T:
        def run() -> T:
            if thread not in self._readers:
                self._readers[thread] = LogReader(self.paths.log)
            return ask(self._readers[thread])

        return await asyncio.get_running_loop().run_in_executor(self._threads[thread], run)

    async def call(self, params: protocol.Call) -> Any:
        """A request to the host. One that is cut off is sent again under the same id when the host is back."""
        if self.read_only:
            raise NotDone("this window is read-only")
        if self._client is None and isinstance(params, protocol.ANYHOW):
            return await self._ask_stranger(params)
        if self._client is None:
            raise NotDone("no host is connected: nothing was sent", remedies=[STARTS])
        seconds = None if params.method in protocol.SLOW else CALL_S
        deadline = asyncio.get_running_loop().time() + RESEND_S
        while True:
            client = await self._connection(deadline)
            try:
                return await client.call(params, seconds=seconds)
            except RequestRefused as refused:
                raise NotDone(str(refused), remedies=refused.remedies) from refused
            except ConnectionLost as lost:
                self._connected.clear()
                if not isinstance(params, protocol.Change):
                    raise NotDone(str(lost), cut=True) from lost
            except HostDown as slow:
                raise NotDone(str(slow), cut=True) from slow

    async def _ask_stranger(self, params: protocol.Call) -> Any:
        """What also a host of another protocol answers, on a connection of its own."""
        try:
            return await asyncio.to_thread(call_once, self.paths, params, actor=self.actor, start=False)
        except ApolloError as problem:
            raise NotDone(str(problem), remedies=problem.remedies) from problem

    async def _connection(self, deadline: float) -> HostClient:
        """The connection that stands, at the latest at ``deadline`` (loop time)."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._connected.wait()
        except TimeoutError as late:
            raise NotDone("the host went away before it answered: send again", cut=True) from late
        assert self._client is not None
        return self._client

    async def active(self, idle_ms: int) -> None:
        """Tell the host that somebody looks, if there is one."""
        if self._client is not None and self._connected.is_set():
            # An older host does not know the call, and one that goes away learns it from the next key.
            with contextlib.suppress(HostDown, ConnectionLost, RequestRefused):
                await self._client.call(protocol.Active(idle_ms=idle_ms), seconds=CALL_S)

    async def start_host(self) -> None:
        """Start a host for this log."""
        if self.read_only:
            raise NotDone("this window is read-only: leave it and open `apollo` without --read-only")
        try:
            await ensure_host(self.paths)
        except ApolloError as problem:
            raise NotDone(str(problem), remedies=problem.remedies) from problem
        except OSError as problem:
            raise NotDone(str(problem)) from problem

    async def close(self) -> None:
        """Stop reading and hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()
        for name, thread in self._threads.items():
            reader = self._readers.pop(name, None)
            if reader is not None:
                thread.submit(reader.close)
            thread.shutdown(wait=False)

    # --- the log ------------------------------------------------------------------------------------------------

    async def _follow_log(self) -> None:
        position = await self._first_read()
        while True:
            try:
                events = await self.read(partial(LogReader.since, position=position, limit=PAGE))
            except LogError as problem:
                self._say("down", str(problem), problem.remedies)
                await asyncio.sleep(POLL_S)
                continue
            if events:
                position = events[-1].id
                self._post(EventsArrived(events))
            if len(events) < PAGE:
                await self._wait_for_more()

    async def _first_read(self) -> int:
        def ask(reader: LogReader) -> tuple[int, list[Summary]]:
            return reader.position(), reader.summaries()

        while True:
            try:
                position, summaries = await self.read(ask)
            except LogMissing:
                self._looked.set()
                await self._wait_for_more()
            except LogError as problem:
                self._looked.set()
                self._say("down", str(problem), problem.remedies)
                await asyncio.sleep(POLL_S)
            else:
                self._looked.set()
                self._post(Loaded(summaries, position))
                return position

    async def _wait_for_more(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._grew.wait(), None if self._connected.is_set() else POLL_S)
        self._grew.clear()

    # --- the host -----------------------------------------------------------------------------------------------

    async def _hold_link(self) -> None:
        await self._looked.wait()
        await asyncio.sleep(PAINT_FIRST_S)
        try:
            await self.start_host()
        except NotDone as problem:
            self._say("down", str(problem), problem.remedies)
        while True:
            try:
                client = await HostClient.connect(self.paths, actor=self.actor, client="app")
            except Mismatch as other:
                self._say("mismatch", str(other), other.remedies)
            except HostDown as problem:
                self._say("down", f"read-only, reconnecting · {problem}", problem.remedies)
            else:
                await self._stay(client)
            await asyncio.sleep(POLL_S)

    async def _stay(self, client: HostClient) -> None:
        try:
            known = await client.call(protocol.Subscribe(deltas=("*",)))
            self._post(DeltasArrived(known.frames))
            self._post(ClientsChanged(known.clients))
            self._client = client
            self._connected.set()
            self._grew.set()
            other = client.welcome.mismatch
            self._say("up", other, [RESTART] if other else ())
            async for note in client.notifications():
                if isinstance(note, protocol.DeltaFrame):
                    self._post(DeltasArrived([note]))
                elif isinstance(note, protocol.Clients):
                    self._post(ClientsChanged(note.clients))
                else:
                    self._grew.set()
        except (HostDown, RequestRefused):
            pass  # said below: the link is down whatever ended it
        finally:
            self._connected.clear()
            self._grew.set()
            self._say("down", "read-only, reconnecting")
            await client.close()

    def _say(self, state: LinkState, detail: str = "", remedies: Sequence[Remedy] = ()) -> None:
        if state != self._state or detail:
            self._state = state
            self._post(LinkChanged(state, detail, remedies))
