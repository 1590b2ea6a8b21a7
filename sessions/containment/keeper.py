"""The process that keeps a space for as long as its session has it, known by its file in the space's folder."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Final

from sessions.json_files import read_json, write_json
from sessions.processes import Identity

FILE: Final = "keeper.json"
END_SECONDS: Final = 5.0


class Keeper:
    """Who keeps the space of ``folder``, found again also by a later host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: Identity | None = None

    def find(self) -> Identity | None:
        """Who keeps the space; None if nobody does (any more)."""
        if self._known is None:
            found = read_json(self._folder / FILE)
            self._known = Identity(found["pid"], found["start_time"], found["boot_id"]) if found else None
        if self._known is not None and not self._known.alive():
            self._known = None
        return self._known

    def record(self, who: Identity) -> None:
        """From now on ``who`` keeps it."""
        write_json(self._folder / FILE, {"pid": who.pid, "start_time": who.start_time, "boot_id": who.boot_id})
        self._known = who

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
