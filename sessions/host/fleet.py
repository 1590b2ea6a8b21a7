"""The sessions that a host runs: who has a runner, who goes on after a restart, and how all come to rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

from sessions.fold.summary import Summary
from sessions.log.events import ControlRequested
from sessions.log.reader import LogReader
from sessions.log.states import ACTIVE
from sessions.log.writer import LogWriter

After = Literal["start", "crash", "restart", "reboot"]

RESTARTING: Final = "the host restarts"
"""Reason of the pause in which a session waits for a restart of its host; it goes on by itself after that."""

_log = logging.getLogger(__name__)


class Runner(Protocol):
    """One session's life, as the host drives it (sessions.agent.runner.SessionRunner)."""

    def start(self) -> None:
        """Go on from where the log says that the session is."""

    def request_pause(self) -> None:
        """Pause at the boundary."""

    def resume(self) -> None:
        """Go on after a pause, a need or an end."""

    def stop(self) -> None:
        """End the session and its jobs."""

    def interrupt(self) -> None:
        """Cancel the reply under way."""

    def advice_changed(self) -> None:
        """Advice was queued, edited or withdrawn."""

    def answer_arrived(self) -> None:
        """The open question has an answer in the log."""

    def next_boundary(self) -> None:
        """Go on for one step, then pause again."""

    def hold(self, reason: str) -> None:
        """Pause at the boundary, by the host and for this reason."""

    async def close(self) -> None:
        """End at once and leave the session's state as it is."""


RunnerFactory = Callable[[str], Runner]


class Fleet:
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

        ``resume`` (a line in the config): they go on in any case. What a person asked for and no host got to do
        is done after a crash.
        """
        goes_on = resume or after in ("crash", "restart")
        why = "the machine was rebooted" if after == "reboot" else "the host was stopped"
        for summary in sorted(self._writer.summaries().values(), key=lambda each: each.number):
            if summary.origin == "import":
                continue
            waiting = summary.state in ACTIVE or (summary.state == "needs_you" and summary.open_question)
            ours = summary.state == "paused" and summary.state_by == "host" and summary.reason == RESTARTING
            if not goes_on:
                if waiting:
                    self.runner(summary.session).hold(f"{why}; resume it to let it go on")
                continue
            verb = await asyncio.to_thread(self._undone, summary.session)
            if ours or verb in ("resume", "reopen"):
                self.runner(summary.session).resume()
            elif waiting or verb == "start":
                self.runner(summary.session).start()
            if verb == "next":
                self.runner(summary.session).next_boundary()
            elif verb == "stop":
                self.runner(summary.session).stop()
            elif verb == "pause" and waiting:
                self.runner(summary.session).request_pause()

    async def rest(self, reason: str, seconds: float) -> list[Summary]:
        """Hold every active session at its boundary; who is still active after ``seconds`` is returned."""
        for summary in self.active():
            self.runner(summary.session).hold(reason)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (left := self.active()) and loop.time() < deadline:
            self._commits.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._commits.wait()
            except TimeoutError:
                break
        return left

    async def close(self) -> None:
        """End all runners; their sessions' states stay as they are."""
        runners: Iterable[Runner] = list(self._runners.values())
        for result in await asyncio.gather(*(runner.close() for runner in runners), return_exceptions=True):
            if isinstance(result, BaseException):
                _log.error("a session did not end cleanly", exc_info=result)
        self._runners.clear()

    def _undone(self, session: str) -> str:
        """What was asked for last, if the session's state has not changed since."""
        asked = self._reader.events(session, kinds={"control.requested"}, newest_first=True, limit=1)
        if not asked:
            return ""
        after = self._reader.events(session, after=asked[0].seq, kinds={"session.state"}, limit=1)
        body = asked[0].body
        return "" if after or not isinstance(body, ControlRequested) else body.verb
