"""Taking a session out for good: under the host's lock, with its jobs, folder, drafts and what was made of its text."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from sessions.containment.choice import is_remote
from sessions.containment.keeper import SPACE, Keeper
from sessions.containment.remote_command import PLACE
from sessions.containment.remote_space import remove_there
from sessions.errors import ApolloError
from sessions.events import JobStarted, SessionCreated
from sessions.hints import Remedy
from sessions.host.callers import Callers
from sessions.host.lock import HostLock, LockHeld
from sessions.jobs.manager import JobManager
from sessions.log import purge
from sessions.log.errors import LogError
from sessions.paths import LogPaths
from sessions.processes import identity
from sessions.queries.job_starts import job_starts
from sessions.queries.search_index import index_path
from sessions.workspace import measure_folder, remove_tree


class Purged(msgspec.Struct, frozen=True):
    """What went, and what of it is left elsewhere."""

    session: str
    number: int
    events: int
    blobs: int
    files: int
    dependants: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """Files that may still hold its words, which are not ours to remove."""


def purge_session(paths: LogPaths, session: str, actor: str, why: str) -> Purged:
    """Take ``session`` out of the log and off the disk. Raises ApolloError; the log is then as it was.

    Of a session that went before, what a crash left of its files is removed.
    """
    _refuse_agents(paths)
    try:
        lock = HostLock.acquire(paths.lock)
    except LockHeld as held:
        who = f"a host (pid {held.holder.pid})" if held.holder else "a host"
        raise ApolloError(
            f"{who} writes this log, and no session can be purged meanwhile", remedies=[Remedy("stop_host", "ends it")]
        ) from held
    try:
        before = purge.tombstones(paths.log).get(session)
        if before is not None:
            files = _remove_files(paths, session)
            return Purged(session, before.number, 0, 0, files, before.dependants, _left(paths, None))
        created = purge.first_event(paths.log, session)
        leavings = purge.find_leavings(paths.log, session)
        _end_processes(paths, session)
        purge.purge_session(paths.log, leavings, actor, why)
        files = _remove_files(paths, session)
        left = (*_left(paths, created), *_left_there(session, created))
        return Purged(
            session, leavings.number, leavings.events, len(leavings.blobs), files, leavings.dependants, left
        )  # fmt: skip
    finally:
        lock.note_end("stopped")
        lock.release()


def _refuse_agents(paths: LogPaths) -> None:
    """An agent that can write the file can do worse; this keeps it from doing so by our own hand."""
    from sessions.log.reader import LogReader

    with LogReader(paths.log) as reader:
        addresses = {summary.session: summary.address for summary in reader.summaries()}
    if job := Callers(paths.sessions, addresses.get).job_of(identity().pid):
        raise ApolloError(f"this is a command of an agent ({job}), and purges nothing")


def _end_processes(paths: LogPaths, session: str) -> None:
    from sessions.log.reader import LogReader

    folder = paths.session_folder(session)
    if folder.is_dir():
        started: list[JobStarted] = []
        # What cannot be read of a damaged session, its jobs' folders tell as far as they can be believed.
        with contextlib.suppress(LogError), LogReader(paths.log) as reader:
            started.extend(job_starts(reader, session))
        asyncio.run(_end_jobs(folder, started))
        Keeper(folder / SPACE).end()


async def _end_jobs(folder: Path, started: Sequence[JobStarted]) -> None:
    await JobManager(folder, started=lambda: started).kill_all()


def _remove_files(paths: LogPaths, session: str) -> int:
    """Remove all files that are the session's alone, and indexes that hold words of all; how many there were."""
    folder = paths.session_folder(session)
    count = measure_folder(folder).files
    if folder.is_dir():
        remove_tree(folder)
    for path in _scattered(paths, session):
        path.unlink(missing_ok=True)
        count += 1
    return count


def _scattered(paths: LogPaths, session: str) -> Iterator[Path]:
    if paths.drafts.is_dir():
        yield from paths.drafts.glob(f"{session}.*")
    index = index_path(paths.folder)
    yield from (path for end in ("", "-wal", "-shm", "-journal") if (path := Path(f"{index}{end}")).exists())


def _left(paths: LogPaths, created: SessionCreated | None) -> tuple[str, ...]:
    copies = tuple(map(str, purge.copies_beside(paths.log)))
    if created is None or not created.in_place or not created.workspace or _other_side(created):
        return copies
    return (*copies, created.workspace)


def _left_there(session: str, created: SessionCreated | None) -> Iterator[str]:
    """Remove what the session had on another side; what of it may still be there."""
    if created is None or not (prefix := _other_side(created)):
        return
    if why := remove_there(prefix, session):
        yield f"~/{PLACE}/{session} where {prefix} leads to, which could not be removed ({why})"
    if created.in_place and created.workspace:
        yield f"{created.workspace} where {prefix} leads to, in which it worked"


def _other_side(created: SessionCreated) -> str:
    contained = created.contained
    return contained.inside if contained is not None and is_remote(contained.inside) else ""
