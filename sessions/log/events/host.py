"""The host itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from sessions.log.events.base import Body


class HostStarted(Body, frozen=True, kw_only=True):
    """A host process opened the log for writing."""

    kind: ClassVar[str] = "host.started"
    pid: int
    boot_id: str
    version: str
    after: Literal["start", "crash", "restart", "reboot"] = "start"


class HostStopped(Body, frozen=True, kw_only=True):
    """The host closed the log in order; its sessions are held until a person resumes them, or go on at ``restart``."""

    kind: ClassVar[str] = "host.stopped"
    pid: int
    by: str = ""
    restart: bool = False
