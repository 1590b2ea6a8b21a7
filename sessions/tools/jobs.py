"""`job_output`, `job_input`, `job_kill`: what an agent does with its jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from msgspec import Meta

from sessions.events import Body
from sessions.jobs.manager import JobError
from sessions.jobs.output import last_line, last_lines, last_state
from sessions.terminal_text import say_count
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.job_text import end_text, find_job, outcome_of, state_text

SINCE_BYTES: Final = 1024 * 1024


class JobOutputArguments(Arguments, frozen=True):
    """Read what a job wrote: its newest lines, or what came after a byte offset that an earlier call told you. Do not
    call it again and again to see whether a job has ended: `wait` for the job instead.
    """

    job: Annotated[int, Meta(description="The job's number.", ge=1)]
    lines: Annotated[int, Meta(description="How many of the newest lines.", ge=1, le=10_000)] = 50
    since: Annotated[int, Meta(description="Byte offset to read from, in place of the newest lines.", ge=0)] | None = (
        None
    )


class JobInputArguments(Arguments, frozen=True):
    """Send text to the standard input of a job that was started with `background` or `tty`."""

    job: Annotated[int, Meta(description="The job's number.", ge=1)]
    text: Annotated[str, Meta(description="The text, with its line end if it needs one.", max_length=100_000)]
    eof: Annotated[bool, Meta(description="Close the input after the text.")] = False


class JobKillArguments(Arguments, frozen=True):
    """End a job and all processes that it started. What it has computed and not saved is lost."""

    job: Annotated[int, Meta(description="The job's number.", ge=1)]


class JobOutput:
    """Reads; progress bars in their last state."""

    name = "job_output"
    arguments = JobOutputArguments

    async def run(self, arguments: JobOutputArguments, context: ToolContext) -> ToolResult:
        """Return output and the job's state."""
        job = find_job(context, arguments.job)
        if arguments.since is None:
            output = await asyncio.to_thread(context.jobs.tail, job)
            text = last_lines(last_state(output.text), arguments.lines)
        else:
            output = await asyncio.to_thread(context.jobs.since, job, arguments.since, SINCE_BYTES)
            text = last_state(output.text)
        notes = [f"{output.missing:,} bytes in between are not kept"] if output.missing else []
        if not text and (trouble := job.reader.trouble()):
            notes.append(f"a command has spoilt the folder of its job: {trouble}")
        notes.append(
            f"job {job.number}: {state_text(job, context.clock())}; {output.total:,} bytes of output"
            + (f"; go on with since={output.end}" if arguments.since is not None or not job.end() else "")
        )
        if text and not text.endswith("\n"):
            text += "\n"
        data = {"job": job.number, "state": job.state, "end": output.end, "total": output.total}
        return ToolResult(text + "\n".join(f"[{note}]" for note in notes), data=data)


class JobInput:
    """Writes to a job's standard input."""

    name = "job_input"
    arguments = JobInputArguments

    async def run(self, arguments: JobInputArguments, context: ToolContext) -> ToolResult:
        """Send the text."""
        job = find_job(context, arguments.job)
        try:
            await context.jobs.send(job, arguments.text, eof=arguments.eof)
        except JobError as error:
            raise ToolFailure(str(error)) from None
        closed = " and closed its input" if arguments.eof else ""
        return ToolResult(
            f"Sent {len(arguments.text):,} characters to job {job.number}{closed}.", data={"job": job.number}
        )


class JobKill:
    """Ends a job for good."""

    name = "job_kill"
    arguments = JobKillArguments

    async def run(self, arguments: JobKillArguments, context: ToolContext) -> ToolResult:
        """Kill it, and say what it last wrote."""
        job = find_job(context, arguments.job)
        before = job.end()
        end = await context.jobs.kill(job, by="agent")
        data = {"job": job.number, "already_ended": before is not None}
        if end is None:
            raise ToolFailure(f"job {job.number} does not die", environment=True, data=data)
        if before is not None:
            also = (
                f" Its {say_count(before.left, 'process', 'processes')} left over are ended too." if before.left else ""
            )
            return ToolResult(f"Job {job.number} had ended already: {end_text(before)}.{also}", data=data)
        events: tuple[Body, ...] = (end.event(job.number),) if context.jobs.settle(job.number) else ()
        last = last_line(context.jobs.tail(job, 4096).text)
        wrote = f" Its last line was: {last}" if last else " It wrote nothing."
        message = f"Job {job.number}: {end_text(end)}.{wrote}"
        ok = outcome_of(end) != "unknown"
        return ToolResult(
            message, outcome="ok" if ok else "unknown", data=data | {"ran_ms": end.duration_ms}, events=events
        )
