"""What a tool is, what it is given, and what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from sessions.events import Body, EvaluateSpec, Outcome
from sessions.events.states import State
from sessions.events.text import Blob

if TYPE_CHECKING:
    from sessions.containment.spaces import Space
    from sessions.containment.workspace_files import WorkspaceFiles
    from sessions.jobs.manager import JobManager


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of a tool's arguments; the JSON Schema the model sees is made from the subclass and its docstrings."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The observation. ``output`` is the whole text; the agent loop cuts it for the model and keeps the whole.

    ``events`` are committed together with the result (plan, file, eval, job events), with the ``blobs`` they name.
    """

    output: str
    outcome: Outcome = "ok"
    data: dict[str, Any] = field(default_factory=dict)
    events: tuple[Body, ...] = ()
    blobs: tuple[Blob, ...] = ()
    environment: bool = False
    finish: bool = False
    """True ends the session as finished after this step."""
    file: str | None = None
    """Where in the session's folder more of a very long output is kept than ``output`` has."""
    recorded: tuple[str, int] | None = None
    """In a replay: what the model saw of it then, and how many of its characters it did not see."""


class ToolFailure(Exception):
    """The call could not be done; the text is the observation (one or a few lines, for the model to act on)."""

    def __init__(self, message: str, *, environment: bool = False, data: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.environment = environment
        self.data = data or {}


@dataclass(slots=True)
class ToolContext:
    """What a call may touch. One per call; everything it commits goes through ``emit``."""

    session: str
    step: int
    call: int
    call_id: str
    workspace: Path
    folder: Path
    """The session's own folder (jobs, capped files); not visible to the agent."""
    env: Mapping[str, str]
    files: WorkspaceFiles
    """The workspace's files, read and written where its commands run."""
    scoring: Callable[[Path, Path, Path], Space]
    """``scoring(place, copy, scorer)`` is the space of one evaluation."""
    jobs: JobManager
    evaluate: EvaluateSpec | None
    evaluations_left: Callable[[], int | None]
    evaluations_used: Callable[[], int]
    emit: Callable[..., Awaitable[None]]
    """``await emit(*bodies, blobs=())`` commits events of this step and call at once."""
    enter: Callable[..., Awaitable[None]]
    """``await enter(state, reason=..., until=..., job=...)`` changes the session's state while the call waits.

    The loop commits the way back to ``running`` together with the result."""
    wake: asyncio.Event
    """Set when advice is queued: a ``wait`` ends."""
    hurry: asyncio.Event
    """Set when advice is to be delivered now: a foreground ``run`` becomes a background job."""
    ask: Callable[[str, float], Awaitable[tuple[str, bool]]]
    """``await ask(question, timeout_s)`` returns (answer, timed_out); survives a restart of the host."""
    clock: Callable[[], int]
    """Unix milliseconds."""


class Tool(Protocol):
    """One tool of the agent. The docstring of its arguments is what the model is told of it."""

    @property
    def name(self) -> str:
        """What the model calls it by."""
        ...

    @property
    def arguments(self) -> type[Arguments]:
        """What it takes."""
        ...

    async def run(self, arguments: Any, context: ToolContext) -> ToolResult:
        """Do it. Raises ToolFailure for what the model should hear of; any other exception is a tool crash."""
        ...


__all__ = ["Arguments", "State", "Tool", "ToolContext", "ToolFailure", "ToolResult"]
