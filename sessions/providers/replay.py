"""``replay:FILE``: a recorded trajectory plays again as if live. It executes nothing: recorded results come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from sessions.errors import ApolloError
from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, Part, ReasoningPart
from sessions.importers.recording import RecordedResult, RecordedStep, Recording
from sessions.providers.base import CallContext, Delta, ProviderError, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.chat_wire import chat_tools, chat_wire, with_system
from sessions.providers.quirks import ReplayQuirks, quirks_of

FRAME_SECONDS: Final = 0.1
MAX_FRAMES: Final = 200
"""Deltas per reply, whatever its length and speed."""


class Replay:
    """The adapter for one recording. Step N of the session is step N of the recording."""

    name = "replay"
    version = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps: Sequence[RecordedStep] | None = None

    @property
    def playback(self) -> Replay:
        """The recording has the results too."""
        return self

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        """The shape of Chat Completions; nobody receives it, but the log keeps it."""
        return chat_wire(spec, messages)

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        """The request that nobody receives."""
        return RequestBody({"model": spec.name}, with_system(system, wire), tools=chat_tools(tools) or None)

    async def stream(
        self, spec: ModelSpec, body: RequestBody, call: CallContext
    ) -> AsyncGenerator[Delta | Reply, None]:
        """The recorded reply, at recorded pace times ``speed``. Past the end: ProviderError."""
        steps = await asyncio.to_thread(self._load)
        if not 1 <= call.step <= len(steps):
            raise ProviderError(
                "fatal", f"{self._path.name}: the recording has {len(steps)} steps, no step {call.step}"
            )
        step = steps[call.step - 1]
        deltas = list(_deltas(step.parts))
        seconds = step.duration_ms / 1000 / quirks_of(spec, ReplayQuirks).speed
        frames = max(1, min(len(deltas), MAX_FRAMES, int(seconds / FRAME_SECONDS)))
        for frame in range(frames):
            await asyncio.sleep(seconds / frames)
            for delta in deltas[frame * len(deltas) // frames : (frame + 1) * len(deltas) // frames]:
                yield delta
        called = any(isinstance(part, CallPart) for part in step.parts)
        yield Reply(parts=step.parts, finish="calls" if called else "stop", model=step.model, usage=step.usage)

    async def result(self, spec: ModelSpec, step: int, call: int) -> RecordedResult:
        """What call ``call`` of step ``step`` (both from 1) returned, after as long as it took then, by ``speed``."""
        steps = await asyncio.to_thread(self._load)
        results = steps[step - 1].results if 1 <= step <= len(steps) else ()
        if not 1 <= call <= len(results):
            return RecordedResult(f"The recording has no result of call {step}.{call}.", "unknown")
        result = results[call - 1]
        await asyncio.sleep(result.duration_ms / 1000 / quirks_of(spec, ReplayQuirks).speed)
        return result

    async def is_over(self, step: int) -> bool:
        """Whether step ``step`` was the last one: the session is finished after it."""
        return step >= len(await asyncio.to_thread(self._load))

    def _load(self) -> Sequence[RecordedStep]:
        if self._steps is None:
            from sessions.importers.files import load_recording

            try:
                recording: Recording = load_recording(self._path)
            except (ApolloError, OSError) as problem:
                raise ProviderError("fatal", f"cannot replay {self._path}: {problem}") from None
            self._steps = recording.steps
        return self._steps


@cache
def _adapter(path: str) -> Replay:
    return Replay(Path(path))


def adapter(spec: ModelSpec) -> Replay:
    """The adapter for the file that ``spec`` names."""
    return _adapter(spec.name)


def preload() -> None:
    """Import the readers of recordings."""
    import sessions.importers.files  # noqa: F401


def _deltas(parts: Sequence[Part]) -> list[Delta]:
    """The parts in pieces of about a word, as a server would send them."""
    deltas = []
    for index, part in enumerate(parts):
        if isinstance(part, CallPart):
            deltas.append(Delta("call", part.arguments, index, part.name))
            continue
        channel: Literal["reasoning", "text"] = "reasoning" if isinstance(part, ReasoningPart) else "text"
        pieces = part.text.split(" ")
        texts = [piece + " " for piece in pieces[:-1]] + pieces[-1:]
        deltas += [Delta(channel, text, index) for text in texts if text]
    return deltas
