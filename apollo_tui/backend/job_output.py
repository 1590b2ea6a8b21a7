"""Where the output of a command is, and how the command stands: files of its job, else what the log has of it.

All of it runs in a thread. Files of a job are untrusted: they are read by ``sessions.jobs`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from apollo_tui.backend.feed import NotDone
from apollo_tui.backend.output_window import OutputSource, TextSource
from sessions import events as ev
from sessions.jobs import files
from sessions.jobs.job import Job
from sessions.jobs.manager import JobManager
from sessions.log.reader import LogReader
from sessions.paths import LogPaths
from sessions.untrusted_files import is_there, opened_folder

MOST_LISTED: Final = 200
"""Of a session's jobs, the newest are offered."""
EVALUATE: Final = "evaluate"


@dataclass(frozen=True, slots=True)
class OutputStatus:
    """How a command stands. ``ended`` says how it ended, "" while it runs; times in Unix ms and ms, 0: not known.

    ``written_at``: when it last wrote, while it runs. ``note``: what is wrong with its output, in one line.
    """

    pid: int = 0
    started_at: int = 0
    duration_ms: int = 0
    ended: str = ""
    failed: bool = False
    note: str = ""
    written_at: int = 0


@dataclass(frozen=True, slots=True)
class JobOutput:
    """The output of one command. ``name``: ``job 3``, ``evaluation 1``, ``41.2 read_file``. ``number``: of a job of the
    log; evaluations count on their own."""

    name: str
    command: str
    source: OutputSource
    job: Job | None = None
    last: OutputStatus = OutputStatus()
    """What the log knows, where no job can be asked."""
    number: int | None = None

    def status(self) -> OutputStatus:
        """How the command stands now."""
        job = self.job
        if job is None:
            return self.last
        pid = job.child.pid if job.child is not None else job.holder.pid
        end = job.end()
        if end is None:
            return OutputStatus(pid, job.started_at, written_at=job.reader.written_at())
        return OutputStatus(pid, job.started_at, end.duration_ms, _words(end.how, end.exit_code), end.exit_code != 0)


class KnownJob(NamedTuple):
    """A job that the log has. ``ended`` says how it ended, "" while it runs; ``since`` in Unix ms."""

    number: int
    command: str
    since: int
    ended: str
    duration_ms: int = 0


def known_jobs(reader: LogReader, session: str) -> list[KnownJob]:
    """The jobs of a session, the newest first: all that run, and the last that ended."""
    ends: dict[int, ev.JobEnded] = {}
    found: dict[int, KnownJob] = {}
    for event in reader.events(session, kinds={"job.started", "job.ended"}, newest_first=True, limit=2 * MOST_LISTED):
        if isinstance(event.body, ev.JobEnded):
            ends.setdefault(event.body.job, event.body)
        elif isinstance(event.body, ev.JobStarted):
            end = ends.get(event.body.job)
            words = _words(end.how, end.exit_code) if end is not None else ""
            took = end.duration_ms if end is not None else 0
            found.setdefault(event.body.job, KnownJob(event.body.job, event.body.command, event.at, words, took))
    summary = reader.summary(session)
    for job in reversed(summary.open_jobs if summary is not None else ()):  # older than many that have ended
        found.setdefault(job.job, KnownJob(job.job, job.command, job.since, ""))
    return list(found.values())


def find_job_output(reader: LogReader, paths: LogPaths, session: str, number: int) -> JobOutput:
    """The output of job ``number``: its file, or what the log has of it. Raises NotDone where there is neither."""
    events = reader.events(session, kinds={"job.started", "job.ended"})
    begun = next((e for e in events if isinstance(e.body, ev.JobStarted) and e.body.job == number), None)
    ended = next((e.body for e in events if isinstance(e.body, ev.JobEnded) and e.body.job == number), None)
    folder = paths.session_folder(session) / "jobs" / str(number)
    started = begun.body if begun is not None and isinstance(begun.body, ev.JobStarted) else None
    job = Job.find(folder, started)
    name = f"job {number}"
    if job is not None and _has_output(job):
        return JobOutput(name, job.command, job.reader, job, number=number)
    command = started.command if started is not None else ""
    result = _result_of(reader, session, begun.step, begun.call) if begun is not None else None
    at = begun.at if begun is not None else 0
    last = OutputStatus(started_at=at, note="its output file is gone: this is what the log has of it")
    if ended is not None:
        words, failed = _words(ended.how, ended.exit_code), ended.exit_code != 0
        last = OutputStatus(0, at, ended.duration_ms, words, failed, last.note)
    if result is not None:
        last = last if last.ended else OutputStatus(0, at, result.duration_ms, "ended", note=last.note)
        return JobOutput(name, command, TextSource(reader.text(result.output)), last=last, number=number)
    if ended is not None and ended.last_line:
        return JobOutput(name, command, TextSource(ended.last_line), last=last, number=number)
    if job is not None and job.end() is None:
        return JobOutput(name, command, job.reader, job, number=number)
    raise NotDone(f"{name}: its output is not on this machine, and the log has nothing of it")


def find_action_output(reader: LogReader, paths: LogPaths, session: str, seq: int) -> JobOutput:
    """The output of an action that started no job of the log: a scorer's while it runs, else its result. Raises
    NotDone, with the reason, where there is none yet."""
    anchor = reader.event(session, seq)
    if anchor is None or not isinstance(anchor.body, ev.ActionStarted):
        raise NotDone("an action that was not run has no output")
    target, name = f"{anchor.step}.{anchor.call}", anchor.body.name
    if name == EVALUATE:
        manager = JobManager(paths.session_folder(session), kind="evaluations")
        job = manager.by_origin(target)
        if job is not None and _has_output(job):
            return JobOutput(f"evaluation {job.number}", job.command, job.reader, job)
    result = _result_of(reader, session, anchor.step, anchor.call)
    if result is None:
        summary = reader.summary(session)
        if summary is not None and summary.harness:
            raise NotDone(f"what `{name}` prints stays inside {summary.harness} until it ends: the log has it then")
        raise NotDone(f"`{name}` prints nothing while it runs: its result comes when it ends")
    failed = result.outcome in ("error", "timeout")
    last = OutputStatus(0, anchor.at, result.duration_ms, result.outcome, failed)
    said = anchor.body.arguments.get("command")
    command = said if isinstance(said, str) else ""
    return JobOutput(f"{target} {name}", command, TextSource(reader.text(result.output)), last=last)


def _result_of(reader: LogReader, session: str, step: int | None, call: int | None) -> ev.ActionResult | None:
    if step is None or call is None:
        return None
    events: Sequence[ev.Event] = reader.events(session, steps=(step, step), kinds={"action.result"})
    return next((e.body for e in events if e.call == call and isinstance(e.body, ev.ActionResult)), None)


def _has_output(job: Job) -> bool:
    try:
        with opened_folder(job.folder) as handle:
            return is_there(files.OUTPUT, at=handle)
    except OSError:
        return False


def _words(how: str, code: int | None) -> str:
    if how == "exited":
        return f"exit {code}"
    return {"killed_by_agent": "killed", "killed_by_host": "killed by the host"}.get(how, "lost")
