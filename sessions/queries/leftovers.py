"""What lies in the folders of sessions and serves nobody any more: copies without a session, output of old jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sessions.events.states import ENDED
from sessions.fold.summary import Summary
from sessions.jobs import files
from sessions.jobs.living import session_folders
from sessions.jobs.manager import KINDS, JobManager
from sessions.terminal_text import say_count
from sessions.workspace import remove_tree


@dataclass(frozen=True, slots=True)
class Leftover:
    """A folder or file that may go, or that nobody but a person can say of whether it may. ``size`` is what it takes on
    disk, ``at`` when it was last written (Unix s)."""

    what: Literal["orphan", "output", "unknown"]
    path: Path
    session: str
    size: int
    at: float
    jobs: int = 0
    """How many ran in the folder of an ``unknown`` session."""

    @property
    def may_go(self) -> bool:
        """Whether nothing that it holds can be of worth."""
        return self.what != "unknown"

    @property
    def reason(self) -> str:
        """Why it may go, or stays."""
        if self.what == "unknown":
            return (
                f"this log does not know the session, which ran {say_count(self.jobs, 'job')}: is the log an older "
                "copy? It stays; remove it by hand where it is of no worth"
            )
        if self.what == "orphan":
            return "no session of this log has this folder: its host was killed while it made one"
        return "the output of a job of a session that has ended; the log has its first 8 MB"


def leftovers(sessions: Path, summaries: Mapping[str, Summary], quota: int, *, before: float) -> list[Leftover]:
    """What may go: orphans that were made ``before`` (Unix s; the start of the host that runs, so that no session that
    is being made is among them), and the oldest output of ended sessions, as far as all output takes more than
    ``quota`` bytes. With them what may not: folders of sessions that ran and that the log does not know.
    """
    found: list[Leftover] = []
    output: list[Leftover] = []
    kept = 0
    for folder in session_folders(sessions):
        summary = summaries.get(folder.name)
        if summary is None:
            if folder.stat().st_mtime < before and not _lives(folder):
                ran = jobs_that_ran(folder)
                what: Literal["orphan", "unknown"] = "unknown" if ran else "orphan"
                found.append(Leftover(what, folder, folder.name, size_of(folder), folder.stat().st_mtime, ran))
            continue
        for kind in KINDS:
            for job in JobManager(folder, kind=kind).all():
                for path in (job.folder / files.OUTPUT, job.folder / files.TAIL):
                    size = size_of(path)
                    if summary.state in ENDED and size and not job.holder.alive():
                        output.append(Leftover("output", path, folder.name, size, path.stat().st_mtime))
                    kept += size
    for one in sorted(output, key=lambda each: each.at):
        if kept <= quota:
            break
        found.append(one)
        kept -= one.size
    return found


def remove(leftover: Leftover) -> None:
    """Take it away. Raises OSError; ValueError for what nobody but a person may remove."""
    if not leftover.may_go:
        raise ValueError(f"{leftover.path} may hold work")
    if leftover.what == "orphan":
        remove_tree(leftover.path)
    else:
        leftover.path.unlink(missing_ok=True)


def jobs_that_ran(folder: Path) -> int:
    """How many commands were started in a session's folder. While a session is made none is."""
    return sum(1 for kind in KINDS for _ in (folder / kind).glob(f"*/{files.CLAIM}"))


def size_of(path: Path) -> int:
    """Bytes that a file, or all below a folder, takes on disk."""
    total = 0
    try:
        total += path.lstat().st_blocks * 512
    except OSError:
        return 0
    if path.is_dir() and not path.is_symlink():
        with os.scandir(path) as entries:
            total += sum(size_of(Path(entry.path)) for entry in entries)
    return total


def _lives(folder: Path) -> bool:
    return any(job.holder.alive() for kind in KINDS for job in JobManager(folder, kind=kind).all())
