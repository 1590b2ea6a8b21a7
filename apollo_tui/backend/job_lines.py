"""The last line of each job in sight that runs: read in a thread, at most once a second, from the end of its output."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from textual.message import Message

from sessions.paths import LogPaths

if TYPE_CHECKING:
    from sessions.jobs.job import Job

LOOK_MS: Final = 1_000
SLOW_MS: Final = 5_000
"""Over a slow line."""
TAIL: Final = 4096
MOST: Final = 32
"""Jobs that are looked at in one go."""
LONGEST: Final = 200

JobKey = tuple[str, int]
"""Session and number of a job."""


class JobLinesRead(Message):
    """What these jobs print is another line now."""

    def __init__(self, lines: Mapping[JobKey, str]) -> None:
        super().__init__()
        self.lines = lines


class JobLines:
    """What the jobs of a log were last seen to print. Times in Unix ms."""

    def __init__(self, paths: LogPaths) -> None:
        self._paths = paths
        self._jobs: dict[JobKey, Job] = {}
        self._looked_at = 0
        self._busy = False
        self._first = 0
        """Where the next look begins, where there are more jobs than it can take."""
        self.known: dict[JobKey, str] = {}

    def due(self, now: int, *, slow: bool) -> bool:
        """Whether it is time for another look."""
        return not self._busy and now - self._looked_at >= (SLOW_MS if slow else LOOK_MS)

    async def look(self, wanted: Collection[JobKey], now: int) -> dict[JobKey, str]:
        """Look at these jobs; returns those whose last line is another one than before."""
        self._busy, self._looked_at = True, now
        self._first = self._first % len(wanted) if wanted else 0
        known = [*wanted][self._first :] + [*wanted][: self._first]
        self._first += MOST if len(known) > MOST else 0
        turn = known[:MOST]
        try:
            found = await asyncio.to_thread(self._read, turn)
        finally:
            self._busy = False
        changed = {key: line for key, line in found.items() if self.known.get(key, "") != line}
        self.known = {key: line for key, line in self.known.items() if key in wanted} | found
        return changed

    def of(self, session: str) -> dict[int, str]:
        """The last lines of a session's jobs, by number."""
        return {job: line for (owner, job), line in self.known.items() if owner == session}

    def _read(self, turn: Collection[JobKey]) -> dict[JobKey, str]:
        from sessions.jobs.job import Job  # the app starts without what runs jobs

        self._jobs = {key: job for key, job in self._jobs.items() if key in turn}
        found: dict[JobKey, str] = {}
        for key in turn:
            try:
                job = self._jobs.get(key) or Job.find(self._paths.session_folder(key[0]) / "jobs" / str(key[1]))
                if job is not None:
                    found[key] = last_line(job.reader.tail(TAIL).data)
                    self._jobs[key] = job
            except OSError:  # a disk that fails for a while: what was seen last stays
                continue
        return found


def last_line(data: bytes) -> str:
    """The newest line in ``data`` that says something, in its last state and harmless."""
    from widgets.sanitise import clean, clean_line

    for line in reversed(clean(data.decode(errors="replace")).split("\n")):
        if line.strip():
            return clean_line(line, LONGEST)
    return ""
