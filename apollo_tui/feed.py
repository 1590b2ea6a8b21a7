"""Where the app's data comes from: the log for all that happened, the host's socket (``host_link``) for live tokens
and for writing.

The log is read in one thread of its own, by short complete reads; long reads (counts, searches) have a second one.
The feed posts messages and touches no widget. Without a host it polls once a second, and keeps trying to connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from textual.message import Message

from sessions.fold.summary import Summary
from sessions.host import protocol
from sessions.log.errors import LogError, LogMissing
from sessions.log.events import Event
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.remedy import Remedy

if TYPE_CHECKING:
    from apollo_tui.host_link import HostLink

T = TypeVar("T")
A = TypeVar("A")

PAGE: Final = 500
POLL_S: Final = 1.0
PAINT_FIRST_S: Final = 0.2
"""What is in the log is on screen before the work of reaching the host begins."""
LOOK_S: Final = 0.2
"""So long the first screen waits for the log, to be painted with what is in it."""

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

    async def call(self, params: protocol.Call[A]) -> A:
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
        self._link: HostLink | None = None
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
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._looked.wait()

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

    async def call(self, params: protocol.Call[A]) -> A:
        """A request to the host. One that is cut off is sent again under the same id when the host is back."""
        if self.read_only:
            raise NotDone("this window is read-only")
        return await self._host.call(params)

    async def active(self, idle_ms: int) -> None:
        """Tell the host that somebody looks, if there is one."""
        if self._link is not None:
            await self._link.active(idle_ms)

    async def start_host(self) -> None:
        """Start a host for this log."""
        if self.read_only:
            raise NotDone("this window is read-only: leave it and open `apollo` without --read-only")
        await self._host.start()

    async def close(self) -> None:
        """Stop reading and hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
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
        linked = self._link is not None and self._link.connected.is_set()
        # Not wait_for: it swallows a cancellation that comes as the event is set, and hanging up does both.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if linked else POLL_S):
                await self._grew.wait()
        self._grew.clear()

    # --- the host -----------------------------------------------------------------------------------------------

    @property
    def _host(self) -> HostLink:
        if self._link is None:
            from apollo_tui.host_link import HostLink  # loaded when what is in the log is on screen

            self._link = HostLink(self.paths, self.actor, self._post, self._say, self._grew)
        return self._link

    async def _hold_link(self) -> None:
        await self._looked.wait()
        await asyncio.sleep(PAINT_FIRST_S)
        await self._host.hold()

    def _say(self, state: LinkState, detail: str = "", remedies: Sequence[Remedy] = ()) -> None:
        if state != self._state or detail:
            self._state = state
            self._post(LinkChanged(state, detail, remedies))
