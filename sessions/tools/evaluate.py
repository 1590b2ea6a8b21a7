"""`evaluate`: the task's own scorer, on a copy of the workspace, within a budget."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from pathlib import Path
from typing import Final

from sessions.containment.errors import SpaceError
from sessions.events import EvalScored, EvaluateSpec
from sessions.events.text import long_text
from sessions.jobs.job import Job, JobEnd
from sessions.jobs.manager import JobError, JobManager
from sessions.jobs.output import last_line
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.command_env import command_env
from sessions.tools.first_of import finish_or_undo
from sessions.tools.job_text import CollectedOutput, collect_output
from sessions.tools.observations import duration
from sessions.workspace import SCORER, WORKSPACE, WorkspaceError, copy_for_scoring, remove_tree

WORKSPACE_VARIABLE: Final = "APOLLO_WORKSPACE"
"""Where the scorer finds the copy of the workspace; it runs in a folder of its own, with its files beside it."""
KIND: Final = "evaluations"
PLACE: Final = "scoring"


class EvaluateArguments(Arguments, frozen=True):
    """Have the task's own scorer judge the workspace as it is now. The number of evaluations may be limited; one that
    fails to give a score does not count.
    """


class Evaluate:
    """Runs the scorer as a job that the agent neither sees nor numbers."""

    name = "evaluate"
    arguments = EvaluateArguments

    async def run(self, arguments: EvaluateArguments, context: ToolContext) -> ToolResult:
        """Copy, score, tidy up."""
        spec = _spec(context)
        left = context.evaluations_left()
        if left is not None and left <= 0:
            used = context.evaluations_used()
            raise ToolFailure(f"the budget of evaluations is used up: {used} of {used + left}")
        number = JobManager(context.folder, kind=KIND).next_number()
        runs = scoring_jobs(context, number)
        job = await finish_or_undo(_begin(spec, runs, number, context), partial(_abandon, runs, context.folder))
        return await self.follow(runs, job, context)

    async def follow(self, runs: JobManager, job: Job, context: ToolContext) -> ToolResult:
        """Wait for a scorer that runs, and say what it found. A cancelled call ends its scorer."""
        spec = _spec(context)
        left = max(0.0, spec.timeout - max(0, context.clock() - job.started_at) / 1000)
        try:
            end = await runs.wait(job, left)
            late = end is None
            if end is None:
                end = await runs.kill(job, by="host")
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(_abandon(runs, context.folder, job)))
            raise
        output = await asyncio.to_thread(collect_output, runs, job)
        await _tidy(runs, context.folder, job.number)
        score, problem = _read_score(output.text, end, spec, late)
        return _result(context, spec, output, score, problem)


def scoring_jobs(context: ToolContext, number: int) -> JobManager:
    """The jobs of evaluation ``number``, which has a space of its own."""
    place = context.folder / PLACE / str(number)
    space = context.scoring(place, place / WORKSPACE, place / SCORER)
    return JobManager(context.folder, kind=KIND, space=space)


async def _begin(spec: EvaluateSpec, runs: JobManager, number: int, context: ToolContext) -> Job:
    """Copy the workspace and start the scorer."""
    place = context.folder / PLACE / str(number)
    try:
        await context.jobs.space.pull(context.workspace)
        copy, home = await asyncio.to_thread(copy_for_scoring, context.workspace, context.folder, place)
        env = command_env(context.env, home) | {WORKSPACE_VARIABLE: str(copy)}
        return await runs.start(number, spec.command, home, env, origin=f"{context.step}.{context.call}")
    except (WorkspaceError, SpaceError, JobError) as error:
        await asyncio.to_thread(remove_tree, place)
        raise ToolFailure(f"the evaluation could not begin: {error}", environment=True) from None


def _result(
    context: ToolContext, spec: EvaluateSpec, output: CollectedOutput, score: float | None, problem: str
) -> ToolResult:
    text, blobs = long_text(output.text, file=output.file)
    used, left = context.evaluations_used(), context.evaluations_left()
    budget = None if left is None else used + left
    if score is not None:
        used += 1
    event = EvalScored(score=score, better=spec.better, used=used, budget=budget, output=text, problem=problem)
    count = f"evaluation {used} of {budget}" if budget is not None else f"evaluation {used}"
    if score is None:
        note = f"[no score: the scorer {problem}; this does not count as an evaluation]"
    else:
        note = f"[score {score:g} ({spec.better} is better), {count}]"
    body = output.text if not output.text or output.text.endswith("\n") else output.text + "\n"
    return ToolResult(
        body + note,
        outcome="ok" if score is not None else "error",
        data={"score": score, "problem": problem, "used": used, "budget": budget, **output.data},
        events=(event,),
        blobs=(*blobs, output.raw) if output.raw else tuple(blobs),
        file=output.file,
    )


def _read_score(output: str, end: JobEnd | None, spec: EvaluateSpec, late: bool) -> tuple[float | None, str]:
    """The score, or None and what went wrong."""
    if late:
        return None, f"did not end within {duration(spec.timeout * 1000)}"
    if end is None or end.how != "exited":
        return None, "was killed"
    if end.exit_code != 0:
        return None, f"ended with exit code {end.exit_code}"
    last = last_line(output)
    try:
        score = float(last)
    except ValueError:
        return None, f"printed no number on its last line: {last[:100]!r}" if last else "printed nothing"
    return (score, "") if math.isfinite(score) else (None, f"printed {last!r}, which is no finite number")


def _spec(context: ToolContext) -> EvaluateSpec:
    if context.evaluate is None:
        raise ToolFailure("this task has no scorer")
    return context.evaluate


async def _abandon(runs: JobManager, folder: Path, job: Job) -> None:
    await runs.kill(job, by="host", grace=0.5)
    await _tidy(runs, folder, job.number)


async def _tidy(runs: JobManager, folder: Path, number: int) -> None:
    await runs.space.close()
    await asyncio.to_thread(remove_tree, folder / PLACE / str(number))
