"""A session as its loop has it: what it is made of, where it stands, and the one way to commit; and what all share."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from sessions import events as ev
from sessions.agent.clean_events import Cleaner
from sessions.agent.resume_point import ResumePoint, read_resume_point
from sessions.agent.wakeup import Wakeup
from sessions.clock import now_ms
from sessions.events import ModelSpec
from sessions.events.messages import CallPart, TextPart
from sessions.events.states import State
from sessions.events.text import Blob, long_text
from sessions.fold.call_ids import CallIds
from sessions.fold.summary import Summary
from sessions.log.errors import LogError, LogUnavailable
from sessions.paths import LogPaths
from sessions.providers.base import Adapter, CallContext, Delta, Playback

if TYPE_CHECKING:
    from sessions.jobs.manager import JobManager
    from sessions.log.reader import LogReader
    from sessions.log.writer import LogWriter
    from sessions.redaction import Redactor
    from sessions.tokens import Counter


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed attempts are repeated. Times in seconds.

    The wait before attempt ``n + 1`` is ``first * 2 ** (n - 1)``, at most ``cap``, with up to half of it taken off at
    random; a server's Retry-After is waited for where it is longer, up to ``retry_after_cap``.
    """

    attempts: int = 10
    first: float = 1.0
    cap: float = 120.0
    retry_after_cap: float = 600.0


MOST_SAID: Final = 300
"""Characters of a held reply in the reason for a person."""

_log = logging.getLogger(__name__)

DeltaSink = Callable[[str, int, int, Delta], None]
"""``sink(session, step, attempt, delta)``; must not block, and the agent never waits for it."""


def no_deltas(session: str, step: int, attempt: int, delta: Delta) -> None:
    """A sink for those who do not look."""


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all runners of a host. Nothing in it belongs to one session; what does is looked up by its id."""

    writer: LogWriter
    reader: LogReader
    paths: LogPaths
    adapter_for: Callable[[ModelSpec], Adapter]
    counter_for: Callable[[str], Counter]
    """The token counter of a model, by name; may load a vocabulary, so it is called off the event loop."""
    jobs_for: Callable[[str], JobManager]
    """The job manager of a session; the same one for the same session as long as the host lives."""
    key_for: Callable[[str, ModelSpec], str | None]
    """The API key of a session's model, read anew at each attempt; None: there is none."""
    env_for: Callable[[str], Mapping[str, str]]
    """The scrubbed environment that a session's tools get."""
    redactor_for: Callable[[str], Redactor]
    """What takes secrets out of everything that enters a session's log."""
    deltas: DeltaSink = no_deltas
    clock: Callable[[], int] = now_ms
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: random.Random = field(default_factory=random.Random)
    retry: RetryPolicy = RetryPolicy()


CutReason = Literal["", "interrupt", "advice", "stop", "client"]
Need = Literal["key", "provider", "refused", "nudges", "context", "gate", "other"]


class NeedsPerson(Exception):
    """The loop cannot go on by itself; ``str()`` is the one-line reason."""

    def __init__(self, need: Need, reason: str) -> None:
        super().__init__(" ".join(reason.split()))
        self.need: Need = need


class Session:
    """One session as its loop sees it. ``created`` is its first event; all else is read from the log when needed."""

    def __init__(self, session: str, services: Services) -> None:
        self.id = session
        self.services = services
        self.wakeup = Wakeup()
        first = next(iter(services.reader.events(session, limit=1)), None)
        if first is None or not isinstance(first.body, ev.SessionCreated):
            raise ValueError(f"there is no session {session} in the log, so nothing can be run")
        self.created: ev.SessionCreated = first.body
        self.model = self.created.model
        self._adapter: Adapter | None = None

    @property
    def adapter(self) -> Adapter:
        """The session's provider. Raises what the registry raises when there is none."""
        if self._adapter is None:
            self._adapter = self.services.adapter_for(self.model)
        return self._adapter

    @property
    def summary(self) -> Summary:
        """The fold of the session after the newest commit."""
        summary = self.services.writer.summary(self.id)
        assert summary is not None, "a session with a first event has a summary"
        return summary

    @property
    def playback(self) -> Playback | None:
        """The recording that a replayed session plays: no tool is run, and advice has no effect. Else None."""
        return self.adapter.playback

    @property
    def folder(self) -> Path:
        """The session's own folder."""
        return self.services.paths.session_folder(self.id)

    @property
    def workspace(self) -> Path:
        """Where the agent works."""
        return Path(self.created.workspace) if self.created.workspace else self.folder / "workspace"

    @property
    def name(self) -> str:
        """How errors name the session: its number and title."""
        return f"session {self.summary.address} ({self.created.title})"

    def now(self) -> int:
        """Unix milliseconds."""
        return self.services.clock()

    def resume_point(self) -> ResumePoint:
        """Where the session stands now, and so what comes next, from the log."""
        return read_resume_point(self.services.reader, self.id, self.summary.step)

    def text(self, text: str) -> tuple[ev.LongText, list[Blob]]:
        """``text`` without secrets, as the log stores it, and its blobs."""
        return long_text(self.clean(text))

    def clean(self, text: str) -> str:
        """``text`` without secrets."""
        return self.services.redactor_for(self.id).redact(text)

    async def commit(
        self,
        *bodies: ev.Body,
        step: int | None = None,
        call: int | None = None,
        actor: str = "host",
        blobs: Iterable[Blob] = (),
    ) -> list[ev.Event]:
        """Commit a write set of this session; returns after it is on disk. Secrets are taken out first.

        A log that cannot be written for now is waited for, as long as that takes: a reply was paid for, an action
        has had its effect.
        """
        return await self.commit_events([ev.NewEvent(self.id, body, step, call, actor) for body in bodies], blobs)

    async def commit_events(self, events: Iterable[ev.NewEvent], blobs: Iterable[Blob] = ()) -> list[ev.Event]:
        """The same for events of this session that each have a step and an actor of their own."""
        clean = Cleaner(self.services.redactor_for(self.id))
        kept = [clean.blob(blob) for blob in blobs]
        new = [msgspec.structs.replace(event, body=clean.body(event.body)) for event in events]
        while True:
            try:
                return await self.services.writer.append(*new, blobs=kept)
            except LogUnavailable as error:
                _log.warning("%s waits: %s", self.name, error)
                await self.services.writer.wait_until_available()

    def cut_reason(self) -> CutReason:
        """Why a reply under way must end now, if it must: what was asked for is in the log."""
        summary = self.summary
        if summary.pending == "stop":
            return "stop"
        if summary.pending == "interrupt":
            return "interrupt"
        return "advice" if any(advice.now for advice in summary.open_advice) and self.playback is None else ""

    def call_context(self, step: int, **extra: Any) -> CallContext:
        """What one attempt at this session's model may know besides its body."""
        return CallContext(
            session=self.id,
            step=step,
            key=self.services.key_for(self.id, self.model),
            timeout=self.model.first_token_seconds,
            stall=self.model.stall_seconds,
            extra=extra,
        )

    def read_call_ids(self) -> CallIds:
        """The ids of all calls so far, which the next reply's must not repeat."""
        found = CallIds()
        for event in self.services.reader.events(self.id, kinds={"model.reply"}):
            if isinstance(event.body, ev.ModelReplied):
                found.make_unique(event.body.parts)
        return found

    def check_hold(self, reply: ev.ModelReplied, step: int | None) -> None:
        """Raise NeedsPerson where a person wants to see the next reply before anything of it happens."""
        if self.summary.pending == "hold" and step is not None:
            raise NeedsPerson("gate", f"the reply of step {step} is held: {say_reply(reply)}")

    def last_actor(self, verb: str) -> str:
        """Who asked for ``verb`` last; ``host`` if nobody did."""
        controls = self.services.reader.events(self.id, kinds={"control.requested"}, newest_first=True, limit=16)
        for event in controls:
            if isinstance(event.body, ev.ControlRequested) and event.body.verb == verb:
                return event.actor
        return "host"

    def newest_request(self) -> tuple[str, str]:
        """(verb, actor) of the newest control, if no change of state has followed it; else two empty strings."""
        newest = self.services.reader.events(
            self.id, kinds={"control.requested", "session.state"}, newest_first=True, limit=1
        )
        if newest and isinstance(newest[0].body, ev.ControlRequested):
            return newest[0].body.verb, newest[0].actor
        return "", ""

    async def end(self, state: State, actor: str, reason: str = "", *, whatever_waits: bool = False) -> None:
        """End the session: its jobs, then itself. Advice that came while its jobs ended keeps it from finishing, but
        with ``whatever_waits``: there is nobody left to advise.
        """
        jobs = self.services.jobs_for(self.id)
        await jobs.kill_all()
        await jobs.space.close()
        ended: list[ev.Body] = []
        for open_job in self.summary.open_jobs:
            job = jobs.find(open_job.job)
            end = await jobs.wait(job, 1.0) if job else None
            if jobs.settle(open_job.job):
                ended.append(end.event(open_job.job) if end else ev.JobEnded(job=open_job.job, how="lost"))
        await self.services.writer.wait_for_writes()
        ends = state != "finished" or self.playback is not None or whatever_waits
        if ends or not self.summary.open_advice:
            ended.append(ev.StateChanged(state=state, reason=reason))
        if ended:
            try:
                await self.commit(*ended, actor=actor)
            except LogError:
                unsettle_jobs(jobs, ended)
                raise


def say_reply(reply: ev.ModelReplied) -> str:
    """What a reply would do, in one line: its calls, or its words."""
    calls = [f"{part.name} {part.arguments}" for part in reply.parts if isinstance(part, CallPart)]
    words = [part.text for part in reply.parts if isinstance(part, TextPart)]
    return " ".join("; ".join(calls or words).split())[:MOST_SAID]


def unsettle_jobs(jobs: JobManager, events: Iterable[ev.Body]) -> None:
    """The log did not take ``events``: the ends of jobs among them are still to be told."""
    for event in events:
        if isinstance(event, ev.JobEnded):
            jobs.unsettle(event.job)
