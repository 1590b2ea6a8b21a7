"""The calls of one reply, in order: each is committed before it runs, and its observation before the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal

import msgspec

from sessions import events as ev
from sessions.agent.advice import escape_tags, seconds_to_delivery
from sessions.agent.questions import ask_person, close_question
from sessions.agent.resume_point import FINISH, NOTICES, CallState, ResumePoint
from sessions.agent.session import Session, unsettle_jobs
from sessions.agent.wakeup import cancel, wait_while
from sessions.containment.session_spaces import scoring_space
from sessions.containment.workspace_files import WorkspaceFiles
from sessions.events.states import ACTIVE, State
from sessions.events.text import Blob
from sessions.fold import budget
from sessions.jobs.manager import JobManager
from sessions.log.errors import LogError
from sessions.providers.base import Playback
from sessions.tools import recovery, registry
from sessions.tools.base import Tool, ToolContext, ToolFailure, ToolResult
from sessions.tools.observations import shorten

Why = Literal["skipped_for_advice", "interrupted", "limit"]

NOT_RUN: Final[dict[Why, str]] = {
    "skipped_for_advice": "Skipped for advice: a message from a person follows. Read it first; call again if you "
    "still need this.",
    "interrupted": "Not run: a person interrupted before this call began.",
    "limit": "Not run: all evaluations that you may use are used up.",
}
_log = logging.getLogger(__name__)


class CallRunner:
    """Runs calls for one session, and is the same whether they are new or were left by a host that died."""

    def __init__(
        self, session: Session, jobs: JobManager, names: tuple[str, ...], own: Mapping[str, Tool] = registry.NO_TOOLS
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._names = names
        self._own = own
        self._shares: dict[str, int] | None = None

    async def run_calls(self, point: ResumePoint) -> None:
        """Bring every call of the newest reply to its observation."""
        for call in point.open_calls:
            if playback := self._session.playback:
                await self._play(playback, point.reply_step, call)
            elif call.started is not None:
                await self._recover(point, call, call.started)
            else:
                await self._run(point.reply_step, call)

    # --- one call ---

    async def _run(self, step: int, call: CallState) -> None:
        part = call.part
        arguments = registry.decode(part.name, part.arguments, self._names, self._own)
        if isinstance(arguments, registry.MalformedCall):
            await self._refuse(step, call, arguments.why, arguments.problem)
        elif why := self._why_not(part.name):
            await self._refuse(step, call, why, NOT_RUN[why])
        else:
            await self._start(step, call, registry.as_json(arguments))
            context = self._context(step, call)
            await self._carry_out(step, call, registry.find_tool(part.name, self._own).run(arguments, context), context)

    async def _recover(self, point: ResumePoint, call: CallState, started: ev.Event) -> None:
        """Find out what became of a call that an earlier host began; it is not begun again."""
        context = self._context(point.reply_step, call)
        since = [event for event in point.tail if event.seq > started.seq]
        await self._carry_out(point.reply_step, call, recovery.recover_action(started, since, context), context)

    async def _play(self, playback: Playback, step: int, call: CallState) -> None:
        """Have the result that is recorded; nothing is run, and nothing is refused."""

        async def result() -> ToolResult:
            found = await playback.result(self._session.model, step, call.number)
            seen = found.output if found.shown is None else found.shown
            return ToolResult(found.output, found.outcome, recorded=(seen, found.hidden_chars))

        if call.started is None:
            arguments = registry.decode(call.part.name, call.part.arguments)
            await self._start(
                step, call, {} if isinstance(arguments, registry.MalformedCall) else registry.as_json(arguments)
            )
        await self._carry_out(step, call, result(), self._context(step, call))

    async def _start(self, step: int, call: CallState, arguments: dict[str, Any]) -> None:
        started = ev.ActionStarted(call_id=call.part.id, name=call.part.name, arguments=arguments)
        await self._session.commit(started, step=step, call=call.number, actor="agent")

    async def _carry_out(
        self, step: int, call: CallState, work: Coroutine[Any, Any, ToolResult], context: ToolContext
    ) -> None:
        """See the work to its end; a crash of the tool is an observation like any other."""
        session, since, name = self._session, self._session.now(), call.part.name
        task = asyncio.create_task(work, name=f"{name} of {session.id}")
        if not await wait_while(task, session.wakeup, partial(self._look, context), session.services.sleep):
            await cancel(task)
            await self._commit(step, call, await self._interruption(step, call), since=since)
            return
        try:
            result = task.result()
        except ToolFailure as failure:
            result = ToolResult(str(failure), "error", failure.data, environment=failure.environment)
        except LogError:
            raise
        except Exception as error:  # noqa: BLE001 - the model hears of it and decides
            _log.exception("%s: the tool %s crashed at step %d.%d", session.name, name, step, call.number)
            text = f"The tool {name} crashed ({type(error).__name__}: {error}). Whether it had an effect is not known."
            result = ToolResult(text, "error", environment=True)
        await self._commit(step, call, result, since=since)

    def _look(self, context: ToolContext) -> float | None:
        """What a person wants of the action under way: -1 ends it; else seconds until there is more to look at."""
        session = self._session
        why = session.cut_reason()
        if why in ("stop", "interrupt"):
            return -1.0
        if why == "advice":
            context.hurry.set()
            context.wake.set()
        held = seconds_to_delivery(session.summary, session.now())
        if held is not None and held <= 0:
            context.wake.set()
        return held if held else None

    async def _interruption(self, step: int, call: CallState) -> ToolResult:
        session = self._session
        if session.summary.open_question:
            await close_question(session, step, call.number, "The question was withdrawn: a person interrupted.")
        job = self._jobs.by_origin(f"{step}.{call.number}")
        goes_on = job is not None and job.state == "running"
        more = f" Its command goes on as job {job.number}." if job is not None and goes_on else ""
        return ToolResult(f"Interrupted by a person before it was done.{more}", "interrupted")

    def _why_not(self, name: str) -> Why | None:
        """Why a call that is not started yet must not be."""
        session = self._session
        why = session.cut_reason()
        if why in ("stop", "interrupt"):
            return "interrupted"
        # Whoever has just written should not be asked before the answer that may be in it is read.
        if why == "advice" or (name == "ask_human" and session.summary.open_advice):
            return "skipped_for_advice"
        return "limit" if name == "evaluate" and budget.evaluations_left(session.summary) == 0 else None

    # --- committing ---

    async def _refuse(
        self, step: int, call: CallState, why: Literal["malformed", "unknown_tool"] | Why, problem: str
    ) -> None:
        part = call.part
        refused = ev.ActionRefused(
            call_id=part.id,
            name=part.name,
            why=why,
            problem=problem,
            arguments=part.arguments,
            shown=escape_tags(self._session.clean(problem)),
        )
        await self._session.commit(refused, *self._back_to_work(), step=step, call=call.number)

    async def _commit(self, step: int, call: CallState, result: ToolResult, *, since: int) -> None:
        session = self._session
        whole = session.clean(result.output)
        shares: dict[str, int] = {}
        if result.recorded is not None:
            # Nobody is told anything now: what counts is what the model saw then.
            seen, hidden = session.clean(result.recorded[0]), result.recorded[1]
        else:
            seen, hidden = shorten(whole)
            seen = escape_tags(seen)
            notice, shares = self._notice(step)
            if notice:
                seen = f"{seen}\n{notice}" if seen else notice
        output, blobs = session.text(whole)
        if result.file is not None:
            output = msgspec.structs.replace(output, file=result.file)
        other, more = session.text(seen) if seen != whole else (None, [])
        data = result.data | ({NOTICES: shares} if shares else {}) | ({FINISH: True} if result.finish else {})
        observed = ev.ActionResult(
            call_id=call.part.id,
            outcome=result.outcome,
            output=output,
            shown=other,
            hidden_chars=hidden,
            duration_ms=max(1, session.now() - since),  # 0 is a duration that nobody knows
            environment=result.environment,
            data=data,
        )
        try:
            await session.commit(
                *result.events,
                observed,
                *self._back_to_work(),
                step=step,
                call=call.number,
                actor="agent",
                blobs=[*blobs, *more, *result.blobs],
            )
        except LogError:
            unsettle_jobs(self._jobs, result.events)
            raise
        self._shares = (self._shares or {}) | shares

    def _back_to_work(self) -> tuple[ev.StateChanged, ...]:
        """The end of a wait or of a question; somebody who paused the session meanwhile keeps it paused."""
        summary = self._session.summary
        waited = summary.state in ACTIVE - {"running"} or summary.need == "question"
        return (ev.StateChanged(state="running"),) if waited and summary.state != "paused" else ()

    def _notice(self, step: int) -> tuple[str, dict[str, int]]:
        session, summary = self._session, self._session.summary
        if self._shares is None:
            self._shares = self._read_notices()
        self._shares = budget.forget_raised(summary, session.now(), self._shares, step=step)
        return budget.budget_notices(summary, session.now(), self._shares, step=step)

    def _read_notices(self) -> dict[str, int]:
        """What the model was told of its budgets before this runner, from the log."""
        shares: dict[str, int] = {}
        for event in self._session.services.reader.events(self._session.id, kinds={"action.result"}):
            if isinstance(event.body, ev.ActionResult) and isinstance(found := event.body.data.get(NOTICES), dict):
                shares |= msgspec.convert(found, dict[str, int])
        return shares

    # --- what a call may touch ---

    def _context(self, step: int, call: CallState) -> ToolContext:
        session = self._session

        async def emit(*bodies: ev.Body, blobs: Iterable[Blob] = ()) -> None:
            await session.commit(*bodies, step=step, call=call.number, actor="agent", blobs=blobs)

        async def enter(state: State, *, reason: str = "", until: int | None = None, job: int | None = None) -> None:
            change = ev.StateChanged(state=state, reason=reason, until=until, job=job)
            await session.commit(change, step=step, call=call.number, actor="agent")

        async def ask(question: str, timeout: float) -> tuple[str, bool]:
            return await ask_person(session, step, call.number, question, timeout)

        return ToolContext(
            session=session.id,
            step=step,
            call=call.number,
            call_id=call.part.id,
            workspace=session.workspace,
            folder=session.folder,
            env=session.services.env_for(session.id),
            scoring=partial(scoring_space, session.created.contained, session.folder),
            files=WorkspaceFiles(self._jobs.space, session.workspace),
            jobs=self._jobs,
            evaluate=session.created.evaluate,
            evaluations_left=lambda: budget.evaluations_left(session.summary),
            evaluations_used=lambda: session.summary.evaluations,
            emit=emit,
            enter=enter,
            wake=asyncio.Event(),
            hurry=asyncio.Event(),
            ask=ask,
            clock=session.services.clock,
        )
