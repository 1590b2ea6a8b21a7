"""`run`: a command as a job."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from sessions.events import Body, JobBackgrounded
from sessions.jobs.job import Job, JobEnd
from sessions.jobs.manager import JobError
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.command_env import command_env
from sessions.tools.first_of import finish_or_undo, first_of
from sessions.tools.job_text import collect_output, end_text, leftovers, limits_met, outcome_of, say_limits
from sessions.tools.observations import duration

Why = Literal["asked", "advice", "timeout"]
EARLY: Final = 0.3
"""Seconds for which a background job is watched, so that one that fails at once says so at once."""


class RunArguments(Arguments, frozen=True):
    """Run a shell command (bash) in the workspace, and get its output and exit code. If it still runs after `timeout`
    seconds it goes on as a job in the background and you get the job's number: use `wait` for its end, `job_output`
    to read it, `job_kill` to end it. Its standard input is empty unless `background` or `tty` is set.
    """

    command: Annotated[str, Meta(description="The command, as for `bash -c`.", min_length=1)]
    timeout: Annotated[
        float, Meta(description="Seconds to wait for its end before it goes on in the background.", gt=0, le=86_400)
    ] = 120
    background: Annotated[bool, Meta(description="Start it as a background job at once.")] = False
    tty: Annotated[bool, Meta(description="Give it a terminal, for programs that ask for one.")] = False


class Run:
    """Starts a job and waits for it; the job outlives the call, the session and the host if need be."""

    name = "run"
    arguments = RunArguments

    async def run(self, arguments: RunArguments, context: ToolContext) -> ToolResult:
        """Start the command. Exactly one job is started, and it is in the log before anything is waited for."""
        if "\0" in arguments.command:
            raise ToolFailure("a command cannot contain a NUL character")
        # Half started is no state that a log can tell: it is finished, then the job is handed over.
        try:
            job = await finish_or_undo(self._start(arguments, context), partial(_hand_over, context))
        except JobError as error:
            raise ToolFailure(str(error), environment=True) from None
        timeout = EARLY if arguments.background else arguments.timeout
        return await self.follow(job, context, timeout, background=arguments.background)

    async def follow(self, job: Job, context: ToolContext, timeout: float, *, background: bool) -> ToolResult:
        """Wait ``timeout`` seconds for the end of a job that runs; in the foreground, unless advice comes now.

        Cancelled, it leaves the job to the watch over the session's jobs.
        """
        others = () if background else (context.hurry.wait(),)
        try:
            await first_of(max(0.0, timeout), context.jobs.wait(job), *others)
            end = await context.jobs.wait(job, 0)
            if end is not None:
                return await self._end_result(job, context, end)
            why: Why = "asked" if background else "advice" if context.hurry.is_set() else "timeout"
            return await self._background_result(job, context, why)
        except asyncio.CancelledError:
            context.jobs.release(job)
            raise

    async def _start(self, arguments: RunArguments, context: ToolContext) -> Job:
        job = await context.jobs.start(
            context.jobs.next_number(),
            arguments.command,
            context.workspace,
            command_env(context.env, context.workspace),
            origin=f"{context.step}.{context.call}",
            tty=arguments.tty,
            input=arguments.background,
        )
        await context.emit(job.start_event())
        return job

    async def _end_result(self, job: Job, context: ToolContext, end: JobEnd) -> ToolResult:
        output = await asyncio.to_thread(collect_output, context.jobs, job)
        events: tuple[Body, ...] = (end.event(job.number),) if context.jobs.settle(job.number) else ()
        met = await asyncio.to_thread(limits_met, context.jobs, end)
        notes = [note for note in (end_text(end), say_limits(met), leftovers(job, end)) if note]
        data: dict[str, Any] = {
            "job": job.number,
            "exit_code": end.exit_code,
            "duration_ms": end.duration_ms,
            "output_bytes": end.output_bytes,
            **({"limits": met} if met else {}),
            **output.data,
        }
        return ToolResult(
            _with_notes(output.text, *notes),
            outcome=outcome_of(end),
            data=data,
            events=events,
            blobs=(output.raw,) if output.raw else (),
            file=output.file,
        )

    async def _background_result(self, job: Job, context: ToolContext, why: Why) -> ToolResult:
        """The job goes on in the background; the model gets its number and what it wrote so far."""
        if why == "asked":
            message = f"Started as job {job.number}."
        elif why == "advice":
            message = (
                f"Advice has arrived: the command was put into the background; it is still running as job {job.number}."
            )
        else:
            ran = duration(max(0, context.clock() - job.started_at))
            message = f"Still running after {ran}: it goes on in the background as job {job.number}."
        data: dict[str, Any] = {"job": job.number, "background": why}
        if why == "advice":
            # What training puts in its place where advice is left out of the context.
            data["unaided"] = [message, f"Still running: it goes on in the background as job {job.number}."]
        output = await asyncio.to_thread(collect_output, context.jobs, job)
        context.jobs.release(job)
        return ToolResult(
            _with_notes(output.text, message),
            outcome="timeout" if why == "timeout" else "ok",
            data=data,
            events=(JobBackgrounded(job=job.number, why=why),),
        )


async def _hand_over(context: ToolContext, job: Job) -> None:
    context.jobs.release(job)


def _with_notes(text: str, *notes: str) -> str:
    text = text if not text or text.endswith("\n") else text + "\n"
    return text + "\n".join(f"[{note}]" for note in notes)
