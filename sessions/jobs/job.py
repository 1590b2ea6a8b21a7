"""One job as its folder tells it: what was wanted, who runs it, whether it lives, how it ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from sessions import processes
from sessions.events import JobEnded, JobStarted
from sessions.jobs import files, output
from sessions.jobs.holder import ERROR_BYTES
from sessions.jobs.ring_buffer import HEAD, RING, RingReader
from sessions.json_files import read_json
from sessions.processes import Identity

JobState = Literal["never_started", "running", "ended", "lost"]
How = Literal["exited", "killed_by_agent", "killed_by_host", "lost"]
LAST_BYTES = 4096
GONE = "the folder of its job was removed while it ran, and its output with it"
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

    @classmethod
    def find(cls, folder: Path) -> Job | None:
        """The job in ``folder``; None if no holder ever claimed it, so that its command never ran."""
        spec = _read(folder / files.SPEC, _Spec)
        claim = _read(folder / files.CLAIM, _Claim)
        if spec is None or claim is None or not claim.pid:
            return None
        return cls._of(folder, spec, claim, _read(folder / files.CHILD, _Child))

    @classmethod
    def from_holder(cls, folder: Path, spec: dict[str, Any], said: bytes) -> Job | None:
        """The job of ``spec`` as its holder ``said`` it, whatever its command has made of the folder since."""
        try:
            told = msgspec.json.decode(said, type=_Told)
            return cls._of(folder, msgspec.convert(spec, _Spec), told.claim, told.child)
        except msgspec.MsgspecError:
            return None

    @classmethod
    def _of(cls, folder: Path, spec: _Spec, claim: _Claim, child: _Child | None) -> Job:
        holder = Identity(claim.pid, claim.start_time, claim.boot_id)
        return cls(
            number=spec.number,
            folder=folder,
            command=spec.command,
            cwd=spec.cwd,
            origin=spec.origin,
            tty=spec.tty,
            input=spec.input,
            holder=holder,
            child=_child(child, holder, claim.space, ended=(folder / files.EXIT).exists()),
            started_at=spec.created_at if child is None else child.started_at,
            reader=RingReader(folder, spec.head, spec.ring),
            errors=spec.errors,
            space=claim.space,
            number_inside=child.pid if child and claim.space else 0,
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
        if self.holder.alive():
            return "running"
        # The holder may have ended in between, in good order.
        return "ended" if self._told() is not None else "lost"

    def _told(self) -> _Exit | None:
        return _read(self.folder / files.EXIT, _Exit)

    def end(self) -> JobEnd | None:
        """How it ended, None while it runs."""
        found = self._told()
        if found is None and self.holder.alive():
            if self.folder.is_dir():
                return None
            if self.child is None or self.child.alive():
                return None
            # Nobody can tell any more how it ended; its holder stays with what it left.
            return JobEnd(None, "lost", why=GONE)
        found = found or self._told()
        said = RingReader(self.folder / files.ERRORS, ERROR_BYTES, ERROR_BYTES) if self.errors else self.reader
        last = output.last_line(output.decode_piece(said.tail(LAST_BYTES)).text)
        if found is None:
            return JobEnd(None, "lost", 0, self.reader.total(), last, why="" if self.folder.is_dir() else GONE)
        return _end_of(found, last)

    def sweep(self) -> None:
        """End what a lost job left behind, as far as its command's session tells it."""
        if self.holder.boot_id != processes.boot_id() or self.holder.alive():
            return
        if self.space:
            members = [one for one in processes.processes_of(self.space) if one.session == self.number_inside]
            processes.send_all((one.pid for one in members), signal.SIGKILL)
        elif self.child is not None:
            processes.send_all(self._session(), signal.SIGKILL)

    def _session(self) -> list[int]:
        assert self.child is not None
        members = processes.session_members(self.child.pid)
        # The kernel keeps the number while a member lives; a stranger with the pid means that it was given away since.
        if self.child.pid in members and not self.child.alive():
            return []
        return members


class _Spec(msgspec.Struct):
    number: int
    command: str
    cwd: str
    origin: str
    tty: bool
    input: bool
    created_at: int
    head: int = HEAD
    ring: int = RING
    errors: bool = False


class _Claim(msgspec.Struct):
    pid: int
    start_time: str
    boot_id: str
    space: str = ""


class _Child(msgspec.Struct):
    pid: int
    start_time: str
    started_at: int


class _Told(msgspec.Struct):
    claim: _Claim
    child: _Child


class _Exit(msgspec.Struct):
    code: int | None
    how: How
    duration_ms: int
    output_bytes: int
    left: int


def _read(path: Path, kind: type[T]) -> T | None:
    """What a file of the job says; None where there is no such file, or the command has written its own there."""
    try:
        return msgspec.convert(read_json(path), kind)
    except msgspec.ValidationError:
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
