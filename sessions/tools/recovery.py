"""After a crash of the host: the result of an action that was started and has none.

An action is never silently repeated. A command, a wait, a question and a scorer are found again and followed to their
end, so that the model sees what it would have seen; of anything else the outcome is unknown, and the model decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from sessions.events import ActionStarted, Event, JobStarted
from sessions.jobs.manager import JobManager
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.evaluate import KIND, Evaluate, EvaluateArguments, scoring_jobs
from sessions.tools.job_text import find_job
from sessions.tools.registry import TOOLS
from sessions.tools.run import Run, RunArguments
from sessions.tools.wait import Wait, WaitArguments

UNKNOWN: Final = (
    "The host was restarted while `{name}` was under way: whether it took effect is not known. "
    "Look before you call it again."
)
DID_NOT_RUN: Final = "The host was restarted before this command was started: it did not run."
REPEATABLE: Final = frozenset({"ask_human", "plan", "finish"})
"""Doing these again is no repetition: all of their effect is in the log, where an open question is found again."""


async def recover_action(started: Event, since: Sequence[Event], context: ToolContext) -> ToolResult:
    """The result of the action that ``started`` (an ActionStarted) began; may wait as long as the action would have.

    ``since`` are the session's events after it. ``context`` is that of the call (same step and call numbers).
    Raises ToolFailure as a tool does.
    """
    action = started.body
    if not isinstance(action, ActionStarted):
        raise TypeError(f"{started.kind} starts no action")
    match _arguments(action):
        case RunArguments() as arguments:
            known = {event.body.job for event in since if isinstance(event.body, JobStarted)}
            return await _run(arguments, started.at, known, context)
        case WaitArguments() as arguments:
            until = None if arguments.seconds is None else started.at + round(arguments.seconds * 1000)
            job = None if arguments.job is None else find_job(context, arguments.job)
            return await Wait().follow(job, until, context, since=started.at)
        case EvaluateArguments():
            return await _evaluate(context)
        case Arguments() as arguments if action.name in REPEATABLE:
            return await TOOLS[action.name].run(arguments, context)
    return unknown_result(action.name)


def unknown_result(name: str) -> ToolResult:
    """The result of a call of which nobody can say what it did."""
    return ToolResult(UNKNOWN.format(name=name), outcome="unknown", environment=True)


async def _run(arguments: RunArguments, at: int, known: set[int], context: ToolContext) -> ToolResult:
    origin = f"{context.step}.{context.call}"
    # A job that the log knows did run, also where its folder has been removed since.
    if not known and context.jobs.never_ran(origin):
        return ToolResult(DID_NOT_RUN, outcome="interrupted", environment=True)
    job = context.jobs.by_origin(origin)
    if job is None or job.is_strange:
        return unknown_result("run")
    if job.number not in known:
        await context.emit(job.start_event())
        context.jobs.keep(job)
    left = 0.0 if arguments.background else arguments.timeout - (context.clock() - at) / 1000
    return await Run().follow(job, context, left, background=arguments.background)


async def _evaluate(context: ToolContext) -> ToolResult:
    runs = JobManager(context.folder, kind=KIND)
    origin = f"{context.step}.{context.call}"
    job = None if runs.never_ran(origin) else runs.by_origin(origin)
    if job is None:
        raise ToolFailure("the host was restarted before the scorer was started: call it again", environment=True)
    return await Evaluate().follow(scoring_jobs(context, job.number), job, context)


def _arguments(action: ActionStarted) -> Arguments | None:
    """The arguments as the log has them; None for a tool that is gone or takes others by now."""
    if action.name not in TOOLS:
        return None
    try:
        return msgspec.convert(action.arguments, TOOLS[action.name].arguments)
    except msgspec.ValidationError:
        return None
