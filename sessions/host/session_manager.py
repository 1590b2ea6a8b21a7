"""The sessions that a host runs: who has a runner, who goes on after a restart, and how all come to rest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Final, Literal, Protocol

from sessions.events import NewEvent, SessionRecovered, StateChanged
from sessions.events.states import ACTIVE, REBOOTED, RESTARTING, STOPPED
from sessions.fold.summary import IllegalTransition, Summary
from sessions.log.errors import LogClosed, LogError, LogUnavailable
from sessions.log.reader import LogReader
from sessions.log.writer import LogWriter

After = Literal["start", "crash", "restart", "reboot"]

TAKE_OVER_PAUSE: Final = 0.5
"""Seconds between tries to take over a session while the log cannot be had."""

_log = logging.getLogger(__name__)


class Runner(Protocol):
    """One session's life, as the host drives it (sessions.agent.runner.SessionRunner).

    It looks at the log for what it is to do, so the event that says so is committed before it is told.
    """

    def start(self) -> None:
        """Come to life, and do what the log says."""

    def look_for_advice(self) -> None:
        """Advice was queued, edited or withdrawn."""

    def resume(self) -> None:
        """Come to life, and go on after a pause by the host."""

    def hold(self, reason: str) -> None:
        """Pause at the boundary, by the host and for this reason."""

    async def close(self) -> None:
        """End at once and leave the log as it is."""


RunnerFactory = Callable[[str], Runner]


class SessionManager:
    """All runners of a host, one per session, made when first needed."""

    def __init__(self, factory: RunnerFactory, writer: LogWriter, reader: LogReader) -> None:
        self._factory = factory
        self._writer = writer
        self._reader = reader
        self._runners: dict[str, Runner] = {}
        self._commits = asyncio.Event()
        writer.subscribe(lambda _: self._commits.set())

    def runner(self, session: str) -> Runner:
        """The runner of ``session``."""
        found = self._runners.get(session)
        if found is None:
            found = self._runners[session] = self._factory(session)
        return found

    def active(self) -> list[Summary]:
        """The sessions that are running, sleeping or on a job."""
        return [summary for summary in self._writer.summaries().values() if summary.state in ACTIVE]

    def states(self) -> dict[str, str]:
        """State of every session that has a runner."""
        summaries = self._writer.summaries()
        return {session: summaries[session].state for session in self._runners if session in summaries}

    async def recover(self, after: After, *, resume: bool = False) -> None:
        """Take over what an earlier host left. After a crash or a restart its sessions go on, else they are held.

        ``resume`` (a line in the config): they go on in any case. Jobs are watched in any case. What a person asked
        for and no host got to do is done after a crash.
        """
        for summary in sorted(self._writer.summaries().values(), key=lambda each: each.number):
            if summary.origin == "import":
                continue
            try:
                while True:
                    try:
                        await self._take_over(summary, after, resume)
                        break
                    except LogUnavailable as error:
                        _log.warning("session %s waits to be taken over: %s", summary.address, error)
                        await asyncio.sleep(TAKE_OVER_PAUSE)
                        await self._writer.wait_until_available()
            except LogClosed:
                raise
            except Exception as error:  # noqa: BLE001 - one session that cannot be had must not keep the others waiting
                _log.exception("session %s cannot be taken over", summary.address)
                await self._needs_person(summary, error)

    async def _take_over(self, summary: Summary, after: After, resume: bool) -> None:
        goes_on = resume or after in ("crash", "restart")
        waited = {RESTARTING, STOPPED, REBOOTED} if resume else {RESTARTING}
        if summary.state in ACTIVE and not goes_on:
            # A runner is there already: a person resumed or made it since this very host began to listen.
            if summary.session not in self._runners:
                await self._hold(summary, REBOOTED if after == "reboot" else STOPPED)
        elif goes_on and summary.state == "paused" and summary.reason in waited:
            self.runner(summary.session).resume()
        elif goes_on and (_is_at_work(summary) or await asyncio.to_thread(self._has_open_request, summary.session)):
            self.runner(summary.session).start()
        if summary.open_jobs:
            self.runner(summary.session).start()

    async def rest(self, reason: str, seconds: float) -> list[Summary]:
        """Hold every active session at its boundary, end all runners, and return who was cut off after ``seconds``."""
        for summary in self.active() if seconds > 0 else ():
            self.runner(summary.session).hold(reason)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.active() and loop.time() < deadline:
            self._commits.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._commits.wait()
        await self.close()
        return self.active()

    async def close(self) -> None:
        """End all runners; their sessions' states stay as they are."""
        runners = list(self._runners.values())
        self._runners.clear()
        for result in await asyncio.gather(*(runner.close() for runner in runners), return_exceptions=True):
            if isinstance(result, BaseException):
                _log.error("a session did not end cleanly", exc_info=result)

    async def _hold(self, summary: Summary, reason: str) -> None:
        """Pause a session that no runner works at; the time since its last event was not active time."""
        session = summary.session
        await self._writer.append(
            NewEvent(session, SessionRecovered(last_at=summary.last_at, host_pid=os.getpid())),
            NewEvent(session, StateChanged(state="paused", reason=reason)),
        )

    async def _needs_person(self, summary: Summary, error: Exception) -> None:
        if summary.state in ACTIVE or summary.state == "paused":
            reason = f"it could not be taken over ({type(error).__name__}: {error}); the host's log has the details"
            state = StateChanged(state="needs_you", need="other", reason=" ".join(reason.split()))
            try:
                await self._writer.append(NewEvent(summary.session, state))
            except LogClosed:
                raise
            except (LogError, IllegalTransition) as refused:
                _log.error("session %s needs a person, which the log does not take: %s", summary.address, refused)

    def _has_open_request(self, session: str) -> bool:
        """Whether the session's state has not changed since something was asked for last."""
        asked = self._reader.events(session, kinds={"control.requested"}, newest_first=True, limit=1)
        if not asked:
            return False
        return not self._reader.events(session, after=asked[0].seq, kinds={"session.state"}, limit=1)


def _is_at_work(summary: Summary) -> bool:
    return summary.state in ACTIVE or (summary.state == "needs_you" and bool(summary.open_question))
