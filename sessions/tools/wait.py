"""`wait`: for seconds or for a job, woken by advice."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any, Final

from msgspec import Meta

from sessions.jobs.job import Job
from sessions.jobs.output import last_line
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.first_of import first_of
from sessions.tools.job_text import end_text, find_job, limits_met, say_limits
from sessions.tools.observations import duration

LONGEST: Final = 1800


class WaitArguments(Arguments, frozen=True):
    """Wait for the end of a job, or for a time. With `job` alone it waits as long as the job runs; with both, for
    whichever comes first. One wait for a job is better than many looks at it. Advice from a person wakes you.
    """

    seconds: Annotated[float, Meta(description="How long to wait at most.", gt=0, le=LONGEST)] | None = None
    job: Annotated[int, Meta(description="The number of the job to wait for.", ge=1)] | None = None


class Wait:
    """Enters the state ``sleeping`` or ``on_job`` meanwhile."""

    name = "wait"
    arguments = WaitArguments

    async def run(self, arguments: WaitArguments, context: ToolContext) -> ToolResult:
        """Wait, and say why the wait ended."""
        if arguments.seconds is None and arguments.job is None:
            raise ToolFailure("say how long (`seconds`) or for which job (`job`)")
        until = None if arguments.seconds is None else context.clock() + round(arguments.seconds * 1000)
        job = None if arguments.job is None else find_job(context, arguments.job)
        return await self.follow(job, until, context, since=context.clock())

    async def follow(self, job: Job | None, until: int | None, context: ToolContext, *, since: int) -> ToolResult:
        """Wait until ``job`` ends, until the time ``until`` (ms), or until advice comes. ``since``: when it began."""
        if job is not None and job.end() is not None:
            return self._result(job, context, since, woken=False)
        if job is None:
            await context.enter("sleeping", reason="wait", until=until)
        else:
            await context.enter("on_job", reason="wait", until=until, job=job.number)
        left = None if until is None else max(0.0, (until - context.clock()) / 1000)
        events: list[Coroutine[Any, Any, Any]] = [context.wake.wait(), context.hurry.wait()]
        if job is not None:
            events.append(context.jobs.wait(job))
        done = await first_of(left, *events)
        return self._result(job, context, since, woken=bool(done & {0, 1}))

    def _result(self, job: Job | None, context: ToolContext, since: int, *, woken: bool) -> ToolResult:
        waited = duration(max(0, context.clock() - since))
        end = job.end() if job is not None else None
        if job is not None and end is not None:
            why, message = "job", f"Job {job.number} has ended: {end_text(end)}."
            if met := limits_met(context.jobs, end):
                message += f" It {say_limits(met)}."
            if end.last_line:
                message += f" Its last line was: {end.last_line}"
        elif woken:
            why, message = "advice", f"Woken after {waited}: advice has arrived."
        else:
            why, message = "time", f"Waited {waited}."
        if job is not None and end is None:
            message += f" Job {job.number} is still running."
            if line := last_line(context.jobs.tail(job, 4096).text):
                message += f" Its newest line is: {line}"
        data: dict[str, Any] = {"why": why, "waited_ms": max(0, context.clock() - since)}
        if why == "advice":
            # What training puts in its place where advice is left out of the context.
            data["unaided"] = [f"Woken after {waited}: advice has arrived.", f"Waited {waited}."]
        if job is not None:
            data |= {"job": job.number, "exit_code": end.exit_code if end else None}
        return ToolResult(message, data=data)
