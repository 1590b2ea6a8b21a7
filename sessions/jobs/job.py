"""One job as its folder tells it: what was wanted, who runs it, whether it lives, how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from sessions import processes
from sessions.events import JobEnded, JobStarted
from sessions.jobs import files, output
from sessions.jobs.holder import ERROR_BYTES
from sessions.jobs.holder_check import is_holder, is_of_job
from sessions.jobs.ring_buffer import HEAD, RING, RingReader
from sessions.processes import Identity
from sessions.untrusted_files import is_there, open_folder, open_regular, opened_folder, read_regular

JobState = Literal["never_started", "running", "ended", "lost"]
How = Literal["exited", "killed_by_agent", "killed_by_host", "lost"]
LAST_BYTES: Final = 4096
GONE: Final = "the folder of its job was removed while it ran, and its output with it"
SPOILT: Final = "a command has spoilt the folder of its job: {}"
STRANGER: Final = SPOILT.format("claim.json names a process that does not hold it")
MOST_SPEC: Final = 4 * 1024 * 1024
"""Bytes of a job's spec, which holds its command."""
MOST_OTHER: Final = 64 * 1024
"""Bytes of its other files."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a job ended. ``left`` processes of it were still running then, and are held until they end or are killed.

    ``why``: what is known of how it was lost.
    """

    exit_code: int | None
    how: How
    duration_ms: int = 0
    output_bytes: int = 0
    last_line: str = ""
    left: int = 0
    why: str = ""

    def event(self, number: int) -> JobEnded:
        """The event that says so."""
        return JobEnded(
            job=number,
            exit_code=self.exit_code,
            how=self.how,
            duration_ms=self.duration_ms,
            output_bytes=self.output_bytes,
            last_line=self.last_line,
        )


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose holder has claimed it. ``origin`` is the call that started it ("41.2"); ``started_at`` is in ms."""

    number: int
    folder: Path
    command: str
    cwd: str
    origin: str
    tty: bool
    input: bool
    holder: Identity
    child: Identity | None
    started_at: int
    reader: RingReader
    errors: bool = False
    """Whether its standard error is kept apart from its output."""
    space: str = ""
    """The pid namespace that its processes run in, where that is not the host's."""
    number_inside: int = 0
    """What ``child`` is in there."""

    holder_is_known: bool = False
    """Whether ``holder`` is known from the log, or from itself, and not only from files that commands can write."""
    child_is_known: bool = False
    """The same of ``child``."""

    @classmethod
    def find(cls, folder: Path, started: JobStarted | None = None) -> Job | None:
        """The job in ``folder``; None if no holder ever claimed it, so that its command never ran.

        ``started``: what the log knows of it, which holds whatever its command has made of the folder.
        """
        spec = claim = child = None
        ended = False
        with contextlib.suppress(OSError), opened_folder(folder) as handle:
            spec = _read(handle, files.SPEC, _Spec, MOST_SPEC)
            claim = _read(handle, files.CLAIM, _Claim)
            child = _read(handle, files.CHILD, _Child)
            ended = is_there(files.EXIT, at=handle)
        if started is not None:
            holder = Identity(started.pid, started.start_time, started.boot_id)
            known = replace(spec or _Spec(), command=started.command)
            return cls._of(folder, known, holder, claim.space if claim else "", child, ended, holder_is_known=True)
        if spec is None or claim is None or not claim.pid:
            return None
        return cls._of(folder, spec, claim.holder, claim.space, child, ended)

    @classmethod
    def from_holder(cls, folder: Path, spec: dict[str, Any], said: bytes, *, alone: bool) -> Job | None:
        """The job of ``spec`` as its holder ``said`` it, whatever its command has made of the folder since.

        ``alone``: no command of an agent can have said it in the holder's place. None for what no holder says.
        """
        try:
            told = msgspec.json.decode(said, type=_Told)
            wanted = msgspec.convert(spec, _Spec)
        except msgspec.MsgspecError:
            return None
        holder = told.claim.holder
        if holder.alive() and not is_holder(holder.pid, folder):
            return None
        return cls._of(
            folder,
            wanted,
            holder,
            told.claim.space,
            told.child,
            ended=False,
            holder_is_known=True,
            child_is_known=alone,
        )

    @classmethod
    def _of(
        cls,
        folder: Path,
        spec: _Spec,
        holder: Identity,
        space: str,
        child: _Child | None,
        ended: bool,
        *,
        holder_is_known: bool = False,
        child_is_known: bool = False,
    ) -> Job:
        return cls(
            number=int(folder.name),
            folder=folder,
            command=spec.command,
            cwd=spec.cwd,
            origin=spec.origin,
            tty=spec.tty,
            input=spec.input,
            holder=holder,
            child=_child(child, holder, space, ended=ended),
            started_at=spec.created_at if child is None else child.started_at,
            reader=RingReader(folder, spec.head, spec.ring),
            errors=spec.errors,
            space=space,
            number_inside=child.pid if child and space else 0,
            holder_is_known=holder_is_known,
            child_is_known=child_is_known,
        )

    def start_event(self) -> JobStarted:
        """The event that says who runs it."""
        return JobStarted(
            job=self.number,
            command=self.command,
            pid=self.holder.pid,
            start_time=self.holder.start_time,
            boot_id=self.holder.boot_id,
            folder=str(self.folder),
        )

    @property
    def state(self) -> JobState:
        """How it is now. ``lost``: its holder is gone and did not say how the command ended."""
        if self._told() is not None:
            return "ended"
        if self.lives():
            return "running"
        # The holder may have ended in between, in good order.
        return "ended" if self._told() is not None else "lost"

    def lives(self) -> bool:
        """Whether its holder runs. A process that a command only named as such does not count, and gets no signal."""
        return self.holder.alive() and (self.holder_is_known or is_holder(self.holder.pid, self.folder))

    @property
    def is_strange(self) -> bool:
        """Whether its files name a process that runs and does not hold it."""
        return self.holder.alive() and not self.lives()

    def end(self) -> JobEnd | None:
        """How it ended, None while it runs."""
        found = self._told()
        if found is None and self.lives():
            if self._has_folder():
                return None
            if self.child is None or self.child.alive():
                return None
            # Nobody can tell any more how it ended; its holder stays with what it left.
            return JobEnd(None, "lost", why=GONE)
        found = found or self._told()
        said = RingReader(self.folder, ERROR_BYTES, ERROR_BYTES, files.ERRORS) if self.errors else self.reader
        last = output.last_line(output.decode_piece(said.tail(LAST_BYTES)).text)
        if found is None:
            return JobEnd(None, "lost", 0, self.reader.total(), last, why=self._why_lost())
        return _end_of(found, last)

    def sweep(self) -> None:
        """End what a lost job left behind, as far as its command's session tells it."""
        if self.holder.boot_id != processes.boot_id() or self.lives():
            return
        if self.space:
            pids = [one.pid for one in processes.processes_of(self.space) if one.session == self.number_inside]
        else:
            pids = self._session() if self.child is not None else []
        for one in processes.identities(pids):
            if self.child_is_known or is_of_job(one.pid, self.folder):
                one.send(signal.SIGKILL)

    def _session(self) -> list[int]:
        assert self.child is not None
        members = processes.session_members(self.child.pid)
        # The kernel keeps the number while a member lives; a stranger with the pid means that it was given away since.
        if self.child.pid in members and not self.child.alive():
            return []
        return members

    def _told(self) -> _Exit | None:
        try:
            with opened_folder(self.folder) as handle:
                return _read(handle, files.EXIT, _Exit)
        except OSError:
            return None

    def _has_folder(self) -> bool:
        try:
            os.close(open_folder(self.folder))
        except OSError:
            return False
        return True

    def _why_lost(self) -> str:
        try:
            with opened_folder(self.folder) as handle:
                os.close(open_regular(files.EXIT, at=handle))
        except FileNotFoundError:
            return STRANGER if self.is_strange else "" if self._has_folder() else GONE
        except OSError as error:
            return SPOILT.format(f"{Path(error.filename or self.folder).name} {error.strerror}")
        return SPOILT.format(f"{files.EXIT} says nothing that a holder says")


Count = Annotated[int, Meta(ge=0, le=2**53)]
Pid = Annotated[int, Meta(ge=0, lt=2**31)]


class _Spec(msgspec.Struct, frozen=True):
    command: str = ""
    cwd: str = ""
    origin: str = ""
    tty: bool = False
    input: bool = False
    created_at: Count = 0
    head: Annotated[int, Meta(ge=0, le=HEAD)] = HEAD
    ring: Annotated[int, Meta(ge=1, le=RING)] = RING
    errors: bool = False


class _Claim(msgspec.Struct):
    pid: Pid
    start_time: str
    boot_id: str
    space: str = ""

    @property
    def holder(self) -> Identity:
        return Identity(self.pid, self.start_time, self.boot_id)


class _Child(msgspec.Struct):
    pid: Pid
    start_time: str
    started_at: Count


class _Told(msgspec.Struct):
    claim: _Claim
    child: _Child


class _Exit(msgspec.Struct):
    code: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None
    how: How
    duration_ms: Count
    output_bytes: Count
    left: Count


def _read(folder: int, name: str, kind: type[T], limit: int = MOST_OTHER) -> T | None:
    """What a file of the job says; None where there is no such file, or the command has written its own there."""
    try:
        return msgspec.json.decode(read_regular(name, limit, at=folder), type=kind)
    except (OSError, msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _child(told: _Child | None, holder: Identity, space: str, *, ended: bool) -> Identity | None:
    """The command's process as we see it; None where it is not known, or of no use any more."""
    if told is None or (space and ended):
        return None
    pid = told.pid
    if space:
        pid = next((one.pid for one in processes.processes_of(space) if one.number == pid), 0)
    return Identity(pid, told.start_time, holder.boot_id) if pid else None


def _end_of(found: _Exit, last: str) -> JobEnd:
    return JobEnd(
        exit_code=found.code,
        how=found.how,
        duration_ms=found.duration_ms,
        output_bytes=found.output_bytes,
        last_line=last,
        left=found.left,
    )
