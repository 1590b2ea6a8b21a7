"""The space of a session: where its commands and file tools act. One class per kind of prefix that this machine makes
itself; helpers of ours (holders of jobs, readers of files) are started through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import sessions
from sessions import processes
from sessions.containment import bubblewrap, landlock_keeper, relay
from sessions.containment.control_groups import ControlGroup
from sessions.containment.errors import SpaceError
from sessions.containment.keeper import UNATTENDED, Keeper
from sessions.containment.system_files import SECRET_FOLDERS, SECRETS, accelerators, system_paths

Network = Literal["off", "all"]
ENDPOINT: Final = "endpoint.socket"

PACKAGE_ROOT: Final = str(Path(sessions.__file__).resolve().parents[1])


DIRECT: Final = (
    "import sys, importlib; sys.path.append(sys.argv[1]); importlib.import_module(sys.argv[2]).main(*sys.argv[3:])"
)
"""Run isolated, without site packages, and with our own package last on the path: nothing of the user's is imported."""
ENTERING: Final = (
    "import sys; sys.path.append(sys.argv[1]); from sessions.containment.entry import main; main(*sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class Touchable:
    """What the commands of a space may touch, besides the system, which they read."""

    write: tuple[Path, ...]
    read: tuple[Path, ...] = ()
    network: Network = "all"
    limits: Mapping[str, int] = field(default_factory=dict)
    """``processes``, ``memory`` and ``file_size`` (bytes), ``open_files``; what is not named is not limited."""
    group: ControlGroup | None = None
    """What limits all commands together, where there is such a thing."""
    endpoint: int | None = None
    """The port of 127.0.0.1 at which a model endpoint is reached, also with the network off."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a job's holder starts its command: in which folder, with which environment."""

    argv: list[str]
    cwd: str
    env: dict[str, str]


def shell() -> str:
    """What commands are run by."""
    return shutil.which("bash") or "/bin/sh"


class Space:
    """No space at all: commands run as the host's own user, with all that is his. Base of the others."""

    kind = "none"
    contains_holders = False
    """Whether the holders of jobs run among the commands, which could speak in their place."""

    def __init__(self, limits: Mapping[str, int] | None = None, group: ControlGroup | None = None) -> None:
        self.limits = {name: value for name, value in (limits or {}).items() if value}
        self._group = group
        self._known_hits: dict[str, int] | None = None

    async def open(self) -> None:
        """Make the space unless it is there, also by an earlier host. Raises SpaceError."""
        if self._group is not None and self._known_hits is None:
            await asyncio.to_thread(self._open_group, self._group)

    def new_hits(self) -> list[str]:
        """Which of ``processes`` and ``memory`` the commands met since this was asked last, where it is counted."""
        hits = {} if self._group is None else self._group.hits()
        known, self._known_hits = self._known_hits or {}, hits
        return [name for name, number in hits.items() if number > known.get(name, 0)]

    def helper(self, module: str, *arguments: str, detach: bool = False) -> list[str]:
        """The command line that runs ``main(*arguments)`` of a module of ours, stdlib only, inside.

        ``detach``: nobody waits for it; the module's ``main`` is also told ``who`` it is to those outside.
        """
        if self.limits:
            return self._entering({"kind": "limits", "detach": detach}, module, arguments)
        return [sys.executable, "-I", "-S", "-c", DIRECT, PACKAGE_ROOT, module, *arguments]

    def helper_env(self) -> dict[str, str]:
        """The environment that a helper is started with."""
        return {"LC_ALL": "C.UTF-8"}

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """``env`` as it is inside."""
        return dict(env)

    def start_of(self, command: str, cwd: Path, env: Mapping[str, str], job: str) -> Start:
        """How ``command`` is started as ``job``, a name that no other of the session has."""
        return Start([shell(), "-c", command], str(cwd), self.environment(env))

    def place_of(self, path: Path) -> str:
        """Where ``path`` is inside."""
        return str(path)

    async def pull(self, workspace: Path) -> None:
        """Bring the content of ``workspace`` here, where it is somewhere else."""

    async def close(self) -> None:
        """End the space and every process in it; nothing if there is none."""
        if self._group is not None:
            await asyncio.to_thread(self._group.remove)

    def _open_group(self, group: ControlGroup) -> None:
        try:
            group.open()
        except OSError as error:
            raise SpaceError(f"no control group can be made: {error.strerror} ({group.path})") from error
        self._known_hits = group.hits()

    def _entering(self, entry: dict[str, Any], module: str, arguments: tuple[str, ...]) -> list[str]:
        """``entry`` with what limits the one who enters: the group, and what the group does not limit."""
        by_group = {} if self._group is None else self._group.limits
        limits = {name: value for name, value in self.limits.items() if name not in by_group}
        text = json.dumps({"group": self._group_path, **entry, "limits": limits})
        return [sys.executable, "-I", "-S", "-c", ENTERING, PACKAGE_ROOT, text, module, *arguments]

    @property
    def _group_path(self) -> str:
        return "" if self._group is None else str(self._group.path)


class BubblewrapSpace(Space):
    """Namespaces of its own, made by ``bwrap``; ``folder`` is the space's, and kept until the space is removed."""

    kind = "bwrap"
    contains_holders = True

    def __init__(self, folder: Path, touchable: Touchable) -> None:
        super().__init__(touchable.limits, touchable.group)
        self._folder = folder
        self._touchable = touchable
        self._keeper = Keeper(folder)
        self._rooms = bubblewrap.Rooms(
            folder=folder, write=touchable.write, read=touchable.read, network=touchable.network == "all"
        )
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Find or make the process that keeps the space."""
        async with self._opening:
            await super().open()
            if await asyncio.to_thread(self._keeper.attend) is not None:
                return
            port = self._touchable.endpoint if self._touchable.network == "off" else None
            await asyncio.to_thread(bubblewrap.make_space, self._rooms, self._keeper, relays=int(port is not None))
            if port is not None:
                await asyncio.to_thread(self._start_relay, port)

    def helper(self, module: str, *arguments: str, detach: bool = False) -> list[str]:
        """Through the namespaces of the keeper."""
        keeper = self._keeper.find()
        if keeper is None:
            raise SpaceError("the space of this session has ended")
        entry = {"kind": "namespaces", "pid": keeper.pid, "start_time": keeper.start_time, "detach": detach}
        return self._entering(entry, module, arguments)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """With a home and temporary files of its own."""
        return {**_fit_environment(env, self._touchable), "HOME": bubblewrap.HOME, "TMPDIR": "/tmp"}

    async def close(self) -> None:
        """End the keeper, and the kernel ends the rest."""
        await asyncio.to_thread(self._keeper.end)
        await super().close()

    @property
    def has_relay(self) -> bool:
        """Whether a model endpoint is reached by the socket alone: the space has no network."""
        return self._touchable.endpoint is not None and self._touchable.network == "off"

    def bind_endpoint(self) -> socket.socket:
        """The socket at which the endpoint listens outside, bound; it may come later than the space.

        Bound through a handle of its folder: the path of a session's folder may be longer than a socket's may be.
        """
        folder = os.open(self._rooms.endpoint, os.O_RDONLY | os.O_DIRECTORY)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            (self._rooms.endpoint / ENDPOINT).unlink(missing_ok=True)
            made.bind(f"/proc/self/fd/{folder}/{ENDPOINT}")
        except OSError:
            made.close()
            raise
        finally:
            os.close(folder)
        return made

    def _start_relay(self, port: int) -> None:
        argv = self.helper(relay.__name__, str(port), f"{bubblewrap.ENDPOINT_FOLDER}/{ENDPOINT}", detach=True)
        with (self._folder / "relay.log").open("wb") as errors:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd="/", env=self.helper_env()
            )
        assert process.stdout is not None
        with process.stdout as said:
            ready, _, _ = select.select([said], [], [], bubblewrap.START_SECONDS)
            came = ready and os.read(said.fileno(), len(relay.READY)) == relay.READY
        try:
            process.wait(bubblewrap.START_SECONDS if came else 0)
        except subprocess.TimeoutExpired:
            came = False
            _end_process(process)
        if not came:
            raise SpaceError(f"the endpoint's port {port} cannot be had inside the space")


class LandlockSpace(Space):
    """A process that has given up all rights but the space's, and starts every helper."""

    kind = "landlock"
    contains_holders = True

    def __init__(self, folder: Path, touchable: Touchable) -> None:
        super().__init__(touchable.limits, touchable.group)
        self._folder = folder
        self._touchable = touchable
        self._keeper = Keeper(folder)
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Find or start the process that keeps the space."""
        async with self._opening:
            await super().open()
            if await asyncio.to_thread(self._keeper.attend) is None:
                await asyncio.to_thread(self._start_keeper)

    def helper(self, module: str, *arguments: str, detach: bool = False) -> list[str]:
        """Started by the keeper."""
        # The keeper is in the group, and so is whom it starts.
        entry = {"kind": "keeper", "folder": str(self._folder), "detach": detach, "group": ""}
        return self._entering(entry, module, arguments)

    async def close(self) -> None:
        """End the keeper; its helpers are ended as jobs are."""
        await asyncio.to_thread(self._keeper.end)
        await super().close()

    def _start_keeper(self) -> None:
        for name in ("tmp", "home"):
            (self._folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / UNATTENDED).unlink(missing_ok=True)
        rules = {
            "group": self._group_path,
            "network": self._touchable.network,
            "ports": [] if self._touchable.endpoint is None else [self._touchable.endpoint],
            "read": _landlock_readable(self._touchable),
            "write": [str(path) for path in self._writable()],
        }
        argv = [sys.executable, "-I", "-S", "-c", DIRECT, PACKAGE_ROOT, "sessions.containment.landlock_keeper"]
        log = self._folder / "keeper.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*argv, str(self._folder), json.dumps(rules)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, cwd="/", env={"LC_ALL": "C.UTF-8"}, start_new_session=True,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin as go, process.stdout as said:
            # It ends unless it reads this: a space that nobody can find, nobody can end.
            self._keeper.record(processes.identity(process.pid), own=0)
            with contextlib.suppress(BrokenPipeError):
                go.write(landlock_keeper.GO)
                go.flush()
            ready, _, _ = select.select([said], [], [], bubblewrap.START_SECONDS)
            if not ready or said.readline() != landlock_keeper.READY:
                _end_process(process)
                lines = log.read_text(errors="replace").strip().splitlines()
                raise SpaceError(f"Landlock made no space: {lines[-1] if lines else 'it said nothing'}")

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """With a home and temporary files of its own; ``/tmp`` itself is out of reach."""
        return {
            **_fit_environment(env, self._touchable),
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
        }

    def _writable(self) -> list[Path]:
        # Not /dev/pts: the right to make a terminal of one's own there is a right to those that people sit at. So it is
        # with shared memory, but nothing that trains goes without: that it is open is said.
        devices = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/shm")
        own = (self._folder / "tmp", self._folder / "home")
        return [*self._touchable.write, *own, *map(Path, devices), *map(Path, accelerators())]


def _end_process(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel is left to it
        process.wait(bubblewrap.START_SECONDS)


def _landlock_readable(touchable: Touchable) -> list[str]:
    """The system without its secrets: rules only add, so a folder that holds some is named by its entries."""
    hidden = {*SECRETS, *SECRET_FOLDERS}
    found: list[str] = []
    for path in system_paths():
        inside = [secret for secret in hidden if Path(secret).is_relative_to(path)]
        found += _around(Path(path), {Path(secret) for secret in inside}) if inside else [path]
    return [*found, "/proc", "/dev/urandom", "/dev/random", "/dev/fd", *map(str, touchable.read)]


def _around(folder: Path, hidden: set[Path]) -> list[str]:
    found: list[str] = []
    for entry in folder.iterdir():
        if entry in hidden:
            continue
        inside = {path for path in hidden if path.is_relative_to(entry)}
        found += _around(entry, inside) if inside and entry.is_dir() else [str(entry)]
    return found


def _fit_environment(env: Mapping[str, str], touchable: Touchable) -> dict[str, str]:
    """``env`` without variables and folders of PATH that name places which are not there inside."""
    kept = {name: value for name, value in env.items() if not name.startswith("XDG_")}
    seen = [*map(Path, system_paths()), *touchable.read, *touchable.write]
    folders = [one for one in kept.get("PATH", "").split(os.pathsep) if any(Path(one).is_relative_to(p) for p in seen)]
    return {**kept, "PATH": os.pathsep.join(folders) or os.defpath}
