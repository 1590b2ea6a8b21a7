"""The feed: what the app may ask of log and host, and the messages that they answer with.

``live_feed`` is the one of a real log, and ``host_link`` its connection to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeVar

from textual.message import Message

from sessions.events import Event
from sessions.fold.summary import Summary
from sessions.hints import Remedy
from sessions.host import protocol
from sessions.log.reader import LogReader
from sessions.paths import LogPaths

T = TypeVar("T")
A = TypeVar("A")

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

    ``remedies`` say what to do about it (``acts.error_hints`` names the keys). ``kind``: a key of ``protocol.ERRORS``
    where the host refused it.
    """

    def __init__(self, message: str, *, cut: bool = False, remedies: Sequence[Remedy] = (), kind: str = "") -> None:
        super().__init__(message)
        self.cut = cut
        self.kind = kind
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
