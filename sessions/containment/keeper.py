"""The process that keeps a space for as long as its session has it, known by its file in the space's folder."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Final

from sessions import processes
from sessions.json_files import read_json, write_json
from sessions.processes import Identity

SPACE: Final = "space"
"""Of a session's folder: its home, its temporary files, and who keeps the space. Commands write below the first two."""
FILE: Final = "keeper.json"
UNATTENDED: Final = "endpoint/unattended"
"""Of the space's folder: as long as this file is there, its keeper looks for itself, and ends once nothing runs."""
WATCH: Final = 2
"""The number that the process has which looks for a keeper of a pid namespace; the keeper's own is 1."""
LOOK_SECONDS: Final = 5
"""How often a keeper looks whether it is unattended."""
UNDECIDED_SECONDS: Final = 0.05
"""How long a keeper that has found itself alone and unattended may take to end."""
END_SECONDS: Final = 5.0


def end_idle_spaces(sessions: Path) -> None:
    """End every space below the folder of all ``sessions`` in which nothing runs, and have the others end by
    themselves once nothing does; their files stay."""
    # Only there: in the workspace, and beside the jobs, a command may have written its own.
    for found in sessions.glob(f"*/{SPACE}/{FILE}"):
        Keeper(found.parent).leave()


def _inside(keeper: int) -> list[int]:
    """The processes of a keeper's space: of its pid namespace, where it has one, since who enters is no child of it."""
    try:
        space = str(Path(f"/proc/{keeper}/ns/pid").readlink())
    except OSError:
        return []
    if space == processes.pid_space():
        return processes.descendants(keeper)
    found = {one.number: one.pid for one in processes.processes_of(space)}
    watch = found.get(WATCH)
    own = {keeper} if watch is None else {keeper, watch, *processes.descendants(watch)}
    return [pid for pid in found.values() if pid not in own]


class Keeper:
    """Who keeps the space of ``folder``, found again also by a later host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: Identity | None = None
        self._own = 0

    def find(self) -> Identity | None:
        """Who keeps the space; None if nobody does (any more)."""
        if self._known is None:
            found = read_json(self._folder / FILE)
            self._known = Identity(found["pid"], found["start_time"], found["boot_id"]) if found else None
            self._own = found["own"] if found else 0
        if self._known is not None and not self._known.alive():
            self._known = None
        return self._known

    def record(self, who: Identity, own: int) -> None:
        """From now on ``who`` keeps it, with ``own`` processes below it that are no helper's."""
        made = {"pid": who.pid, "start_time": who.start_time, "boot_id": who.boot_id, "own": own}
        write_json(self._folder / FILE, made)
        self._known, self._own = who, own

    def attend(self) -> Identity | None:
        """Who keeps the space, and does so from now on until it is told to end; None if nobody does."""
        left = self._folder / UNATTENDED
        if self.find() is not None and left.exists():
            left.unlink(missing_ok=True)
            time.sleep(UNDECIDED_SECONDS)
        return self.find()

    def leave(self) -> None:
        """End it, or have it end once nothing runs in its space: what a command left there lives on until then."""
        who = self.find()
        if who is None:
            return
        if len(_inside(who.pid)) <= self._own:
            self.end()
        else:
            left = self._folder / UNATTENDED
            left.parent.mkdir(mode=0o700, exist_ok=True)
            left.touch()

    def end(self) -> None:
        """End it; nothing if it has ended. Waits until it is gone."""
        who = self.find()
        if who is None:
            return
        who.send(signal.SIGKILL)
        deadline = time.monotonic() + END_SECONDS
        while who.alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._known = None
