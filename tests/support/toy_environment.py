"""A task's own environment for tests: a counter that remembers itself in its folder."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult
from sessions.tools.task_environment import Setting


class CountArguments(Arguments, frozen=True):
    """Count up. The last number ends the session."""

    by: Annotated[int, Meta(description="How far.")] = 1


class Count:
    name = "count"
    arguments = CountArguments

    def __init__(self, setting: Setting) -> None:
        self._file = setting.folder / "count"
        self._last = int(setting.options.get("last", 3))

    async def run(self, arguments: CountArguments, context: ToolContext) -> ToolResult:
        if arguments.by < 0:
            raise ToolFailure("Only up.")
        at = int(self._file.read_text() if self._file.exists() else 0) + arguments.by
        self._file.write_text(str(at))
        return ToolResult(f"at {at}", finish=at >= self._last)


def counter(setting: Setting) -> list[Any]:
    return [Count(setting)]


def nothing(setting: Setting) -> list[Any]:
    return []


def clashing(setting: Setting) -> list[Any]:
    tool = Count(setting)
    tool.name = "run"
    return [tool]


def no_tools(setting: Setting) -> list[Any]:
    return ["count"]


def broken(setting: Setting) -> list[Any]:
    raise KeyError("stages")


NUMBER = 3
