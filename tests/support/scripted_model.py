"""A model that says what a test wrote down, and keeps what it was sent. It raises when its script is exhausted."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Finish, Message, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import canonical_json
from sessions.providers.base import (
    CallContext,
    Delta,
    Playback,
    ProviderError,
    Reply,
    RequestBody,
    ToolSchema,
    WireMessage,
)
from sessions.providers.chat_wire import chat_tools, chat_wire, with_system


@dataclass
class Turn:
    """One scripted reply, after ``errors`` failed attempts. With ``stuck`` it streams, then never ends."""

    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    reasoning: str = ""
    errors: tuple[ProviderError, ...] = ()
    stuck: bool = False
    finish: Finish | None = None
    usage: Usage | None = None

    def parts(self, step: int) -> tuple[Part, ...]:
        parts: list[Part] = [ReasoningPart(self.reasoning)] if self.reasoning else []
        if self.text:
            parts.append(TextPart(self.text))
        for number, (name, arguments) in enumerate(self.calls, 1):
            raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
            parts.append(CallPart(f"call_{step}_{number}", name, raw))
        return tuple(parts)


def call(name: str, /, **arguments: Any) -> Turn:
    """A turn with one call."""
    return Turn(calls=((name, arguments),))


@dataclass
class ScriptedAdapter:
    """Step N gets turn N of ``turns``, however often it is asked for; summaries get ``summaries`` in order."""

    turns: Sequence[Turn]
    summaries: Sequence[Turn] = ()
    name: str = "scripted"
    version: int = 1
    playback: Playback | None = None
    received: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    streaming: asyncio.Event = field(default_factory=asyncio.Event)
    on_step: Callable[[int], None] | None = None
    counts: bool = True
    """Whether the server says how many tokens a reply was."""
    _summaries_given: int = 0

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        return chat_wire(spec, messages)

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        offered = chat_tools(tools) if purpose == "step" else None
        return RequestBody({"model": spec.name, "purpose": purpose}, with_system(system, wire), tools=offered)

    async def stream(
        self, spec: ModelSpec, body: RequestBody, call: CallContext
    ) -> AsyncGenerator[Delta | Reply, None]:
        self.received.append(canonical_json(body.whole()))
        self.keys.append(call.key)
        turn = self._turn(call)
        if self.on_step is not None:
            self.on_step(call.step)
        self.attempts[call.step] += 1
        failed = self.attempts[call.step] - 1
        parts = turn.parts(call.step)
        for index, part in enumerate(parts):
            if isinstance(part, CallPart):
                yield Delta("call", part.arguments, index, part.name)
            else:
                yield Delta("reasoning" if isinstance(part, ReasoningPart) else "text", part.text, index)
        if failed < len(turn.errors):
            raise turn.errors[failed]
        self.streaming.set()
        if turn.stuck and failed == len(turn.errors):
            await asyncio.Event().wait()
        yield Reply(
            parts=parts,
            finish=turn.finish or ("calls" if turn.calls else "stop"),
            model="scripted",
            raw_text=turn.text,
            usage=(turn.usage or Usage(input_tokens=100, output_tokens=10)) if self.counts else None,
        )

    def _turn(self, call: CallContext) -> Turn:
        if call.step == 0:
            self._summaries_given += 1
            return self.summaries[self._summaries_given - 1]
        assert 1 <= call.step <= len(self.turns), f"the script has no step {call.step}"
        return self.turns[call.step - 1]
