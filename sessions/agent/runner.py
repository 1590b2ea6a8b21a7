"""The life of one session: a single task that works while the session is active and rests while it is not.

What a person asks for is committed by the host before the runner hears of it; the runner then looks at the log. So a
runner can be dropped at any moment, and a new one goes on from the same log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from sessions import events as ev
from sessions.agent.advice import held_for
from sessions.agent.loop import Loop
from sessions.agent.session import Need, NeedsPerson, Scope, Services
from sessions.agent.wakeup import cancel, first_of
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.summary import IllegalTransition
from sessions.log.errors import LogClosed, LogError
from sessions.providers.base import ProviderError
from sessions.tools.base import Tool
from sessions.tools.registry import NO_TOOLS
from sessions.tools.task_environment import BadEnvironment, environment_tools


async def recover(scope: Scope) -> None:
    """Commit that the session was taken over, if it was at work; what comes next follows from its log.

    An attempt that was under way is counted as failed, so that the request is sent again as a new attempt. A wait
    whose action has ended already is over.
    """
    summary = scope.summary
    asking = summary.state == "needs_you" and summary.need == "question"
    if summary.state not in ACTIVE and not asking:
        return
    position = scope.position()
    bodies: list[ev.Body] = [ev.SessionRecovered(last_at=summary.last_at, host_pid=os.getpid())]
    if position.open_request is not None and not position.unfinished and scope.playback is None:
        bodies.append(
            ev.ModelAttemptFailed(
                request=position.open_request.seq,
                attempt=position.attempts + 1,
                reason="cut",
                message="the host ended while the reply was under way",
                retry_ms=0,
            )
        )
    if (asking or summary.state != "running") and not position.unfinished:
        bodies.append(ev.StateChanged(state="running"))
    await scope.commit(*bodies, step=position.open_request.step if position.open_request else None)


GO: Final = frozenset({"start", "resume", "reopen", "next"})
"""Controls that set a resting session going."""
LOG_PAUSE: Final = 5.0
"""Seconds between tries to write to a log that cannot be written."""

_log = logging.getLogger(__name__)


class SessionRunner:
    """Runs one session. All methods but ``close`` return at once; what they cause is in the log once it is so."""

    def __init__(self, session: str, services: Services) -> None:
        self.session = session
        self._services = services
        self._scope = Scope(session, services)
        self._task: asyncio.Task[None] | None = None
        self._loop: Loop | None = None
        self._hold = ""
        self._go = False

    # --- what the host calls, after it has committed the event that says so ---

    def start(self) -> None:
        """Come to life, or look again: the session goes on from where its log is, and does what that asks for."""
        self._hold = ""
        self._wake()

    def resume(self) -> None:
        """Go on after a pause by the host, for which the log holds no control."""
        self._go = self._scope.summary.state not in ACTIVE
        self.start()

    def advice_changed(self) -> None:
        """Advice was queued, edited, withdrawn or made urgent."""
        self._wake()

    def hold(self, reason: str) -> None:
        """Pause at the boundary, by the host and for this reason; jobs go on. Nothing if the session is at rest."""
        self._hold = reason
        self._wake()

    async def close(self) -> None:
        """Drop everything at once, as a crash would; the session's state stays as it is."""
        if self._task is not None:
            await cancel(self._task)

    @property
    def failure(self) -> BaseException | None:
        """What ended the task, if it should not have ended."""
        task = self._task
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._live(), name=f"session {self.session}")
        self._scope.bell.ring()

    # --- the life ---

    async def _live(self) -> None:
        scope = self._scope
        # Before anything else is committed: the time of the newest event tells how long nobody was at work.
        alive = await self._guarded(lambda: recover(scope))
        open_jobs = [job.job for job in scope.summary.open_jobs]
        watching = asyncio.create_task(self._watch_jobs(open_jobs), name=f"jobs of {self.session}")
        try:
            while alive:
                alive = await self._guarded(self._work)
        finally:
            await cancel(watching)

    async def _work(self) -> None:
        """One piece of the session's life, up to where the log is to be looked at again."""
        scope, summary = self._scope, self._scope.summary
        if summary.state in ACTIVE:
            self._go = False
            if self._hold:
                await scope.commit(ev.StateChanged(state="paused", reason=self._hold))
                self._hold = ""
            else:
                await self._turn()
        elif summary.state == "needs_you" and summary.need == "question":
            await self._turn()
        else:
            await self._rest()

    async def _turn(self) -> None:
        if self._loop is None:
            try:
                own = await self._environment()
                self._loop = Loop(self._scope, lambda: bool(self._hold) or self._scope.summary.pending == "pause", own)
            except Exception as error:  # whatever it is, it has to do with this session alone
                if self._scope.summary.step:
                    raise
                _log.exception("%s could not start", self._scope.name)
                await self._scope.commit(ev.StateChanged(state="failed", reason=f"could not start: {error}"))
                return
        await self._loop.turn()

    async def _environment(self) -> Mapping[str, Tool]:
        """The tools of the task's own environment, imported off the event loop. Raises NeedsPerson.

        A recording needs neither tools nor a workspace.
        """
        scope, spec = self._scope, self._scope.created.environment
        if scope.playback is not None:
            return NO_TOOLS
        make = partial(environment_tools, spec, session=self.session, workspace=scope.workspace, folder=scope.folder)
        try:
            own = NO_TOOLS if spec is None else await asyncio.to_thread(make)
        except BadEnvironment as error:
            raise NeedsPerson("other", f"{error}; then resume") from error
        if not scope.workspace.is_dir():
            raise NeedsPerson("other", f"the workspace {scope.workspace} is gone; bring it back, then resume")
        return own

    async def _rest(self) -> None:
        """Wait at rest until a person, or the host, wants something that changes that."""
        scope = self._scope
        rung = scope.bell.listen()
        summary = scope.summary
        if self._loop is not None:
            self._loop.rest()
        verb, actor = scope.asked_for()
        # Who asks for a person after too many nudges is answered by advice.
        advised = held_for(summary, scope.now()) if summary.need == "nudges" and not verb else None
        if summary.state == "archived":
            await rung.wait()
        elif verb in GO or self._go or (advised is not None and advised <= 0):
            self._go = False
            await scope.commit(ev.StateChanged(state="running"), actor=actor or "host")
        elif verb == "stop" and summary.state not in ENDED:
            await scope.end("stopped", actor)
        elif verb == "pause" and summary.state in ("created", "needs_you"):
            await scope.commit(ev.StateChanged(state="paused"), actor=actor)
        elif advised is not None:
            await first_of(rung.wait(), scope.services.sleep(advised))
        else:
            await rung.wait()

    async def _watch_jobs(self, open_jobs: Sequence[int]) -> None:
        """Tell the ends of jobs that nobody waits for, for as long as the runner lives."""
        while True:
            try:
                await self._services.jobs_for(self.session).watch(self._job_ended, open_jobs)
            except Exception:  # noqa: BLE001 - one job that cannot be looked at must not hide the ends of the others
                _log.exception("%s: its jobs cannot be watched", self._scope.name)
            await self._services.sleep(LOG_PAUSE)
            open_jobs = [job.job for job in self._scope.summary.open_jobs]

    async def _job_ended(self, ended: ev.JobEnded) -> None:
        """Commit the end of a job; a log that cannot be written is tried again until it can."""
        while True:
            try:
                await self._scope.commit(ended)
            except LogClosed:
                return  # a later host finds the job again, and tells then
            except LogError as error:
                _log.error("%s: the end of job %d is not in the log yet: %s", self._scope.name, ended.job, error)
                await self._services.sleep(LOG_PAUSE)
            else:
                return

    # --- when something goes wrong ---

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work``; what goes wrong ends in "needs you", never in a dead session. False: the log is closed."""
        try:
            await work()
        except LogClosed:
            return False
        except NeedsPerson as need:
            return await self._need(need.need, str(need))
        except ProviderError as error:  # a profile that the adapter cannot use; what an attempt meets never comes here
            return await self._need("provider", str(error))
        except Exception as error:  # noqa: BLE001 - a session never dies of an exception
            _log.exception("%s met an error of our own", self._scope.name)
            told = f"an error in Apollo itself ({type(error).__name__}: {error}); the host's log has the details"
            return await self._need("other", told)
        return True

    async def _need(self, need: Need, reason: str) -> bool:
        """Commit that a person is needed; a log that cannot be written is tried again until it can."""
        change = ev.StateChanged(state="needs_you", need=need, reason=" ".join(reason.split()))
        summary = self._scope.summary
        if (summary.state, summary.need, summary.reason) == (change.state, change.need, change.reason):
            # Said already: what fails at rest fails at once again, and must neither fill the log nor spin.
            await self._services.sleep(LOG_PAUSE)
            return True
        while True:
            try:
                await self._scope.commit(change)
            except LogClosed:
                return False
            except IllegalTransition as error:
                # Somebody else changed the state meanwhile; what the log says holds.
                _log.error("%s: %s", self._scope.name, error)
                await self._services.sleep(LOG_PAUSE)
            except LogError as error:
                _log.error("%s stands still: %s", self._scope.name, error)
                await self._services.sleep(LOG_PAUSE)
                continue
            return True
