"""`finish`: the agent says that it is done."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from sessions.tools.base import Arguments, ToolContext, ToolResult


class FinishArguments(Arguments, frozen=True):
    """End the session: the task is done, or nothing more can be done. Call it last, and only once."""

    summary: Annotated[str, Meta(description="What was done and how it turned out, in a few sentences.")]


class Finish:
    """Ends the session after this step."""

    name = "finish"
    arguments = FinishArguments

    async def run(self, arguments: FinishArguments, context: ToolContext) -> ToolResult:
        """Note what the agent says at its end."""
        running = [job.number for job in context.jobs.all() if job.state == "running"]
        return ToolResult("Finished.", data={"summary": arguments.summary, "running_jobs": running}, finish=True)
