"""The files in a job's folder, which are all that is known of it after a crash. Stdlib only: the holder imports it.

==============  ======================================================================================================
``job.json``    the manager's intent: command, folder, caps; written before the holder is started
``claim.json``  who the holder is; it appears once, atomically, before the command starts. Without it: never started
``child.json``  who the command is; it appears before the command is let loose
``input``       a fifo of JSON lines for the holder: text for the command, or the end of its input
``errors``      a folder with the two files below for standard error, where a job keeps that apart
``output``      the first bytes of the output; ``output.tail`` is a ring of the newest, once there are too many
``kill.json``   who wants the job killed, and with how much grace; the holder reads it on SIGTERM
``exit.json``   how it ended; it appears once, atomically
``holder.log``  what the holder had to say of its own trouble
==============  ======================================================================================================

Commands can write all of them. Who opens one outside of their space does it by ``untrusted_files``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SPEC: Final = "job.json"
CLAIM: Final = "claim.json"
CHILD: Final = "child.json"
INPUT: Final = "input"
OUTPUT: Final = "output"
TAIL: Final = "output.tail"
ERRORS: Final = "errors"
KILL: Final = "kill.json"
EXIT: Final = "exit.json"
HOLDER_LOG: Final = "holder.log"
MARK: Final = "APOLLO_JOB"
"""A variable of every command's environment: whose it is, as ``SESSION/jobs/NUMBER``; several where jobs are nested."""


def mark_of(folder: Path) -> str:
    """What tells that a process is of the job in ``folder``: ``SESSION/jobs/NUMBER``."""
    return "/".join(folder.parts[-3:])
