"""One turn of the loop: finish the calls of the newest reply, or decide at the boundary and get the next reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from sessions import events as ev
from sessions.agent.attempts import (
    ContextTooLong,
    ReplyCut,
    RequestRefused,
    RestRequest,
    add_estimate,
    receive_reply,
)
from sessions.agent.boundary import Boundary
from sessions.agent.prompts import Prompt, Prompts
from sessions.agent.resume_point import ResumePoint
from sessions.agent.session import NeedsPerson, Session
from sessions.agent.step import CallRunner
from sessions.agent.summarise import Summariser
from sessions.fold.call_ids import CallIds
from sessions.tools.base import Tool
from sessions.tools.registry import NO_TOOLS


class Loop:
    """The work of an active session. Every turn begins with a look at the log, so any turn may be the first one."""

    def __init__(self, session: Session, yields: Callable[[], bool], own: Mapping[str, Tool] = NO_TOOLS) -> None:
        self._session = session
        self._yields = yields
        self._prompts = Prompts(session, own)
        self._boundary = Boundary(session)
        self._calls = CallRunner(session, session.services.jobs_for(session.id), self._prompts.names, own)
        self._summariser = Summariser(session, self._prompts, yields)
        self._ids: CallIds | None = None

    def rest(self) -> None:
        """Hold no prompt in memory while nothing happens; a host keeps its ended sessions for weeks."""
        self._prompts.forget()
        self._ids = None

    async def leave(self) -> None:
        """Nothing of it is under way while it is at rest."""

    async def turn(self) -> None:
        """Do what comes next. Raises NeedsPerson."""
        point = self._session.resume_point()
        if point.open_calls:
            await self._calls.run_calls(point)
            return
        match await self._boundary.decide(point):
            case "request":
                await self._request(point)
            case "shorten":
                await self._shorten(point)
            case "finish":
                await self._session.end("finished", "agent")
            case "stop":
                await self._session.end("stopped", self._session.last_actor("stop"))
            case "look_again":
                return

    async def _request(self, point: ResumePoint) -> None:
        """Have the next reply, or a shorter context."""
        session = self._session
        prompt = await self._prompts.for_step(point)
        reply = point.reply_in_context
        if point.refused and reply is not None and self._repeats_refused(point, prompt):
            # To send the same again would be to no avail, and a person has said: go on.
            await session.commit(ev.ReplySuperseded(old=reply.seq), step=reply.step)
            return
        if prompt.tokens > session.model.summary_threshold and session.playback is None and point.reply is not None:
            await self._summariser.shorten(prompt.tokens)
            return
        ids = self._ids = self._ids or session.read_call_ids()  # before there is a reply that could be lost for it
        step = point.step + 1
        request, failed = await self._commit_request(point, prompt, step)
        try:
            received = await receive_reply(session, request, prompt.body, step=step, failed=failed, yields=self._yields)
        except ReplyCut as cut:
            interrupted = ev.ReplyInterrupted(request=request, parts=cut.partial, why=cut.why or "host")
            await session.commit(interrupted, step=step)
        except RestRequest:
            return
        except RequestRefused as refused:
            await self._refuse(point, prompt, refused)
        except ContextTooLong as error:
            # One shortening for each reply: if that was not enough, more of the same will not be.
            if any(event.kind == "summary.written" for event in point.tail) or point.reply is None:
                told = f"{session.model.id} says that the context of about {prompt.tokens:,} tokens is too long"
                raise NeedsPerson("context", f"{told}: {error}") from None
            await self._summariser.shorten(prompt.tokens)
        else:
            replied = await add_estimate(session, received.event(request, session.model), prompt.tokens)
            unique = ids.make_unique(replied.parts)
            await session.commit(msgspec.structs.replace(replied, parts=unique), step=step, actor="agent")
            session.check_hold(replied, step)

    async def _refuse(self, point: ResumePoint, prompt: Prompt, refused: RequestRefused) -> None:
        """The server refuses the request as it stands: without what it refuses, if that is reasoning, else a person."""
        if refused.refused == "reasoning" and not prompt.request.without_reasoning:
            plain = await self._prompts.for_step(self._session.resume_point())
            if plain.request.without_reasoning:
                return  # the next turn sends it
        model = self._session.model.id
        if point.reply_in_context is None:
            raise NeedsPerson("provider", f"{model} refused the request: {refused}; put it right, then resume")
        raise NeedsPerson("refused", f"{model} refuses the conversation as it stands: {refused}")

    async def _shorten(self, point: ResumePoint) -> None:
        """Summarise because a person asked for it; all of it, and in plain words, where the server refuses it."""
        prompt = await self._prompts.for_step(point)
        if point.refused:
            await self._summariser.replace_all(prompt.tokens)
        else:
            await self._summariser.shorten(prompt.tokens)

    @staticmethod
    def _repeats_refused(point: ResumePoint, prompt: Prompt) -> bool:
        """Whether nothing could be left out of the refused prompt but what the model said."""
        event = point.open_request
        request = event.body if event is not None and isinstance(event.body, ev.ModelRequested) else None
        return request is not None and request.without_reasoning == prompt.request.without_reasoning

    async def _commit_request(self, point: ResumePoint, prompt: Prompt, step: int) -> tuple[int, int]:
        """The seq of the request and its failed attempts; one that is open with this very body is sent again."""
        event = point.open_request
        failed = point.attempts
        if event is None or not isinstance(event.body, ev.ModelRequested) or event.body.sha256 != prompt.request.sha256:
            event = (await self._session.commit(prompt.request, step=step, blobs=prompt.blobs))[0]
            failed = 0
        self._prompts.remember(event, prompt)
        return event.seq, failed
