"""``:host``: start, stop, restart the background process, and say how it is."""

from __future__ import annotations

from typing import Final

from apollo_tui.backend.feed import STARTS, Feed, NotDone
from apollo_tui.state.board import BoardState
from sessions.config import ConfigError, load_config
from sessions.host import protocol

VERBS: Final = ("start", "stop", "restart", "status")


async def control_host(feed: Feed, state: BoardState, actor: str, verb: str) -> str:
    """Do one of ``VERBS`` for ``actor``, and return the receipt. Raises NotDone where it cannot be done."""
    if verb == "start":
        await feed.start_host()
        return "a host runs; sessions that a stop held wait until they are resumed"
    if verb == "status":
        status = await feed.call(protocol.Status())
        assert isinstance(status, protocol.HostStatus)
        return f"host pid {status.pid}, {len(status.sessions)} sessions, log {status.log}"
    if verb == "restart":
        try:
            load_config()
        except ConfigError as problem:
            raise NotDone(f"{problem}; a host that cannot read it would not come back") from problem
    await feed.call(protocol.StopHost(by=actor, restart=verb == "restart"))
    if verb == "restart":
        return "the host restarts at boundaries; sessions go on by themselves"
    if state.writable:
        return "the host stops at boundaries; sessions are held until a person resumes them"
    raise NotDone("no host is connected", remedies=[STARTS])
