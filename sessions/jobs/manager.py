"""Starts, finds, reads, feeds and ends the jobs of one session.

What is to be known of them is in their folders, which commands can write: nothing there is followed or waited for, and
whom a signal may reach is known from the log, from the holder itself, or asked of the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sessions import processes
from sessions.clock import now_ms
from sessions.containment.errors import SpaceError
from sessions.containment.spaces import Space
from sessions.errors import ApolloError
from sessions.events import JobEnded, JobStarted
from sessions.jobs import files
from sessions.jobs.holder import READY
from sessions.jobs.job import MOST_SPEC, Job, JobEnd
from sessions.jobs.output import Output, decode_piece
from sessions.jobs.ring_buffer import HEAD, RING, Piece
from sessions.jobs.start_holder import read_first_bytes, read_trouble, start_holder
from sessions.jobs.wait_for_exit import wait_for_exit
from sessions.json_files import create_json, read_json, write_json
from sessions.processes import Identity
from sessions.untrusted_files import opened_folder

GRACE: Final = 3.0
"""Seconds between SIGTERM and SIGKILL."""
REAP_SECONDS: Final = 0.5
START_SECONDS: Final = 60.0
"""For a holder to say that its command runs: a slow disk is waited for, one that hangs is not."""
END_SECONDS: Final = 10.0
"""For processes that were killed to be gone; one that is stuck in the kernel is left."""
INPUT_SECONDS: Final = 30.0
"""For a command to take its input."""
TAIL_BYTES: Final = 1024 * 1024
MOST_JOBS: Final = 10_000
"""Of a folder's jobs, the newest are looked at: a command can make folders without end."""
LAST_NUMBER: Final = 2**31


class JobError(ApolloError):
    """A job cannot be started, found or fed; the text says why."""


class JobManager:
    """The jobs of the session whose folder is ``folder``. Any number of managers may look at the same folder.

    ``started`` tells of those that the log knows: who holds them is then never taken from a file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "jobs",
        head: int = HEAD,
        ring: int = RING,
        space: Space | None = None,
        started: Callable[[], Iterable[JobStarted]] | None = None,
    ) -> None:
        self.folder = folder / kind
        self.space = space or Space()
        self._session_folder = folder
        self._caps = (head, ring)
        self._holders: list[subprocess.Popen[bytes]] = []
        self._known: dict[int, Job] = {}
        """Those of this manager whose holders may run."""
        self._started = started
        self._logged: dict[int, JobStarted] = {}
        """Those of the log, and those of this manager whose holders have ended."""
        self._settled: set[int] = set()
        self._unattended: asyncio.Queue[Job] = asyncio.Queue()

    # --- starting and finding ---

    def next_number(self) -> int:
        """The number of the next job; numbers count from 1 and are never used twice."""
        return max(self._numbers(), default=0) + 1

    async def start(
        self,
        number: int,
        command: str,
        cwd: Path,
        env: Mapping[str, str],
        *,
        origin: str = "",
        tty: bool = False,
        input: bool = False,
        errors: bool = False,
    ) -> Job:
        """Start ``command`` as job ``number``; returns once it runs. Raises JobError if it cannot be started.

        ``env`` is the command's whole environment, but for what the space of the session makes of it. ``input`` keeps
        its standard input open for ``send``; else it reads its end at once. ``tty`` gives it a terminal. ``errors``
        keeps its standard error apart from its output. ``origin`` names the call that wanted it ("41.2").
        """
        folder = self.folder / str(number)
        if number > LAST_NUMBER:
            raise JobError(f"no job can have the number {number}: {self.folder} has a folder that is no job of ours")
        try:
            folder.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise JobError(f"there is a job {number} already") from None
        except OSError as error:
            raise _cannot_start(number, error) from error
        head, ring = self._caps
        try:
            own = {**env, "PYTHONUNBUFFERED": "1", **self._mark(number, env)}
            start = self.space.start_of(command, cwd, own, f"{self.folder.name}/{number}")
        except SpaceError as error:
            raise _cannot_start(number, error) from error
        spec = {
            "number": number,
            "command": command,
            "argv": start.argv,
            "cwd": start.cwd,
            "origin": origin,
            "tty": tty,
            "input": input or tty,
            "errors": errors,
            "head": head,
            "ring": ring,
            "created_at": now_ms(),
            "introduce": True,
        }
        try:
            await asyncio.to_thread(_write, folder, files.SPEC, spec)
            await self.space.open()
            argv = self.space.helper("sessions.jobs.holder", str(folder), detach=True)
            holder, ready = await asyncio.to_thread(start_holder, folder, start.env, argv)
        except (SpaceError, OSError) as error:
            raise _cannot_start(number, error) from error
        self._reap()
        self._holders.append(holder)
        said = await read_first_bytes(ready, START_SECONDS)
        if said is not None and said.startswith(READY):
            alone = not self.space.contains_holders
            job = Job.from_holder(folder, spec, said.removeprefix(READY), alone=alone)
            if job is not None:
                self._known[number] = job
                return job
        await self._give_up(folder, holder)
        if said is None:
            raise JobError(f"job {number} could not be started: its holder said nothing for {START_SECONDS:.0f} s")
        raise JobError(f"job {number} could not be started: {read_trouble(folder)}")

    async def _give_up(self, folder: Path, holder: subprocess.Popen[bytes]) -> None:
        """See to it that nothing is left of a job whose holder died, or hangs, before its command ran."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_claim_for_nobody, folder)
        job = Job.find(folder)
        if job is not None:
            await self._end_holder(job)
        if holder.poll() is None:
            holder.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(holder.wait, END_SECONDS)
        if job is not None:
            await asyncio.to_thread(job.sweep)

    async def _end_holder(self, job: Job) -> None:
        """Kill a holder that does not do its work, and all that is below it."""
        left = await asyncio.to_thread(_below, job.holder) if job.lives() else []
        if job.lives() and job.holder.send(signal.SIGKILL):
            await wait_for_exit([job.holder], END_SECONDS)
            for one in left:
                one.send(signal.SIGKILL)

    def find(self, number: int) -> Job | None:
        """Job ``number``, also after a restart; None if it never ran."""
        return self._known.get(number) or Job.find(self.folder / str(number), self._in_log().get(number))

    def keep(self, job: Job) -> None:
        """Who holds ``job`` is known from now on, and not asked of its files any more."""
        self._logged[job.number] = job.start_event()

    def by_origin(self, origin: str) -> Job | None:
        """The job that the call ``origin`` started; None if it never did."""
        return next((job for job in reversed(self.all()) if job.origin == origin), None)

    def never_ran(self, origin: str) -> bool:
        """Whether the call ``origin`` started no job, and for certain none that is about to run."""
        if self.by_origin(origin):
            return False
        for number in self._numbers():
            folder = self.folder / str(number)
            # A holder that was spawned and has not claimed its job yet finds it claimed.
            if _origin_of(folder) == origin and not _claim_for_nobody(folder):
                return Job.find(folder) is None
        return True

    def all(self) -> list[Job]:
        """All jobs that were ever started, by number."""
        return [job for number in self._numbers() if (job := self.find(number))]

    # --- waiting ---

    async def wait(self, job: Job, timeout: float | None = None) -> JobEnd | None:
        """How ``job`` ended, as soon as it has; None if it still runs after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                pause = 0.005
                while (end := job.end()) is None:
                    watched = [who for who in (job.child, job.holder) if who and who.alive()]
                    if len(watched) == 2:
                        await wait_for_exit(watched, None)
                    # The command has ended: its holder is about to say how.
                    await asyncio.sleep(pause)
                    pause = min(0.5, pause * 2)
        except TimeoutError:
            return None
        # The holder itself ends a moment after its last word.
        asyncio.get_running_loop().call_later(REAP_SECONDS, self._reap)
        if end.how == "lost":
            await asyncio.to_thread(job.sweep)
        return end

    def release(self, job: Job) -> None:
        """Nobody waits for ``job`` any more: ``watch`` reports its end."""
        self._unattended.put_nowait(job)

    def settle(self, number: int) -> bool:
        """Whether the caller is the first to report the end of this job, and so the one who must."""
        first = number not in self._settled
        self._settled.add(number)
        return first

    def unsettle(self, number: int) -> None:
        """The end of this job, which was the caller's to report, could not be reported: ``watch`` does it."""
        self._settled.discard(number)
        if job := self.find(number):
            self.release(job)

    async def watch(self, callback: Callable[[JobEnded], Awaitable[None]], open_jobs: Iterable[int] = ()) -> None:
        """Report the end of each job of ``open_jobs`` and of each that is released, once. Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in open_jobs:
                if job := self.find(number):
                    group.create_task(self._report(job, callback))
                else:
                    await self._tell(JobEnded(job=number, how="lost"), callback)
            while True:
                group.create_task(self._report(await self._unattended.get(), callback))

    async def _report(self, job: Job, callback: Callable[[JobEnded], Awaitable[None]]) -> None:
        end = await self.wait(job)
        if end is not None:
            await self._tell(end.event(job.number), callback)

    async def _tell(self, ended: JobEnded, callback: Callable[[JobEnded], Awaitable[None]]) -> None:
        if not self.settle(ended.job):
            return
        try:
            await callback(ended)
        except asyncio.CancelledError:
            self._settled.discard(ended.job)  # it may not have been told: who watches next looks again
            raise

    # --- reading and feeding ---

    def tail(self, job: Job, limit: int = TAIL_BYTES) -> Output:
        """The newest output of ``job``, at most ``limit`` bytes of it."""
        return decode_piece(job.reader.tail(limit))

    def since(self, job: Job, offset: int, limit: int = TAIL_BYTES) -> Output:
        """The output of ``job`` from byte ``offset`` on, at most ``limit`` bytes; go on at its ``end``."""
        piece = job.reader.read(max(0, offset), limit)
        at_the_end = piece.end >= piece.total and job.state != "running"
        return decode_piece(piece, more_may_come=not at_the_end)

    def ends(self, job: Job, limit: int) -> tuple[Piece, Piece | None]:
        """The whole output if it is kept and within ``limit`` bytes, else its first and its newest half."""
        return job.reader.ends(limit)

    async def send(self, job: Job, text: str, *, eof: bool = False, once: str = "") -> None:
        """Give ``text`` to the command as input, and its end with ``eof``. Raises JobError if it takes none.

        What is sent under a name (``once``) that the command has had something under already is dropped.
        """
        if job.state != "running":
            raise JobError(f"job {job.number} is not running any more")
        if not job.input:
            raise JobError(f"job {job.number} was started without an input")
        # A line break first: a line that a killed host left half written must not swallow ours.
        frame = b"\n" + json.dumps({"text": text, "eof": eof, "once": once}).encode() + b"\n"
        try:
            handle = _open_input(job.folder)
        except OSError:
            raise JobError(f"job {job.number} is not running any more, or has spoilt its input") from None
        try:
            async with asyncio.timeout(INPUT_SECONDS):
                await _write_all(handle, frame)
        except TimeoutError:
            raise JobError(f"job {job.number} has taken no input for {INPUT_SECONDS:.0f} s") from None
        finally:
            os.close(handle)

    # --- ending ---

    async def kill(self, job: Job, *, by: str = "agent", grace: float = GRACE) -> JobEnd | None:
        """End ``job`` and every process that it left, by SIGTERM and, after ``grace`` seconds, SIGKILL.

        ``by``: ``agent`` or ``host``. Returns how it ended; None if it will not die.
        """
        if job.lives():
            # Without its file the holder ends the job all the same, only without knowing for whom.
            with contextlib.suppress(OSError):
                await asyncio.to_thread(_write, job.folder, files.KILL, {"by": by, "grace": grace})
            job.holder.send(signal.SIGTERM)
            await wait_for_exit([job.holder], grace + END_SECONDS)
            if job.lives() and job.end() is None:  # stopped, or stuck: it will not do it
                await self._end_holder(job)
                await asyncio.to_thread(job.sweep)
        return await self.wait(job, timeout=1.0)

    async def kill_all(self, *, by: str = "host", grace: float = GRACE) -> list[Job]:
        """End every job of the session that still has a process, evaluations too; returns those that it ended."""
        others = [JobManager(self._session_folder, kind=kind) for kind in KINDS if kind != self.folder.name]
        living = [(manager, job) for manager in (self, *others) for job in manager.all() if job.lives()]
        await asyncio.gather(*(manager.kill(job, by=by, grace=grace) for manager, job in living))
        return [job for _, job in living]

    def _mark(self, number: int, env: Mapping[str, str]) -> dict[str, str]:
        """What tells whose command it is; that of a job around this one stays (an agent may use Apollo, too)."""
        own = files.mark_of(self.folder / str(number))
        return {files.MARK: " ".join(filter(None, [env.get(files.MARK), own]))}

    def _numbers(self) -> list[int]:
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - names only
        except OSError:
            names = []
        found = sorted(number for name in names if (number := _number(name)))[-MOST_JOBS:]
        return sorted({*found, *self._known, *self._in_log()})

    def _in_log(self) -> dict[int, JobStarted]:
        """Jobs whose holders are known from elsewhere than from their files."""
        if self._started is not None:
            self._logged = {one.job: one for one in self._started()} | self._logged
            self._started = None
        return self._logged

    def _reap(self) -> None:
        """Bury the holders that have ended, so that none stays a zombie for as long as the host lives."""
        self._holders = [holder for holder in self._holders if holder.poll() is None]
        for job in [job for job in self._known.values() if not job.holder.alive()]:
            self.keep(job)
            del self._known[job.number]


NOBODY: Final = {"pid": 0, "start_time": "", "boot_id": ""}
"""The claim of a job that must not start any more."""
KINDS: Final = ("jobs", "evaluations")
"""Folders of a session that hold jobs."""


def _cannot_start(number: int, error: Exception) -> JobError:
    why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return JobError(f"job {number} could not be started: {why}")


def _number(name: str) -> int:
    """The number of the job whose folder has this name; 0 for what is no such name."""
    number = int(name) if name.isascii() and name.isdigit() and len(name) <= len(str(LAST_NUMBER)) else 0
    return number if number <= LAST_NUMBER and str(number) == name else 0


def _write(folder: Path, name: str, value: dict[str, Any]) -> None:
    with opened_folder(folder) as handle:
        write_json(name, value, at=handle)


def _claim_for_nobody(folder: Path) -> bool:
    """Claim a job so that it does not start any more; False if it is claimed. Raises OSError."""
    with opened_folder(folder) as handle:
        return create_json(files.CLAIM, NOBODY, at=handle)


def _origin_of(folder: Path) -> object:
    """Which call wanted the job, as far as its folder says."""
    try:
        with opened_folder(folder) as handle:
            return (read_json(files.SPEC, at=handle, limit=MOST_SPEC) or {}).get("origin")
    except OSError:
        return None


def _open_input(folder: Path) -> int:
    """A handle for writing to a holder's fifo. Raises OSError, also where it is none: nobody's file is written to."""
    with opened_folder(folder) as at:
        handle = os.open(files.INPUT, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    if stat.S_ISFIFO(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "is no fifo", files.INPUT)


def _below(holder: Identity) -> list[Identity]:
    return processes.identities(processes.descendants(holder.pid))


async def _write_all(handle: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(handle, data) :]
        except BlockingIOError:
            await asyncio.sleep(0.02)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise JobError("the job has ended meanwhile") from None
            raise
