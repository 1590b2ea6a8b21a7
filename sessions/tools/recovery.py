"""After a crash of the host: the result of an action that was started and has none.

An action is never silently repeated. A command, a wait, a question and a scorer are found again and followed to their
end, so that the model sees what it would have seen; of anything else the outcome is unknown, and the model decides.
"""

from __future__ import annotations

from typing import Final

from sessions.jobs.manager import JobManager
from sessions.log.events import JobStarted
from sessions.tools.base import Arguments, Tool, ToolContext, ToolFailure, ToolResult
from sessions.tools.evaluate import KIND, Evaluate
from sessions.tools.reports import job_of
from sessions.tools.run import Run, RunArguments
from sessions.tools.wait import Wait, WaitArguments

UNKNOWN: Final = (
    "The host was restarted while `{name}` was under way: whether it took effect is not known. "
    "Look before you call it again."
)
DID_NOT_RUN: Final = "The host was restarted before this command was started: it did not run."
REPEATABLE: Final = frozenset({"ask_human", "plan", "finish"})
"""Doing these again is no repetition: all of their effect is in the log, where an open question is found again."""


async def recover(tool: Tool, arguments: Arguments, context: ToolContext) -> ToolResult:
    """What became of a call of ``tool``; may wait as long as the call itself would have.

    ``context`` is that of the call, with ``started_at`` and ``told``. Raises ToolFailure as a tool does.
    """
    match arguments:
        case RunArguments():
            return await _run(arguments, context)
        case WaitArguments():
            return await _wait(arguments, context)
        case _ if tool.name == "evaluate":
            return await _evaluate(context)
        case _ if tool.name in REPEATABLE:
            return await tool.run(arguments, context)
    return unknown(tool.name)


def unknown(name: str) -> ToolResult:
    """The result of a call of which nobody can say what it did."""
    return ToolResult(UNKNOWN.format(name=name), outcome="unknown", environment=True)


async def _run(arguments: RunArguments, context: ToolContext) -> ToolResult:
    origin = f"{context.step}.{context.call}"
    if context.jobs.never_ran(origin):
        return ToolResult(DID_NOT_RUN, outcome="interrupted", environment=True)
    job = context.jobs.by_origin(origin)
    if job is None:
        return unknown("run")
    if not any(isinstance(body, JobStarted) and body.job == job.number for body in context.told):
        await context.emit(job.started())
    left = 0.0 if arguments.background else arguments.timeout - _passed(context) / 1000
    return await Run().follow(job, context, left)


async def _wait(arguments: WaitArguments, context: ToolContext) -> ToolResult:
    since = context.clock() - _passed(context)
    until = None if arguments.seconds is None else since + round(arguments.seconds * 1000)
    job = None if arguments.job is None else job_of(context, arguments.job)
    return await Wait().follow(job, until, context, since=since)


async def _evaluate(context: ToolContext) -> ToolResult:
    runs = JobManager(context.folder, kind=KIND)
    origin = f"{context.step}.{context.call}"
    job = None if runs.never_ran(origin) else runs.by_origin(origin)
    if job is None:
        raise ToolFailure("the host was restarted before the scorer was started: call it again", environment=True)
    return await Evaluate().follow(runs, job, context)


def _passed(context: ToolContext) -> int:
    """Milliseconds since the call began."""
    return max(0, context.clock() - context.started_at) if context.started_at else 0
