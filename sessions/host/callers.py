"""Who is at the other end of a connection: a person's program, or a command of an agent, which may only read.

Looked at once, when the connection is taken: the peer's user, its chain of parents, and the environments that these
were started with. Where the system cannot say (no /proc), everybody counts as a person.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sessions import processes
from sessions.jobs import files
from sessions.jobs.holder_check import HOLDER, KEEPER
from sessions.terminal_text import plain_line

LOOK_SECONDS: Final = 15.0
"""A process can keep its environment from being read for as long as it likes; then it counts as unknown."""
LOOKS: Final = 64
"""At most so many at once."""
SO_PEERPIDFD: Final = 77
HELPERS: Final = (HOLDER, KEEPER)
"""Processes of ours that own commands of an agent: what is below one is the agent's, whatever its environment says."""

AddressOf = Callable[[str], str | None]
"""What a session is called by, by its id; None for one that is not in this log."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The other end. ``why`` it may only read: the end of a sentence, "" for a person's program."""

    pid: int = 0
    program: str = ""
    why: str = ""

    @property
    def is_person(self) -> bool:
        """Whether it may do all that a person may."""
        return not self.why

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.program or 'gone'})"


class Callers:
    """Looks at peers of a host whose sessions have their folders below ``sessions``."""

    def __init__(self, sessions: Path, address_of: AddressOf) -> None:
        self._sessions = sessions
        self._address_of = address_of
        self._under_way = 0

    async def look_at(self, connection: socket.socket) -> Caller:
        """Who is at the other end of ``connection``."""
        if not processes.HAS_PROC:
            return Caller()
        pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        handle = _peer_handle(connection)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._begin(pid, user, handle)
        except TimeoutError:
            return Caller(pid, why="is unknown: its processes could not be looked at")
        finally:
            if handle is not None:
                os.close(handle)

    def job_of(self, pid: int) -> str:
        """Which job of this log ``pid`` belongs to, in words; "" if it belongs to none."""
        return self._job_in(processes.ancestry(pid) or []) if processes.HAS_PROC else ""

    def _begin(self, pid: int, user: int, handle: int | None) -> asyncio.Future[Caller]:
        """Look in a thread of its own, which a host that ends does not wait for."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Caller] = loop.create_future()

        def settle(caller: Caller) -> None:
            if not found.done():
                found.set_result(caller)

        def look() -> None:
            try:
                caller = self._look(pid, user, handle)
            except Exception as error:  # noqa: BLE001 - who cannot be looked at is unknown
                caller = Caller(pid, why=f"is unknown: {type(error).__name__} while it was looked at")
            finally:
                self._under_way -= 1
            with contextlib.suppress(RuntimeError):  # the host has ended
                loop.call_soon_threadsafe(settle, caller)

        if self._under_way >= LOOKS:
            settle(Caller(pid, why="is unknown: too many connect at once"))
        else:
            self._under_way += 1
            threading.Thread(target=look, name="caller", daemon=True).start()
        return found

    def _look(self, pid: int, user: int, handle: int | None) -> Caller:
        program = plain_line(processes.program(pid)) if pid > 0 else ""
        if user != os.getuid():
            return Caller(pid, program, f"belongs to another user (uid {user})")
        chain = processes.ancestry(pid) if pid > 0 else None
        if chain is None:
            return Caller(pid, program, "is unknown: its process is gone, or not to be seen from here")
        job = self._job_in(chain)
        # Only now: what was looked at was the peer only if the peer lives, because pids are used again.
        if not _lives(handle, pid):
            return Caller(pid, program, "is unknown: its process is gone")
        return Caller(pid, program, f"is a command of an agent ({job})" if job else "")

    def _job_in(self, chain: list[processes.Ancestor]) -> str:
        # The eldest first: a holder is ours, and what is below it may be made to be slow to read.
        for one in reversed(chain):
            for place in (*self._places(processes.command_line(one.pid)), *_marks(one.pid)):
                if said := self._say(place):
                    return said
        return ""

    def _places(self, words: list[str]) -> Iterator[str]:
        """What a holder or keeper of this log holds, as a mark would say it."""
        if any(helper in words for helper in HELPERS):
            for word in words:
                if word.startswith(f"{self._sessions}/"):
                    yield word.removeprefix(f"{self._sessions}/")

    def _say(self, place: str) -> str:
        """``SESSION/jobs/3`` in words; "" if it is of no session of this log."""
        session, *rest = place.split("/")
        address = self._address_of(session)
        if address is None:
            return ""
        match rest:
            case ["jobs", job] if job.isdigit():
                return f"job {job} of session {address}"
            case ["evaluations", job] if job.isdigit():
                return f"evaluation {job} of session {address}"
            case _:
                return f"session {address}"


def _marks(pid: int) -> list[str]:
    return processes.first_environment(pid).get(files.MARK, "").split()


def _peer_handle(connection: socket.socket) -> int | None:
    """A handle of the very process that connected, which cannot become another's; None where there is none."""
    try:
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    except OSError:
        return None


def _lives(handle: int | None, pid: int) -> bool:
    if handle is None:
        return processes.runs(pid)
    try:
        signal.pidfd_send_signal(handle, 0)
    except OSError:
        return False
    return processes.runs(pid)
