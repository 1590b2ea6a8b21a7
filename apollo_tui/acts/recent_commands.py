"""The command lines that an annotator ran last on a log, newest first: a file of their own that may be lost."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Final

import msgspec

from sessions.private_files import make_private_folder, write_private

KEPT: Final = 12
FORGOTTEN: Final = frozenset({"quit", "leave", "stop", "interrupt", "help", "undo", "redo"})
"""What is not offered again: it ends something, or is one key."""


class RecentCommands:
    """The lines of one annotator. Without a file, of this app alone."""

    def __init__(self, folder: Path, actor: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"%{ord(found.group()):x}", actor)
        self._path = folder / f"commands.{safe}.recent"
        self._lines: list[str] | None = None

    def lines(self) -> list[str]:
        """Newest first."""
        if self._lines is None:
            self._lines = []
            with contextlib.suppress(OSError, msgspec.MsgspecError):  # a file that cannot be read is written anew
                self._lines = msgspec.json.decode(self._path.read_bytes(), type=list[str])[:KEPT]
        return list(self._lines)

    def note(self, line: str) -> None:
        """The line was run."""
        line = " ".join(line.split())
        if not line or line.split()[0] in FORGOTTEN:
            return
        self._lines = [line, *(one for one in self.lines() if one != line)][:KEPT]
        with contextlib.suppress(OSError):  # a full disk costs the memory of it, nothing else
            make_private_folder(self._path.parent)
            write_private(self._path, msgspec.json.encode(self._lines).decode())
