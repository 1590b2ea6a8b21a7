"""The link of one app to the host of its log: requests and their answers, live tokens, and who else is there.

Loaded after the first paint; ``live_feed`` is its only owner.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from textual.message import Message

from apollo_tui.backend.feed import STARTS, ClientsChanged, DeltasArrived, NotDone
from sessions.errors import ApolloError
from sessions.hints import Remedy
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
from sessions.paths import LogPaths

A = TypeVar("A")

RETRY_S: Final = 1.0
CALL_S: Final = 30.0
RESEND_S: Final = 8.0
"""How long a request that was cut off waits for the host to come back, to be sent again under the same id."""


class HostLink:
    """One connection at a time. ``report`` hears of its state, ``log_grew`` is set when the log may hold more."""

    def __init__(
        self,
        paths: LogPaths,
        actor: str,
        post: Callable[[Message], object],
        report: Callable[..., None],
        log_grew: asyncio.Event,
    ) -> None:
        self._paths = paths
        self._actor = actor
        self._post = post
        self._report = report
        self._log_grew = log_grew
        self._client: HostClient | None = None
        self.connected = asyncio.Event()

    async def call(self, params: protocol.Call[A]) -> A:
        """A request to the host. One that is cut off is sent again under the same id when the host is back."""
        of_any_protocol = isinstance(params, protocol.ANYHOW)
        if self._client is None and of_any_protocol:
            return await self._ask_any_protocol(params)
        if self._client is None:
            raise NotDone("no host is connected: nothing was sent", remedies=[STARTS])
        seconds = None if params.method in protocol.SLOW else CALL_S
        deadline = asyncio.get_running_loop().time() + RESEND_S
        while True:
            client = await self._connection(deadline)
            try:
                return await client.call(params, seconds=seconds)
            except RequestRefused as refused:
                raise NotDone(str(refused), remedies=refused.remedies, kind=refused.kind) from refused
            except ConnectionLost as lost:
                self.connected.clear()
                if not isinstance(params, protocol.Change):
                    raise NotDone(str(lost), cut=True) from lost
            except HostDown as slow:
                raise NotDone(str(slow), cut=True) from slow

    async def _ask_any_protocol(self, params: protocol.Call[A]) -> A:
        """What also a host of another protocol answers, on a connection of its own."""
        try:
            return await asyncio.to_thread(call_once, self._paths, params, actor=self._actor, start=False)
        except ApolloError as problem:
            raise NotDone(str(problem), remedies=problem.remedies) from problem

    async def _connection(self, deadline: float) -> HostClient:
        """The connection that stands, at the latest at ``deadline`` (loop time)."""
        try:
            async with asyncio.timeout_at(deadline):
                await self.connected.wait()
        except TimeoutError as late:
            raise NotDone("the host went away before it answered: send again", cut=True) from late
        assert self._client is not None
        return self._client

    async def active(self, idle_ms: int) -> None:
        """Tell the host that somebody looks, if there is one."""
        if self._client is not None and self.connected.is_set():
            # An older host does not know the call, and one that goes away learns it from the next key.
            with contextlib.suppress(HostDown, ConnectionLost, RequestRefused):
                await self._client.call(protocol.Active(idle_ms=idle_ms), seconds=CALL_S)

    async def start(self) -> None:
        """Start a host for this log. Raises NotDone."""
        try:
            await ensure_host(self._paths)
        except ApolloError as problem:
            raise NotDone(str(problem), remedies=problem.remedies) from problem
        except OSError as problem:
            raise NotDone(str(problem)) from problem

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def keep_up(self) -> None:
        """Start a host if none runs, connect, and connect again whenever the link is lost. Ends only when cancelled."""
        try:
            await self.start()
        except NotDone as problem:
            self._report("down", str(problem), problem.remedies)
        while True:
            try:
                client = await HostClient.connect(self._paths, actor=self._actor, client="app")
            except Mismatch as other:
                self._report("mismatch", str(other), other.remedies)
            except HostDown as problem:
                self._report("down", f"read-only, reconnecting · {problem}", problem.remedies)
            else:
                await self._follow_host(client)
            await asyncio.sleep(RETRY_S)

    def _report_waits(self, waits: str, other: str, remedies: Sequence[Remedy]) -> None:
        """The link stands; say what the host waits for, else in what it differs from us."""
        if waits:
            self._report("up", f"the host waits: {waits}")
        else:
            self._report("up", other, remedies)

    async def _follow_host(self, client: HostClient) -> None:
        try:
            known = await client.call(protocol.Subscribe(deltas=("*",)))
            self._post(DeltasArrived(known.frames))
            self._post(ClientsChanged(known.clients))
            self._client = client
            self.connected.set()
            self._log_grew.set()
            other = client.welcome.mismatch
            remedies = [RESTART] if other else ()
            self._report_waits(known.waits, other, remedies)
            async for note in client.notifications():
                if isinstance(note, protocol.DeltaFrame):
                    self._post(DeltasArrived([note]))
                elif isinstance(note, protocol.Clients):
                    self._post(ClientsChanged(note.clients))
                elif isinstance(note, protocol.Waits):
                    self._report_waits(note.waits, other, remedies)
                else:
                    self._log_grew.set()
        except (HostDown, RequestRefused):
            pass  # said below: the link is down whatever ended it
        finally:
            self.connected.clear()
            self._log_grew.set()
            self._report("down", "read-only, reconnecting")
            await client.close()
