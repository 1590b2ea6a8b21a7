"""One turn of the loop: finish the calls of the newest reply, or decide at the boundary and get the next reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sessions import events as ev
from sessions.agent.attempts import ContextTooLong, ReplyCut, Yielded, counted, receive
from sessions.agent.boundary import Boundary
from sessions.agent.prompts import Prompt, Prompts
from sessions.agent.resume_point import Position
from sessions.agent.session import NeedsPerson, Scope
from sessions.agent.step import Step
from sessions.agent.summarise import Summariser
from sessions.tools.base import Tool
from sessions.tools.registry import NO_TOOLS


class Loop:
    """The work of an active session. Every turn begins with a look at the log, so any turn may be the first one."""

    def __init__(self, scope: Scope, yields: Callable[[], bool], own: Mapping[str, Tool] = NO_TOOLS) -> None:
        self._scope = scope
        self._yields = yields
        self._prompts = Prompts(scope, own)
        self._boundary = Boundary(scope)
        self._step = Step(scope, scope.services.jobs_for(scope.session), self._prompts.names, own)
        self._summariser = Summariser(scope, self._prompts, yields)

    def rest(self) -> None:
        """Hold no prompt in memory while nothing happens; a host keeps its ended sessions for weeks."""
        self._prompts.forget()

    async def turn(self) -> None:
        """Do what comes next. Raises NeedsPerson."""
        position = self._scope.position()
        if position.unfinished:
            await self._step.run_calls(position)
            return
        match await self._boundary.decide(position):
            case "request":
                await self._request(position)
            case "finish":
                await self._scope.end("finished", "agent")
            case "stop":
                await self._scope.end("stopped", self._scope.last_actor("stop"))
            case "look_again":
                return

    async def _request(self, position: Position) -> None:
        """Have the next reply, or a shorter context."""
        scope = self._scope
        prompt = await self._prompts.for_step(position)
        if prompt.tokens > scope.model.summary_threshold and scope.playback is None and position.reply is not None:
            await self._summariser.shorten(prompt.tokens)
            return
        step = position.step + 1
        request, failed = await self._committed(position, prompt, step)
        try:
            received = await receive(scope, request, prompt.body, step=step, failed=failed, yields=self._yields)
        except ReplyCut as cut:
            interrupted = ev.ReplyInterrupted(request=request, parts=cut.partial, why=cut.why or "host")
            await scope.commit(interrupted, step=step)
        except Yielded:
            return
        except ContextTooLong:
            # One shortening for each reply: if that was not enough, more of the same will not be.
            if any(event.kind == "summary.written" for event in position.tail) or position.reply is None:
                raise NeedsPerson(
                    "context", f"{scope.model.id} says that the context is too long (about {prompt.tokens:,} tokens)"
                ) from None
            await self._summariser.shorten(prompt.tokens)
        else:
            replied = await counted(scope, received.event(request, scope.model), prompt.tokens)
            await scope.commit(replied, step=step, actor="agent")

    async def _committed(self, position: Position, prompt: Prompt, step: int) -> tuple[int, int]:
        """The seq of the request and its failed attempts; one that is open with this very body is sent again."""
        event = position.open_request
        failed = position.attempts
        if event is None or not isinstance(event.body, ev.ModelRequested) or event.body.sha256 != prompt.request.sha256:
            event = (await self._scope.commit(prompt.request, step=step, blobs=prompt.blobs))[0]
            failed = 0
        self._prompts.remember(event, prompt)
        return event.seq, failed
