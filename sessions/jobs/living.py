"""The jobs of a whole log that still have a process, whatever became of their sessions and of the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sessions.jobs.job import Job
from sessions.jobs.manager import KINDS, JobManager


@dataclass(frozen=True, slots=True)
class LivingJob:
    """A job, and whose it is: ``kind`` is the folder of the session that holds it (evaluations are jobs, too)."""

    session: str
    kind: str
    job: Job

    @property
    def name(self) -> str:
        """How it is called beside its session: ``3``, ``e1`` for an evaluation."""
        return f"{self.job.number}" if self.kind == "jobs" else f"e{self.job.number}"


def session_folders(sessions: Path) -> list[Path]:
    """The folders of all sessions that have one."""
    try:
        return sorted(path for path in sessions.iterdir() if path.is_dir() and not path.is_symlink())
    except FileNotFoundError:
        return []


def living_jobs(sessions: Path) -> list[LivingJob]:
    """All jobs whose holder runs, below the folder that holds those of the sessions."""
    return [
        LivingJob(folder.name, kind, job)
        for folder in session_folders(sessions)
        for kind in KINDS
        for job in JobManager(folder, kind=kind).all()
        if job.lives()
    ]


async def end_job(sessions: Path, living: LivingJob) -> bool:
    """End it and all that it left; False if it will not die."""
    await JobManager(sessions / living.session, kind=living.kind).kill(living.job, by="host")
    return not living.job.lives()
