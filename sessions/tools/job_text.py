"""What is said of a job: its output as an observation, its end, its state in a word."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sessions.events import Outcome
from sessions.events.text import MAX_TEXT_BYTES, Blob
from sessions.jobs import files
from sessions.jobs.job import Job, JobEnd
from sessions.jobs.manager import JobManager
from sessions.terminal_text import say_count
from sessions.tools.base import ToolContext, ToolFailure
from sessions.tools.observations import duration

MAX_OUTPUT: Final = MAX_TEXT_BYTES - 65_536
"""Bytes of a job's output that go into its observation; of more, head and tail do. All fits the log's own cap."""


TOO_LARGE: Final = 128 + signal.SIGXFSZ
"""The exit code of a shell whose command wrote more to a file than it may."""
_LIMITS: Final[dict[str, Callable[[int], str]]] = {
    "processes": lambda most: f"{most:,} processes",
    "memory": lambda most: f"{most / 1e6:,.0f} MB of memory",
    "file_size": lambda most: f"files of at most {most / 1e6:,.0f} MB",
}


@dataclass(frozen=True, slots=True)
class CollectedOutput:
    """A job's output as text; the raw bytes as a blob where they were no UTF-8.

    ``file`` (in the session's folder) holds more than the text does, once the job has ended; ``sha256`` is its hash.
    """

    text: str
    raw: Blob | None
    file: str | None = None
    sha256: str = ""
    size: int = 0
    """Bytes that the job wrote."""

    @property
    def data(self) -> dict[str, Any]:
        """What an action's result says of the output, of its raw bytes and of the file."""
        raw = self.raw.hash if self.raw else ""
        found = {"output_bytes": self.size, "raw": raw, "file_sha256": self.sha256}
        return {name: value for name, value in found.items() if value}


def collect_output(jobs: JobManager, job: Job) -> CollectedOutput:
    """All of the output that is kept, with a line that says how much is not."""
    head, tail = jobs.ends(job, MAX_OUTPUT)
    data = head.data
    file, sha256 = None, ""
    if tail is not None:
        if job.state == "ended" and (sha256 := job.reader.sha256()):  # "": a command may remove or spoil it
            file = "/".join((*job.folder.parts[-2:], files.OUTPUT))
        gap = tail.start - head.end
        data += f"\n[… {gap:,} bytes of output in the middle are not kept …]\n".encode() + tail.data
    if not data and (trouble := job.reader.trouble()):
        data = f"[no output: a command has spoilt the folder of its job: {trouble}]\n".encode()
    try:
        return CollectedOutput(data.decode(), None, file, sha256, head.total)
    except UnicodeDecodeError:
        # A cut may have split a character; only bytes that were wrong by themselves are worth keeping.
        raw = Blob.of(data) if tail is None else None
        return CollectedOutput(data.decode(errors="replace"), raw, file, sha256, head.total)


def end_text(end: JobEnd) -> str:
    """``exit code 0 after 12 s``."""
    after = f" after {duration(end.duration_ms)}" if end.duration_ms else ""
    match end.how:
        case "lost":
            return f"lost: its exit code is not known{f' ({end.why})' if end.why else ''}"
        case "killed_by_agent":
            return f"killed{after}"
        case "killed_by_host":
            return f"killed by the host{after}"
        case _:
            return f"exit code {end.exit_code}{after}"


def limits_met(jobs: JobManager, end: JobEnd) -> list[str]:
    """The limits of the session that its commands met up to this end, as far as the system says: ``200 processes``."""
    met = jobs.space.new_hits()
    if end.exit_code == TOO_LARGE and "file_size" in jobs.space.limits:
        met.append("file_size")
    return [_LIMITS[name](jobs.space.limits[name]) for name in met]


def say_limits(met: Sequence[str]) -> str:
    """A note on them, "" if there are none."""
    return f"met the session's limit: {' and '.join(met)}" if met else ""


def outcome_of(end: JobEnd) -> Outcome:
    """The outcome of the call that waited for this end."""
    match end.how:
        case "lost":
            return "unknown"
        case "exited":
            return "ok" if end.exit_code == 0 else "error"
        case _:
            return "interrupted"


def leftovers(job: Job, end: JobEnd) -> str:
    """What to say of processes that outlive their command, "" if there are none."""
    if not end.left:
        return ""
    what = say_count(end.left, "process", "processes")
    return f"{what} that it started still run as part of job {job.number}; `job_kill` ends them"


def state_text(job: Job, now: int) -> str:
    """``running for 3 min`` or how it ended."""
    end = job.end()
    return f"running for {duration(max(0, now - job.started_at))}" if end is None else f"ended, {end_text(end)}"


def find_job(context: ToolContext, number: int) -> Job:
    """Job ``number`` of the session. Raises ToolFailure with the jobs that there are."""
    if job := context.jobs.find(number):
        return job
    jobs = context.jobs.all()
    known = ", ".join(f"{job.number} ({state_text(job, context.clock())})" for job in jobs[-10:])
    raise ToolFailure(f"there is no job {number}; " + (f"jobs: {known}" if known else "no job was started yet"))
