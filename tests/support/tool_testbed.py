"""A tool's surroundings without a host: a workspace, a session folder, and a list of what was committed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sessions.clock import now_ms
from sessions.containment.session_spaces import scoring_space
from sessions.containment.workspace_files import WorkspaceFiles
from sessions.events import Body, Containment, EvaluateSpec
from sessions.jobs.manager import JobManager
from sessions.tools import registry
from sessions.tools.base import Arguments, ToolContext, ToolFailure, ToolResult


@dataclass
class Bench:
    workspace: Path
    folder: Path
    jobs: JobManager
    evaluate: EvaluateSpec | None = None
    contained: Containment | None = None
    budget: int | None = None
    used: int = 0
    step: int = 0
    committed: list[Body] = field(default_factory=list)
    states: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answer: Callable[[str, float], tuple[str, bool]] = lambda question, timeout: ("", True)
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def at(cls, place: Path) -> Bench:
        workspace, folder = place / "work", place / "session"
        workspace.mkdir()
        folder.mkdir()
        return cls(workspace, folder, JobManager(folder))

    def context(self, *, step: int | None = None) -> ToolContext:
        if step is None:
            self.step += 1

        async def emit(*bodies: Body, blobs: object = ()) -> None:
            self.committed += bodies

        async def enter(state: str, **more: Any) -> None:
            self.states.append((state, more))

        async def ask(question: str, timeout: float) -> tuple[str, bool]:
            return self.answer(question, timeout)

        return ToolContext(
            session="s",
            step=self.step if step is None else step,
            call=1,
            call_id="c",
            workspace=self.workspace,
            folder=self.folder,
            env=self.env,
            scoring=partial(scoring_space, self.contained, self.folder),
            files=WorkspaceFiles(self.jobs.space, self.workspace),
            jobs=self.jobs,
            evaluate=self.evaluate,
            evaluations_left=lambda: None if self.budget is None else self.budget - self.used,
            evaluations_used=lambda: self.used,
            emit=emit,
            enter=enter,
            wake=self.wake,
            hurry=self.hurry,
            ask=ask,
            clock=now_ms,
        )

    async def do(self, name: str, **arguments: Any) -> ToolResult:
        """Call a tool as a model does, by JSON."""
        import json

        decode_piece = registry.decode(name, json.dumps(arguments))
        assert isinstance(decode_piece, Arguments), decode_piece
        return await registry.TOOLS[name].run(decode_piece, self.context())

    async def failure(self, name: str, **arguments: Any) -> str:
        """What a call that cannot be done tells the model."""
        try:
            result = await self.do(name, **arguments)
        except ToolFailure as failure:
            return str(failure)
        raise AssertionError(f"{name} did not fail: {result.output}")


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until ``condition`` is true, or fail."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)
    return found
