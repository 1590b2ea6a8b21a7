"""``:host``: start, stop, restart the background process, and say how it is."""

from __future__ import annotations

from typing import Final

from apollo_tui.desk import Desk
from apollo_tui.feed import STARTS, NotDone
from sessions.config import ConfigError, load_config
from sessions.host import protocol

VERBS: Final = ("start", "stop", "restart", "status")


async def host(desk: Desk, verb: str) -> str:
    """Do it, and return the receipt."""
    if verb == "start":
        await desk.feed.start_host()
        return "a host runs; sessions that a stop held wait until they are resumed"
    if verb == "status":
        status = await desk.feed.call(protocol.Status())
        assert isinstance(status, protocol.HostStatus)
        return f"host pid {status.pid}, {len(status.sessions)} sessions, log {status.log}"
    if verb == "restart":
        try:
            load_config()
        except ConfigError as problem:
            raise NotDone(f"{problem}; a host that cannot read it would not come back") from problem
    await desk.feed.call(protocol.StopHost(by=desk.actor, restart=verb == "restart"))
    if verb == "restart":
        return "the host restarts at boundaries; sessions go on by themselves"
    if desk.state.writable:
        return "the host stops at boundaries; sessions are held until a person resumes them"
    raise NotDone("no host is connected", remedies=[STARTS])
