"""What the host tells its clients unasked: that the log grew, frames of replies under way, and who is attached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sessions.events import Event
from sessions.host import wire
from sessions.host.partial_replies import Cursor, PartialReplies
from sessions.host.protocol import Changed, ClientInfo, Clients, Subscribed, Waits
from sessions.providers.base import Delta

CHANGED_SECONDS: Final = 0.05
FRAME_SECONDS: Final = 0.1
REPLY_ENDS: Final = frozenset({"model.reply", "model.interrupted", "model.attempt_failed"})


class Peer(Protocol):
    """An attached client, as far as notifications need it."""

    @property
    def info(self) -> ClientInfo:
        """Who it is."""
        ...

    @property
    def congested(self) -> bool:
        """Whether it has not yet taken what it was sent."""
        ...

    def send(self, line: bytes) -> None:
        """Put a line into its buffer; never waits."""
        ...


class Throttle:
    """Runs an action soon after a poke, at most once per ``seconds``; again later while it says that work is left."""

    def __init__(self, seconds: float, action: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._action = action
        self._handle: asyncio.TimerHandle | None = None
        self._last = float("-inf")

    def poke(self) -> None:
        """There is something to do."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(max(0.0, self._last + self._seconds - loop.time()), self._run)

    def close(self) -> None:
        """Nothing more will run."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        self._handle = None
        self._last = asyncio.get_running_loop().time()
        if self._action():
            self.poke()


class _Subscriber:
    def __init__(self) -> None:
        self.subscribed = False
        self.cursor = Cursor()
        self.position = 0
        self.clients_known = False
        self.waits_known = True


class Notifications:
    """Keeps, per client, only how far it has been told; what it missed while it was slow is caught up in one go."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        self.partials = PartialReplies()
        self.waits = ""
        """What the host waits for."""
        self._peers: dict[Peer, _Subscriber] = {}
        self._changed = Throttle(CHANGED_SECONDS, self._send_changes)
        self._frames = Throttle(FRAME_SECONDS, self._send_frames)

    def delta(self, session: str, step: int, attempt: int, delta: Delta) -> None:
        """The agent's side: a piece of a reply came in."""
        self.partials.add(session, step, attempt, delta)
        if self._peers:
            self._frames.poke()

    def on_commit(self, events: Sequence[Event]) -> None:
        """The writer's side: these events are in the log."""
        for event in events:
            self.position = max(self.position, event.id)
            if event.kind in REPLY_ENDS:
                self.partials.clear(event.session)
        self._changed.poke()

    def attach(self, peer: Peer) -> None:
        """A client said hello."""
        self._peers[peer] = _Subscriber()
        self._announce_clients()

    def detach(self, peer: Peer) -> None:
        """A client is gone."""
        if self._peers.pop(peer, None) is not None:
            self._announce_clients()

    def clients(self) -> tuple[ClientInfo, ...]:
        """Who is attached, in the order of their coming."""
        return tuple(peer.info for peer in self._peers)

    def active_at(self) -> int:
        """When a person last pressed a key in an attached app (Unix ms), 0: never, or nobody is there."""
        return max((peer.info.active_at for peer in self._peers if peer.info.client == "app"), default=0)

    def tell_waits(self, waits: str) -> None:
        """The host waits for this now, for nothing if it is empty."""
        if waits != self.waits:
            self.waits = waits
            for subscriber in self._peers.values():
                subscriber.waits_known = False
            self._changed.poke()

    def subscribe(self, peer: Peer, deltas: Sequence[str]) -> Subscribed:
        """Begin to tell ``peer``; the replies so far are in the answer."""
        subscriber = self._peers[peer]
        subscriber.subscribed = True
        subscriber.cursor = Cursor(deltas)
        subscriber.position = self.position
        subscriber.clients_known = subscriber.waits_known = True
        return Subscribed(
            position=self.position,
            frames=tuple(self.partials.frames(subscriber.cursor)),
            clients=self.clients(),
            waits=self.waits,
        )

    def close(self) -> None:
        """Stop telling."""
        self._changed.close()
        self._frames.close()

    def _announce_clients(self) -> None:
        for subscriber in self._peers.values():
            subscriber.clients_known = False
        self._changed.poke()

    def _send_changes(self) -> bool:
        left = False
        for peer, subscriber in self._peers.items():
            behind = subscriber.position < self.position
            if not subscriber.subscribed or (not behind and subscriber.clients_known and subscriber.waits_known):
                continue
            if peer.congested:
                left = True
                continue
            if behind:
                subscriber.position = self.position
                peer.send(wire.notification("changed", Changed(self.position)))
            if not subscriber.clients_known:
                subscriber.clients_known = True
                peer.send(wire.notification("clients", Clients(self.clients())))
            if not subscriber.waits_known:
                subscriber.waits_known = True
                peer.send(wire.notification("waits", Waits(self.waits)))
        return left

    def _send_frames(self) -> bool:
        left = False
        for peer, subscriber in self._peers.items():
            if not subscriber.subscribed:
                continue
            if peer.congested:
                left = True
                continue
            for frame in self.partials.frames(subscriber.cursor):
                peer.send(wire.notification("delta", frame))
        return left
