"""The stage chain as a task's environment: tasks name ``benchmarks.supervision.environment:tools``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from benchmarks.supervision.chain import OVER, Chain, Clues, Shape, State, World, observation
from sessions.events import EvalScored
from sessions.tools.base import Arguments, Tool, ToolContext, ToolResult
from sessions.tools.task_environment import Setting

ENTRY = "benchmarks.supervision.environment:tools"


class ActArguments(Arguments, frozen=True):
    """Take one action in the environment."""

    do: Annotated[str, Meta(description="The action: A0, A1, ..., FIX0, ..., WAIT or SUBMIT.")]


class Act:
    """One step of the chain. The state lies in the environment's folder, so that another host goes on from it."""

    name = "act"
    arguments = ActArguments

    def __init__(self, setting: Setting) -> None:
        options: dict[str, Any] = dict(setting.options)
        world, episode, clues = int(options.pop("world")), int(options.pop("episode")), options.pop("show")
        self._chain = Chain(World(msgspec.convert(options, Shape), world), episode, msgspec.convert(clues, Clues))
        self._file = setting.folder / "state.json"

    async def run(self, arguments: ActArguments, context: ToolContext) -> ToolResult:
        """Take the action; the last one ends the session with its score."""
        state = self._chain.act(self._read(), arguments.do)
        part = self._file.with_suffix(".new")
        part.write_bytes(msgspec.json.encode(state))
        part.replace(self._file)
        over = state.phase in OVER
        score = EvalScored(score=float(state.phase == "success"), better="higher")
        return ToolResult(
            observation(self._chain, state), events=(score,) if over else (), finish=over, data={"stage": state.stage}
        )

    def _read(self) -> State:
        return msgspec.json.decode(self._file.read_bytes(), type=State) if self._file.exists() else self._chain.start()


def tools(setting: Setting) -> list[Tool]:
    """The entry point."""
    return [Act(setting)]
