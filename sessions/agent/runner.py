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
from typing import Final, Protocol

from sessions import events as ev
from sessions.agent.advice import seconds_to_delivery
from sessions.agent.loop import Loop
from sessions.agent.session import Need, NeedsPerson, Session
from sessions.agent.wakeup import cancel, wait_for_any
from sessions.events.states import ACTIVE, ENDED
from sessions.fold.summary import IllegalTransition
from sessions.log.errors import LogClosed, LogError, LogReadFailed, LogUnavailable
from sessions.providers.base import ProviderError
from sessions.tools.base import Tool
from sessions.tools.registry import NO_TOOLS
from sessions.tools.task_environment import BadEnvironment, environment_tools

GO: Final = frozenset({"start", "resume", "reopen", "next", "hold"})
"""Controls that set a resting session going."""
GO_ON: Final = frozenset({"drop", "shorten", "retry"})
"""Controls that set one going that needs a person; one that is paused stays so."""
LOG_PAUSE: Final = 5.0
"""Seconds between tries to write to a log that cannot be written."""

_log = logging.getLogger(__name__)


async def recover_session(session: Session) -> None:
    """Commit that the session was taken over, if it was at work; what comes next follows from its log.

    An attempt that was under way is counted as failed, so that the request is sent again as a new attempt. A wait
    whose action has ended already is over.
    """
    summary = session.summary
    asking = summary.state == "needs_you" and summary.need == "question"
    if summary.state not in ACTIVE and not asking:
        return
    point = session.resume_point()
    bodies: list[ev.Body] = [ev.SessionRecovered(last_at=summary.last_at, host_pid=os.getpid())]
    if point.open_request is not None and not point.open_calls and session.playback is None:
        bodies.append(
            ev.ModelAttemptFailed(
                request=point.open_request.seq,
                attempt=point.attempts + 1,
                reason="cut",
                message="the host ended while the reply was under way",
                retry_ms=0,
                # What was handed over of it nobody can say any more.
                delivered="partial" if summary.passes_replies else "",
            )
        )
    if (asking or summary.state != "running") and not point.open_calls:
        bodies.append(ev.StateChanged(state="running"))
    await session.commit(*bodies, step=point.open_request.step if point.open_request else None)


class Turns(Protocol):
    """The work of an active session, turn by turn, each of which begins with a look at the log."""

    async def turn(self) -> None:
        """Do what comes next. Raises NeedsPerson."""

    def rest(self) -> None:
        """Hold nothing in memory while nothing happens."""

    async def leave(self) -> None:
        """The session ends while it is at rest."""


MakeTurns = Callable[[Session, Callable[[], bool]], Turns]
"""``make(session, yields)``; ``yields`` says whether the session is to come to rest."""


class SessionRunner:
    """Runs one session. All methods but ``close`` return at once; what they cause is in the log once it is so.

    ``turns`` makes its work, where that is not the loop of our own agent.
    """

    def __init__(self, session: Session, turns: MakeTurns | None = None) -> None:
        self._services = session.services
        self._session = session
        self._make_turns = turns
        self._task: asyncio.Task[None] | None = None
        self._loop: Turns | None = None
        self._hold = ""
        self._go = False

    # --- what the host calls, after it has committed the event that says so ---

    def start(self) -> None:
        """Come to life, or look again: the session goes on from where its log is, and does what that asks for."""
        self._hold = ""
        self._wake()

    def resume(self) -> None:
        """Go on after a pause by the host, for which the log holds no control."""
        self._go = self._session.summary.state not in ACTIVE
        self.start()

    def look_for_advice(self) -> None:
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
            self._task = asyncio.create_task(self._live(), name=f"session {self._session.id}")
        self._session.wakeup.wake()

    # --- the life ---

    async def _live(self) -> None:
        session = self._session
        # Before anything else is committed: the time of the newest event tells how long nobody was at work.
        alive = await self._guard(lambda: recover_session(session))
        open_jobs = [job.job for job in session.summary.open_jobs]
        watching = asyncio.create_task(self._watch_jobs(open_jobs), name=f"jobs of {self._session.id}")
        try:
            while alive:
                alive = await self._guard(self._work)
                await asyncio.sleep(0)  # whatever it was, the other sessions have their turn
        finally:
            await cancel(watching)

    async def _work(self) -> None:
        """One piece of the session's life, up to where the log is to be looked at again."""
        session, summary = self._session, self._session.summary
        if summary.state in ACTIVE:
            self._go = False
            if self._hold:
                await session.commit(ev.StateChanged(state="paused", reason=self._hold))
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
                if self._make_turns is not None:
                    self._loop = self._make_turns(self._session, self._yields)
                else:
                    self._loop = Loop(self._session, self._yields, own)
            except LogUnavailable:
                raise
            except Exception as error:  # whatever it is, it has to do with this session alone
                if self._session.summary.step:
                    raise
                _log.exception("%s could not start", self._session.name)
                await self._session.commit(ev.StateChanged(state="failed", reason=f"could not start: {error}"))
                return
        await self._loop.turn()

    def _yields(self) -> bool:
        return bool(self._hold) or self._session.summary.pending == "pause"

    async def _environment(self) -> Mapping[str, Tool]:
        """The tools of the task's own environment, imported off the event loop. Raises NeedsPerson.

        A recording needs neither tools nor a workspace.
        """
        session, spec = self._session, self._session.created.environment
        if session.playback is not None:
            return NO_TOOLS
        make = partial(
            environment_tools, spec, session=self._session.id, workspace=session.workspace, folder=session.folder
        )
        try:
            own = NO_TOOLS if spec is None else await asyncio.to_thread(make)
        except BadEnvironment as error:
            raise NeedsPerson("other", f"{error}; then resume") from error
        contained = session.created.contained
        if not (contained is not None and contained.there) and not session.workspace.is_dir():
            raise NeedsPerson("other", f"the workspace {session.workspace} is gone; bring it back, then resume")
        return own

    async def _rest(self) -> None:
        """Wait at rest until a person, or the host, wants something that changes that."""
        session = self._session
        woken = session.wakeup.listen()
        summary = session.summary
        if self._loop is not None:
            self._loop.rest()
        verb, actor = session.newest_request()
        # Who asks for a person after too many nudges is answered by advice.
        advised = seconds_to_delivery(summary, session.now()) if summary.need == "nudges" and not verb else None
        if summary.state == "archived":
            await woken.wait()
        elif self._go or self._lets_go_on(verb) or (advised is not None and advised <= 0):
            self._go = False
            await session.commit(ev.StateChanged(state="running"), actor=actor or "host")
        elif verb == "stop" and summary.state not in ENDED:
            await self._leave()
            await session.end("stopped", actor)
        elif verb == "pause" and summary.state in ("created", "needs_you"):
            await session.commit(ev.StateChanged(state="paused"), actor=actor)
        elif advised is not None:
            await wait_for_any(woken.wait(), session.services.sleep(advised))
        else:
            await woken.wait()

    async def _leave(self) -> None:
        """The session is stopped where it stands: a reply that nothing came of is left out."""
        session = self._session
        if session.summary.need == "gate" and (held := session.resume_point().reply) is not None:
            await session.commit(ev.ReplySuperseded(old=held.seq), step=held.step)
        if self._loop is not None:
            await self._loop.leave()

    def _lets_go_on(self, verb: str) -> bool:
        return verb in GO or (verb in GO_ON and self._session.summary.state == "needs_you")

    async def _watch_jobs(self, open_jobs: Sequence[int]) -> None:
        """Tell the ends of jobs that nobody waits for, for as long as the runner lives."""
        while True:
            try:
                await self._services.jobs_for(self._session.id).watch(self._commit_job_end, open_jobs)
            except Exception:  # noqa: BLE001 - one job that cannot be looked at must not hide the ends of the others
                _log.exception("%s: its jobs cannot be watched", self._session.name)
            await self._services.sleep(LOG_PAUSE)
            open_jobs = [job.job for job in self._session.summary.open_jobs]

    async def _commit_job_end(self, ended: ev.JobEnded) -> None:
        """Commit the end of a job; a log that cannot be written is tried again until it can."""
        while True:
            try:
                await self._session.commit(ended)
                self._session.wakeup.wake()  # a harness that has ended asks for nothing any more
            except LogClosed:
                return  # a later host finds the job again, and tells then
            except LogError as error:
                _log.error("%s: the end of job %d is not in the log yet: %s", self._session.name, ended.job, error)
                await self._services.sleep(LOG_PAUSE)
            else:
                return

    # --- when something goes wrong ---

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do ``work``; what goes wrong ends in "needs you", never in a dead session. False: the log is closed."""
        try:
            await work()
        except LogClosed:
            return False
        except NeedsPerson as need:
            return await self._need(need.need, str(need))
        except ProviderError as error:  # a profile that the adapter cannot use; what an attempt meets never comes here
            return await self._need("provider", str(error))
        except LogUnavailable as error:
            # As good as a log that cannot be written: what comes next follows from it, once it can be read.
            _log.warning("%s waits: %s", self._session.name, error)
            await self._services.sleep(LOG_PAUSE)
        except LogReadFailed as error:
            return await self._need("other", f"{error}; 'apollo doctor --deep' says what is damaged")
        except Exception as error:  # noqa: BLE001 - a session never dies of an exception
            _log.exception("%s met an error of our own", self._session.name)
            reason = f"an error in Apollo itself ({type(error).__name__}: {error}); the host's log has the details"
            return await self._need("other", reason)
        return True

    async def _need(self, need: Need, reason: str) -> bool:
        """Commit that a person is needed; a log that cannot be written is tried again until it can."""
        change = ev.StateChanged(state="needs_you", need=need, reason=" ".join(reason.split()))
        summary = self._session.summary
        if (summary.state, summary.need, summary.reason) == (change.state, change.need, change.reason):
            # Said already: what fails at rest fails at once again, and must neither fill the log nor spin.
            await self._services.sleep(LOG_PAUSE)
            return True
        while True:
            try:
                await self._session.commit(change)
            except LogClosed:
                return False
            except IllegalTransition as error:
                # Somebody else changed the state meanwhile; what the log says holds.
                _log.error("%s: %s", self._session.name, error)
                await self._services.sleep(LOG_PAUSE)
            except LogError as error:
                _log.error("%s stands still: %s", self._session.name, error)
                await self._services.sleep(LOG_PAUSE)
                continue
            return True
