"""What contains a new session: what was wished for, settled against what this machine can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from sessions.containment import bubblewrap, landlock
from sessions.containment.errors import SpaceError
from sessions.events import Containment, SpaceLimits
from sessions.events.session import MADE_HERE

AUTO: Final = "auto"
"""The wish of who has none: the best that works here."""
LOCAL: Final = MADE_HERE
NONE: Final = "none"
REMOTE: Final = ("ssh", "docker exec", "podman exec", "apptainer exec")
"""How the command lines begin that lead to another side."""
BESIDE_LOG: Final = re.compile(r"-wal|-shm|-journal|\.lock|\.v\d+\.bak")
"""How names go on, after the log's own, of files that hold what it holds or guard it."""


def is_remote(inside: str) -> bool:
    """Whether a prefix is a command line that leads to another side."""
    words = inside.split()
    return bool(words) and (words[0] == "ssh" or " ".join(words[:2]) in REMOTE)


_worked: set[str] = set()
"""What was found to work here once; what did not is tried again: a host lives longer than a full table of processes."""


def works_here() -> dict[str, str]:
    """Each prefix that this machine could make itself, with why it does not work here ("" where it does)."""
    if "bwrap" not in _worked and not (problem := bubblewrap.problem()):
        _worked.add("bwrap")
    return {"bwrap": "" if "bwrap" in _worked else problem, "landlock": landlock.problem()}


def settle(wish: Containment, *, workspace: Path, log: Path, private: Mapping[str, Path] | None = None) -> Containment:
    """The containment of a new session. Raises SpaceError where what was named cannot be had here.

    ``private``: what else no agent may have, by what it is called.

    >>> settle(Containment(inside="none"), workspace=Path("/w"), log=Path("/l")).words
    'not contained'
    """
    if wish.inside == NONE:
        return msgspec.structs.replace(wish, network="all")
    if is_remote(wish.inside):
        return _settle_there(wish)
    if wish.inside != AUTO and wish.inside not in LOCAL:
        raise SpaceError(f"there is no prefix {wish.inside!r}: there are auto, {', '.join((*LOCAL, NONE, *REMOTE))}")
    reasons = dict(works_here())
    if holds := _what_is_given_away(wish, workspace, log, private):
        reasons = dict.fromkeys(LOCAL, holds)
    elif not reasons["landlock"] and wish.network == "off":
        reasons["landlock"] = landlock.network_problem()
    if wish.inside != AUTO:
        if reasons[wish.inside]:
            raise SpaceError(f"nothing can be started inside {wish.inside}: {reasons[wish.inside]}")
        return _settle_here(wish, wish.inside)
    for kind in LOCAL:
        if not reasons[kind]:
            return _settle_here(wish, kind, *(f"{one}: {reasons[one]}" for one in LOCAL[: LOCAL.index(kind)]))
    why = (
        "; ".join(f"{one}: {reason}" for one, reason in reasons.items())
        if len(set(reasons.values())) > 1
        else reasons[LOCAL[0]]
    )
    if wish.network == "off":
        raise SpaceError(f"the network cannot be turned off here: {why}; without that, say --network all")
    return msgspec.structs.replace(wish, inside=NONE, network="all", why_not=why)


def _what_is_given_away(wish: Containment, workspace: Path, log: Path, private: Mapping[str, Path] | None) -> str:
    """Why commands that may touch the workspace, ``read`` and ``write`` would not be contained; "" if they would."""
    log = log.resolve()
    folder = log.with_name(f"{log.name}.d")
    given = {f"the workspace {workspace}": workspace, **{f"read = {path}": Path(path) for path in wish.read}}
    given |= {f"write = {path}": Path(path) for path in wish.write}
    for name, path in given.items():
        place = path.expanduser().resolve()
        if log.is_relative_to(place):
            return f"{name} holds the log{' itself: choose another --log' if path == workspace else ''}"
        if place.parent == log.parent and BESIDE_LOG.fullmatch(place.name.removeprefix(log.name)):
            return f"{name} is of the log"
        if place.is_relative_to(folder) or folder.is_relative_to(place):
            inside = place.relative_to(folder).parts if place.is_relative_to(folder) else ()
            if path != workspace or inside[:1] != ("sessions",) or inside[2:3] != ("workspace",):
                return f"{name} holds what sessions keep beside the log ({folder})"
        for what, secret in (private or {}).items():
            if secret.expanduser().resolve().is_relative_to(place):
                return f"{name} holds {what} ({secret})"
    return ""


def _settle_here(wish: Containment, kind: str, *better: str) -> Containment:
    """``wish`` inside ``kind``, which works here; ``better``: why nothing better does."""
    if kind != "landlock":
        return msgspec.structs.replace(wish, inside=kind, network=wish.network or "off", why_not="; ".join(better))
    off = wish.network != "all"
    trouble = landlock.network_problem() if off else ""
    return msgspec.structs.replace(
        wish,
        inside=kind,
        network="off" if off and not trouble else "all",
        why_not="; ".join((*better, *([trouble] if trouble else ()))),
        open=landlock.left_open(),
    )


def _settle_there(wish: Containment) -> Containment:
    """``wish`` on another side, where nothing of ours turns the network off or limits a command."""
    if wish.network == "off":
        raise SpaceError(
            f"{wish.inside} leads to another side, whose network Apollo cannot turn off: "
            "say --network all, and have it turned off there"
        )
    why = "the limits of the config do not hold on another side" if wish.limits != SpaceLimits() else ""
    return msgspec.structs.replace(wish, network="all", limits=SpaceLimits(), why_not=why)
