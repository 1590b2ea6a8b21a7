"""Who holds the jobs of a session, as the log has it: what no command can write over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sessions.events import JobStarted

if TYPE_CHECKING:
    from sessions.log.reader import LogReader


def job_starts(reader: LogReader, session: str) -> Iterator[JobStarted]:
    """Each job of ``session`` that the log knows. Raises LogError."""
    for event in reader.events(session, kinds={JobStarted.kind}):
        if isinstance(event.body, JobStarted):
            yield event.body
