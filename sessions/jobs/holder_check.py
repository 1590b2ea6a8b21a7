"""Whether a process is what a job's files say it is, asked of the kernel before any signal: commands write the files.

Who is below a holder of ours, or was started with the mark of a job, is an agent's. What is neither may be anybody's.
Without /proc (macOS) nothing can be asked; nothing is contained there either.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

from sessions import processes
from sessions.jobs import files

HOLDER: Final = "sessions.jobs.holder"
KEEPER: Final = "sessions.containment.landlock_keeper"
"""What starts the holders of a Landlock space: they have its command line, which names the space's folder."""


def is_holder(pid: int, folder: Path) -> bool:
    """Whether ``pid`` holds the job in ``folder``, or (inside Landlock) one of the same session."""
    if not processes.HAS_PROC:
        return True
    words = processes.command_line(pid)
    session = f"{folder.parent.parent}/"
    return any(
        (word == HOLDER and following == str(folder)) or (word == KEEPER and following.startswith(session))
        for word, following in pairwise(words)
    )


def is_of_job(pid: int, folder: Path) -> bool:
    """Whether ``pid`` was started by the command of the job in ``folder``."""
    if not processes.HAS_PROC:
        return True
    return files.mark_of(folder) in processes.first_environment(pid).get(files.MARK, "").split()
