"""What contains a new session: what was wished for, settled against what this machine can do."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

import msgspec

from sessions.containment import bubblewrap, landlock
from sessions.containment.errors import SpaceError
from sessions.events import Containment

AUTO: Final = "auto"
"""The wish of who has none: the best that works here."""
LOCAL: Final = ("bwrap", "landlock")
"""Prefixes that this machine makes itself, the better one first."""
NONE: Final = "none"
REMOTE: Final = ("ssh", "docker exec", "podman exec", "apptainer exec")
"""How the command lines begin that lead to another side."""


def is_remote(inside: str) -> bool:
    """Whether a prefix is a command line that leads to another side."""
    words = inside.split()
    return bool(words) and (words[0] == "ssh" or " ".join(words[:2]) in REMOTE)


@functools.cache
def works_here() -> dict[str, str]:
    """Each prefix that this machine could make itself, with why it does not work here ("" where it does)."""
    return {"bwrap": bubblewrap.problem(), "landlock": landlock.problem()}


def settle(wish: Containment, *, workspace: Path, log: Path) -> Containment:
    """The containment of a new session. Raises SpaceError where the prefix that was named does not work here.

    >>> settle(Containment(inside="none"), workspace=Path("/w"), log=Path("/l")).inside
    'none'
    """
    if wish.inside == NONE or is_remote(wish.inside):
        return wish
    if wish.inside != AUTO and wish.inside not in LOCAL:
        raise SpaceError(f"there is no prefix {wish.inside!r}: there are auto, {', '.join((*LOCAL, NONE, *REMOTE))}")
    reasons = dict(works_here())
    if log.resolve().is_relative_to(workspace.resolve()):
        reasons = dict.fromkeys(LOCAL, f"the workspace {workspace} holds the log itself: choose another --log")
    if wish.inside != AUTO:
        if reasons[wish.inside]:
            raise SpaceError(f"nothing can be started inside {wish.inside}: {reasons[wish.inside]}")
        return wish
    for kind in LOCAL:
        if not reasons[kind]:
            better = [f"{one}: {reasons[one]}" for one in LOCAL[: LOCAL.index(kind)]]
            return msgspec.structs.replace(wish, inside=kind, why_not="; ".join(better))
    why = (
        "; ".join(f"{one}: {reason}" for one, reason in reasons.items())
        if len(set(reasons.values())) > 1
        else reasons[LOCAL[0]]
    )
    return msgspec.structs.replace(wish, inside=NONE, network="all", why_not=why)
