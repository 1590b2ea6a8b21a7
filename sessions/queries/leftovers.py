"""What lies in the folders of sessions and serves nobody any more: copies without a session, output of old jobs."""

from __future__ import annotations

import contextlib
import os
import stat
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
from sessions.untrusted_files import opened_folder
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
                    if (file := _file(path)) is None:
                        continue
                    size = file.st_blocks * 512
                    if summary.state in ENDED and size and not job.lives():
                        output.append(Leftover("output", path, folder.name, size, file.st_mtime))
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
        # By its name in its folder: a command that lives on may have put a link in the place of that.
        with contextlib.suppress(FileNotFoundError), opened_folder(leftover.path.parent) as folder:
            os.unlink(leftover.path.name, dir_fd=folder)


def jobs_that_ran(folder: Path) -> int:
    """How many commands were started in a session's folder. While a session is made none is."""
    return sum(1 for kind in KINDS for _ in (folder / kind).glob(f"*/{files.CLAIM}"))


def size_of(folder: Path) -> int:
    """Bytes that all below a folder takes on disk."""
    total, todo = 0, [folder]
    while todo:
        place = todo.pop()
        with contextlib.suppress(OSError), opened_folder(place) as handle, os.scandir(handle) as entries:
            total += os.fstat(handle).st_blocks * 512
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(place / entry.name)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _file(path: Path) -> os.stat_result | None:
    """A file of a job; None where there is none, or something else is in its place."""
    try:
        with opened_folder(path.parent) as folder:
            found = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _lives(folder: Path) -> bool:
    return any(job.lives() for kind in KINDS for job in JobManager(folder, kind=kind).all())
