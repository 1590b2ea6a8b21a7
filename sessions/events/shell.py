"""A person's shell in a session's workspace: when it was open, and which files are other ones since."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from sessions.events.base import Body, Seq


class ShellOpened(Body, frozen=True, kw_only=True):
    """A person opened a shell in the workspace; ``inside`` is what contains it, in words."""

    kind: ClassVar[str] = "shell.opened"
    inside: str


class TouchedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file that is another one than before. ``path`` is relative to the workspace."""

    path: str
    change: Literal["new", "changed", "removed"] = "changed"


class ShellClosed(Body, frozen=True, kw_only=True):
    """The shell that the event ``opened`` tells of has ended. ``files``: what changed in the workspace meanwhile, by
    whomever; ``more`` files are not named, and ``unknown`` says why others may be missing."""

    kind: ClassVar[str] = "shell.closed"
    opened: Seq
    files: tuple[TouchedFile, ...] = ()
    more: int = 0
    unknown: str = ""
    duration_ms: int = 0
