"""`plan`: the agent's to-do list, which the annotator sees."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sessions.events import PlanChanged, PlanItem
from sessions.tools.base import Arguments, ToolContext, ToolResult


class PlanLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the plan."""

    text: Annotated[str, Meta(description="What is to be done, in one line.", min_length=1)]
    status: Annotated[
        Literal["todo", "doing", "done", "dropped"], Meta(description="Where it stands; one line at a time is doing.")
    ] = "todo"


class PlanArguments(Arguments, frozen=True):
    """Write down or replace your whole to-do list. People who supervise you see it; keep it short and current."""

    items: Annotated[list[PlanLine], Meta(description="The whole list as it is now, in order.")]


class Plan:
    """Replaces the to-do list."""

    name = "plan"
    arguments = PlanArguments

    async def run(self, arguments: PlanArguments, context: ToolContext) -> ToolResult:
        """Note the list; nothing else happens."""
        items = tuple(PlanItem(item.text, item.status) for item in arguments.items)
        done = sum(item.status == "done" for item in items)
        return ToolResult(f"The plan has {len(items)} items, {done} done.", events=(PlanChanged(items=items),))
