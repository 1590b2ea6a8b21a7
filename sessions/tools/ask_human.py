"""`ask_human`: a question to a person, open until it is answered or its time is over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from sessions.tools.base import Arguments, ToolContext, ToolResult

USE_YOUR_JUDGEMENT = "Nobody answered in time. Use your judgement."


class AskHumanArguments(Arguments, frozen=True):
    """Ask the person who supervises you, and wait for the answer. Ask only what you cannot find out yourself: people
    are not always there, and after the time-out you are told to use your judgement.
    """

    question: Annotated[str, Meta(description="The question, with all that is needed to answer it.", min_length=1)]
    timeout_minutes: Annotated[float, Meta(description="How long to wait for an answer.", gt=0, le=1440)] = 30


class AskHuman:
    """Asks through the session's runner, which keeps the question open across restarts of the host."""

    name = "ask_human"
    arguments = AskHumanArguments

    async def run(self, arguments: AskHumanArguments, context: ToolContext) -> ToolResult:
        """Ask, and return what came back."""
        answer, timed_out = await context.ask(arguments.question, arguments.timeout_minutes * 60)
        return ToolResult(answer or USE_YOUR_JUDGEMENT, data={"timed_out": timed_out})
