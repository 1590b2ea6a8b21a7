"""After a crash of the host: what can be said of an action that was started and has no result.

An action is never silently repeated. A command, a wait, a question and a scorer are found again and followed to their
end, so that the model sees what it would have seen; of anything else the outcome is unknown, and the model decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from sessions.jobs.manager import JobManager
from sessions.log import events as ev
from sessions.tools.ask import AskHuman, AskHumanArguments
from sessions.tools.base import ToolContext, ToolFailure, ToolResult
from sessions.tools.evaluate import KIND, Evaluate
from sessions.tools.registry import TOOLS
from sessions.tools.reports import job_of
from sessions.tools.run import Run, RunArguments
from sessions.tools.wait import Wait, WaitArguments

UNKNOWN: Final = (
    "The host was restarted while this call was under way: whether it took effect is not known. "
    "Look before you repeat it."
)
DID_NOT_RUN: Final = "The host was restarted before this command was started: it did not run."
REPEATABLE: Final = frozenset({"plan", "finish"})
"""Their whole effect is in the events of their result, so that they are simply done now."""


async def recover_action(started: ev.Event, since: Sequence[ev.Event], context: ToolContext) -> ToolResult:
    """The result of the action that ``started`` (an ActionStarted) began; may wait as long as the action would have.

    ``since`` are the session's events after it. ``context`` is that of the call (same step and call numbers).
    Raises ToolFailure as a tool does.
    """
    action = started.body
    if not isinstance(action, ev.ActionStarted):
        raise TypeError(f"{started.kind} starts no action")
    told = [event.body for event in since]
    match action.name:
        case "run":
            arguments = msgspec.convert(action.arguments, RunArguments)
            return await _run(arguments, started, told, context)
        case "wait":
            return await _wait(msgspec.convert(action.arguments, WaitArguments), started, told, context)
        case "ask_human":
            return await _ask(msgspec.convert(action.arguments, AskHumanArguments), started, told, context)
        case "evaluate":
            return await _evaluate(context)
        case name if name in REPEATABLE:
            tool = TOOLS[name]
            return await tool.run(msgspec.convert(action.arguments, tool.arguments), context)
    return ToolResult(UNKNOWN, outcome="unknown", environment=True)


async def _run(arguments: RunArguments, started: ev.Event, told: Sequence[ev.Body], context: ToolContext) -> ToolResult:
    origin = f"{context.step}.{context.call}"
    if context.jobs.never_ran(origin):
        return ToolResult(DID_NOT_RUN, outcome="interrupted", environment=True)
    job = context.jobs.by_origin(origin)
    if job is None:
        return ToolResult(UNKNOWN, outcome="unknown", environment=True)
    if not any(isinstance(body, ev.JobStarted) and body.job == job.number for body in told):
        await context.emit(job.started())
    passed = max(0, context.clock() - started.at) / 1000
    return await Run().follow(job, context, 0.0 if arguments.background else arguments.timeout - passed)


async def _wait(
    arguments: WaitArguments, started: ev.Event, told: Sequence[ev.Body], context: ToolContext
) -> ToolResult:
    until = None if arguments.seconds is None else started.at + round(arguments.seconds * 1000)
    job = None if arguments.job is None else job_of(context, arguments.job)
    return await Wait().follow(job, until, context, since=started.at)


async def _ask(
    arguments: AskHumanArguments, started: ev.Event, told: Sequence[ev.Body], context: ToolContext
) -> ToolResult:
    answer = next((body for body in told if isinstance(body, ev.QuestionAnswered)), None)
    if answer is not None:
        return ToolResult(answer.text, data={"timed_out": answer.timed_out})
    left = arguments.timeout_minutes - (context.clock() - started.at) / 60_000
    return await AskHuman().run(msgspec.structs.replace(arguments, timeout_minutes=max(0.0, left)), context)


async def _evaluate(context: ToolContext) -> ToolResult:
    runs = JobManager(context.folder, kind=KIND)
    origin = f"{context.step}.{context.call}"
    job = runs.by_origin(origin)
    if job is None:
        runs.never_ran(origin)
        raise ToolFailure("the host was restarted before the scorer was started: call it again", environment=True)
    return await Evaluate().follow(runs, job, context)
