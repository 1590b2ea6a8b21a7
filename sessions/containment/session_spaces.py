"""Which space a session and its scorer get, by what the session's first event says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sessions.containment.choice import is_remote
from sessions.containment.control_groups import ControlGroup
from sessions.containment.errors import SpaceError
from sessions.containment.keeper import SPACE
from sessions.containment.remote_space import RemoteSpace
from sessions.containment.spaces import BubblewrapSpace, LandlockSpace, Space, Touchable
from sessions.events import Containment

MEGABYTE: Final = 1_000_000


def session_space(
    contained: Containment | None, folder: Path, workspace: Path, *, endpoint: int | None = None
) -> Space:
    """The space of a session whose own folder is ``folder``: its workspace and its jobs can be written, no more.

    ``endpoint``: the port at which a model endpoint of the session's own is reached.
    """
    if contained is not None and is_remote(contained.inside):
        in_place = str(workspace) if contained.there else None
        trees = {} if in_place else {workspace: "workspace"}
        return RemoteSpace(contained.inside, folder.name, folder / SPACE, trees, in_place=in_place)
    return _space(contained, folder.name, folder / SPACE, write=(workspace, folder / "jobs"), endpoint=endpoint)


def scoring_space(contained: Containment | None, folder: Path, place: Path, copy: Path, scorer: Path) -> Space:
    """The space of one evaluation at ``place``: the workspace's copy can be written, the scorer's files be read."""
    if contained is not None and is_remote(contained.inside):
        return RemoteSpace(
            contained.inside,
            f"{folder.name}/scoring/{place.name}",
            place / SPACE,
            {copy: "workspace", scorer: "scorer"},
        )
    name = f"{folder.name}-scoring-{place.name}"
    return _space(contained, name, place / SPACE, write=(copy, folder / "evaluations"), read=(scorer,))


def _space(
    contained: Containment | None,
    name: str,
    place: Path,
    write: tuple[Path, ...],
    read: tuple[Path, ...] = (),
    endpoint: int | None = None,
) -> Space:
    if contained is None:
        return Space()
    limits = _limits(contained)
    group = ControlGroup.plan(f"apollo-{name}", limits)
    if contained.inside == "none":
        return Space(limits, group)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in write:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    touchable = Touchable(
        write=(*write, *(Path(path).expanduser() for path in contained.write)),
        read=(*read, *(Path(path).expanduser() for path in contained.read)),
        network="all" if contained.network == "all" else "off",
        limits=limits,
        group=group,
        endpoint=endpoint,
    )
    match contained.inside:
        case "bwrap":
            return BubblewrapSpace(place, touchable)
        case "landlock":
            return LandlockSpace(place, touchable)
    raise SpaceError(f"there is no prefix {contained.inside!r}")


def _limits(contained: Containment) -> dict[str, int]:
    limits = contained.limits
    return {
        "processes": limits.processes,
        "memory": limits.memory_mb * MEGABYTE,
        "file_size": limits.file_mb * MEGABYTE,
        "open_files": limits.open_files,
    }
