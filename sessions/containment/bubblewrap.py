"""`bwrap`: a space made of Linux namespaces, kept by one process for as long as its session has it.

The keeper is the first process inside: helpers enter its namespaces by ``entry``, and who ends it ends every process
of the space.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions import processes
from sessions.containment.errors import SpaceError
from sessions.containment.keeper import LOOK_SECONDS, UNATTENDED, Keeper
from sessions.containment.system_files import RESOLVERS, SECRET_FOLDERS, SECRETS, accelerators, system_paths

PROGRAM: Final = "bwrap"
START_SECONDS: Final = 10.0
KEEP: Final = f"""
read -r go || exit
while sleep {LOOK_SECONDS}; do
    [ -e "$0" ] || continue
    running=0
    for process in /proc/[0-9]*; do
        read -r state 2>/dev/null <"$process/stat" || continue
        case ${{state##*) }} in [ZX]*) ;; *) running=$((running + 1)) ;; esac
    done
    [ "$running" -le "$1" ] && [ -e "$0" ] && exit
done
"""
"""What the space's first process runs, told the file that says it is unattended and how many processes are none of a
command's. It ends when it is killed, when who made it is gone before ``go``, and when nobody needs it any more."""
HOME: Final = "/home/agent"
ENDPOINT_FOLDER: Final = "/run/apollo"
"""Where the folder is seen inside in which a model endpoint listens."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a space is made of. ``write`` and ``read`` are seen inside at the same paths as outside."""

    folder: Path
    """The space's own folder: who keeps it, its /tmp and its home. Not seen inside but for those two."""
    write: tuple[Path, ...]
    read: tuple[Path, ...] = ()
    network: bool = False
    hidden: tuple[Path, ...] = ()
    """Files and folders below those that are not to be seen."""

    @property
    def endpoint(self) -> Path:
        """The folder in which a model endpoint listens for this space alone."""
        return self.folder / "endpoint"


def arguments(rooms: Rooms) -> list[str]:
    """The options of ``bwrap`` for a space."""
    made = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if not rooms.network:
        made.append("--unshare-net")
    for path in system_paths():
        place = Path(path)
        made += ["--symlink", str(place.readlink()), path] if place.is_symlink() else ["--ro-bind", path, path]
    for path in SECRETS:
        if Path(path).is_file():
            made += ["--ro-bind", "/dev/null", path]
    for path in SECRET_FOLDERS:
        if Path(path).is_dir():
            made += ["--tmpfs", path]
    made += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/var"]
    # Root owns the kernel's switches also where it has no capability.
    for path in ("/proc/sys", "/proc/irq", "/proc/bus"):
        made += ["--ro-bind-try", path, path]
    if Path("/proc/sysrq-trigger").exists():
        made += ["--ro-bind", "/dev/null", "/proc/sysrq-trigger"]
    for path in accelerators():
        made += ["--dev-bind-try", path, path]
    if rooms.network:
        for path in RESOLVERS:
            made += ["--ro-bind-try", path, path]
    made += ["--ro-bind", str(rooms.endpoint), ENDPOINT_FOLDER]
    made += ["--bind", str(rooms.folder / "tmp"), "/tmp", "--symlink", "/tmp", "/var/tmp"]
    made += ["--bind", str(rooms.folder / "home"), HOME]
    for place in rooms.read:
        made += ["--ro-bind-try", str(place), str(place)]
    for place in rooms.write:
        made += ["--bind", str(place), str(place)]
    for place in rooms.hidden:
        made += ["--tmpfs", str(place)] if place.is_dir() else ["--ro-bind", "/dev/null", str(place)]
    return [*made, "--remount-ro", "/", "--chdir", "/"]


def problem() -> str:
    """Why ``bwrap`` cannot make a space here; "" where it can."""
    program = shutil.which(PROGRAM)
    if program is None:
        return "bwrap is not installed (package bubblewrap)"
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    try:
        tried = subprocess.run(
            [program, *words], capture_output=True, text=True, errors="replace", timeout=START_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"bwrap fails: it made no space within {START_SECONDS:.0f} s"
    except OSError as error:
        return f"bwrap fails: it cannot be started: {error.strerror}"
    if tried.returncode == 0:
        return ""
    said = tried.stderr.strip().splitlines()
    return f"bwrap fails: {said[-1] if said else f'exit code {tried.returncode}'} (user namespaces must be allowed)"


def make_space(rooms: Rooms, keeper: Keeper, relays: int = 0) -> None:
    """Make the space, in which ``relays`` processes of ours will run as long as it is there; returns once helpers can
    enter. Raises SpaceError."""
    for name in ("tmp", "home", rooms.endpoint.name):
        (rooms.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (rooms.folder / UNATTENDED).unlink(missing_ok=True)
    alone = 2 + relays  # bwrap itself, the shell, and what is ours
    keep = ["sh", "-c", KEEP, f"{ENDPOINT_FOLDER}/{Path(UNATTENDED).name}", str(alone)]
    with _Start(rooms.folder / "bwrap.log", [*arguments(rooms), "--", *keep]) as start:
        first = start.wait()
        # Its name is on disk before it may stay: a space that nobody can find, nobody can end.
        keeper.record(first, own=relays)
        start.go()


class _Start:
    """A ``bwrap`` that makes its space and ends unless it is told to ``go`` on. Raises SpaceError.

    Nothing but the end of its standard input tells it that we are gone: written to a pipe that nobody reads any more,
    its first half would die of it, and the second wait for the first without end.
    """

    def __init__(self, log: Path, arguments: Sequence[str]) -> None:
        self._log = log
        program = shutil.which(PROGRAM)
        if program is None:
            raise SpaceError("bwrap is not installed here")
        heard, self._go = os.pipe()
        try:
            with log.open("wb") as errors:
                self._outer = subprocess.Popen(
                    [program, *arguments], stdin=heard, stdout=subprocess.DEVNULL, stderr=errors, cwd="/",
                    env={"PATH": "/usr/local/bin:/usr/bin:/bin"}, start_new_session=True,
                )  # fmt: skip
        except BaseException:
            os.close(self._go)
            raise
        finally:
            os.close(heard)

    def wait(self) -> processes.Identity:
        """The first process inside, once all is in its place. Raises SpaceError."""
        deadline = time.monotonic() + START_SECONDS
        while self._outer.poll() is None and time.monotonic() < deadline:
            # What it keeps the space with runs only once the file systems are in place.
            for first in _children(self._outer.pid):
                if _children(first):
                    with contextlib.suppress(ProcessLookupError):
                        return processes.identity(first)
            time.sleep(0.002)
        raise self._failure()

    def go(self) -> None:
        """Let it stay, also without us. Raises SpaceError."""
        try:
            os.write(self._go, b"go\n")
        except BrokenPipeError:
            raise self._failure() from None

    def __enter__(self) -> _Start:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._go)

    def _failure(self) -> SpaceError:
        self._outer.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._outer.wait(START_SECONDS)
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return SpaceError(f"bwrap made no space: {lines[-1] if lines else 'it said nothing'}")


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
