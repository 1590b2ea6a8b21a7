"""The feed of a real log: the log for all that happened, the host's socket (``host_link``) for live tokens and for
writing.

The log is read in one thread of its own, by short complete reads; long reads (counts, searches) have a second one.
The feed posts messages and touches no widget. Without a host it polls once a second, and keeps trying to connect.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from textual.message import Message

from apollo_tui.backend.feed import EventsArrived, LinkChanged, LinkState, Loaded, NotDone
from sessions.annotators import know_logins
from sessions.events import HostStarted
from sessions.fold.summary import Summary
from sessions.hints import Remedy
from sessions.host import protocol
from sessions.log.errors import LogError, LogMissing
from sessions.log.reader import LogReader
from sessions.paths import LogPaths

if TYPE_CHECKING:
    from apollo_tui.backend.host_link import HostLink

T = TypeVar("T")
A = TypeVar("A")

PAGE: Final = 500
POLL_S: Final = 1.0
PAINT_FIRST_S: Final = 0.2
"""What is in the log is on screen before the work of reaching the host begins."""
LOOK_S: Final = 0.2
"""So long the first screen waits for the log, to be painted with what is in it."""


class LiveFeed:
    """The feed of a real log. ``read_only``: never start a host and never write."""

    def __init__(self, paths: LogPaths, actor: str, *, read_only: bool = False) -> None:
        self.paths = paths
        self.actor = actor
        self.read_only = read_only
        self._post: Callable[[Message], object] = lambda _: None
        self._threads = {name: ThreadPoolExecutor(1, f"log-{name}") for name in ("read", "work")}
        self._readers: dict[str, LogReader] = {}
        self._log_grew = asyncio.Event()
        self._link: HostLink | None = None
        self._first_look = asyncio.Event()
        self._state: LinkState = "connecting"
        self._detail = ""
        self._last: tuple[LinkState, str, Sequence[Remedy]] = ("connecting", "", ())
        """What the link said last; it holds again when a log that could not be read can be read."""
        self._unreadable = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, post: Callable[[Message], object]) -> None:
        """Begin to read and to connect."""
        self._post = post
        self._tasks = [asyncio.create_task(self._follow_log(), name="follow log")]
        if self.read_only:
            self._report_link("read-only", "read-only")
        else:
            self._tasks.append(asyncio.create_task(self._keep_link_up(), name="hold link"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._first_look.wait()

    async def read(self, ask: Callable[[LogReader], T]) -> T:
        return await self._ask("read", ask)

    async def work(self, ask: Callable[[LogReader], T]) -> T:
        return await self._ask("work", ask)

    async def _ask(self, thread: str, ask: Callable[[LogReader], T]) -> T:
        def run() -> T:
            if thread not in self._readers:
                self._readers[thread] = LogReader(self.paths.log)
                know_logins(self._readers[thread].logins())
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
                self._report_unreadable(problem)
                await asyncio.sleep(POLL_S)
                continue
            self._report_readable()
            if events:
                position = events[-1].id
                know_logins(event.body.login for event in events if isinstance(event.body, HostStarted))
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
                self._first_look.set()
                await self._wait_for_more()
            except LogError as problem:
                self._first_look.set()
                self._report_unreadable(problem)
                await asyncio.sleep(POLL_S)
            else:
                self._first_look.set()
                self._report_readable()
                self._post(Loaded(summaries, position))
                return position

    async def _wait_for_more(self) -> None:
        linked = self._link is not None and self._link.connected.is_set()
        # Not wait_for: it swallows a cancellation that comes as the event is set, and hanging up does both.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if linked else POLL_S):
                await self._log_grew.wait()
        self._log_grew.clear()

    # --- the host -----------------------------------------------------------------------------------------------

    @property
    def _host(self) -> HostLink:
        if self._link is None:
            from apollo_tui.backend.host_link import HostLink  # loaded when what is in the log is on screen

            self._link = HostLink(self.paths, self.actor, self._post, self._report_link, self._log_grew)
        return self._link

    async def _keep_link_up(self) -> None:
        await self._first_look.wait()
        await asyncio.sleep(PAINT_FIRST_S)
        await self._host.keep_up()

    def _report_unreadable(self, problem: LogError) -> None:
        self._unreadable = True
        self._post_link("down", str(problem), problem.remedies)

    def _report_readable(self) -> None:
        if self._unreadable:
            self._unreadable = False
            self._post_link(*self._last)

    def _report_link(self, state: LinkState, detail: str = "", remedies: Sequence[Remedy] = ()) -> None:
        self._last = (state, detail, remedies)
        self._post_link(state, detail, remedies)

    def _post_link(self, state: LinkState, detail: str, remedies: Sequence[Remedy]) -> None:
        if state != self._state or detail or self._detail:
            self._state, self._detail = state, detail
            self._post(LinkChanged(state, detail, remedies))
