"""``demo:NAME``: a scripted model that says so. It speaks at a human pace; the tools it calls are real.

Its wire form is that of Chat Completions, so that a demo log looks like any other. The reply to a request is a pure
function of the request's messages: sent again after a crash, it is the same.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any, Final

from sessions.demo.script import Feedback, Turn, next_turn
from sessions.events import ModelSpec
from sessions.events.messages import CallPart, Message, Part, ReasoningPart, TextPart, Usage
from sessions.providers.base import CallContext, Delta, ProviderError, Reply, RequestBody, ToolSchema, WireMessage
from sessions.providers.chat_wire import chat_tools, chat_wire, with_system

THINKING: Final = 1.6
"""Seconds before the first token, at pace 1."""
TOKEN: Final = 0.022
"""Seconds a token, at pace 1; a token is taken to be four characters."""
_ADVICE: Final = re.compile(r"<(advice-[\w-]+)>(.*?)</\1>", re.S)


def adapter(spec: ModelSpec) -> DemoAdapter:
    """The adapter of ``spec``; raises ProviderError if there is no script of its name."""
    return _ADAPTER


def preload() -> None:
    """Import the scripts now."""
    import sessions.demo.scripts  # noqa: F401


class DemoAdapter:
    """See the module. Usage is counted as characters / 4 and costs nothing."""

    name = "demo"
    version = 1
    playback = None

    def wire(self, spec: ModelSpec, messages: Sequence[Message]) -> list[WireMessage]:
        """As Chat Completions."""
        return chat_wire(spec, messages)

    def body(
        self, spec: ModelSpec, system: str, tools: Sequence[ToolSchema], wire: Sequence[dict[str, Any]], *, purpose: str
    ) -> RequestBody:
        """As Chat Completions; ``scripted`` says what this is."""
        envelope = {"model": spec.id, "scripted": True, "purpose": purpose}
        return RequestBody(envelope, with_system(system, wire), tools=chat_tools(tools) or None)

    async def stream(
        self, spec: ModelSpec, body: RequestBody, call: CallContext
    ) -> AsyncGenerator[Delta | Reply, None]:
        """Speak the script's next turn, token by token."""
        from sessions.demo.scripts import SCRIPTS

        script = SCRIPTS.get(spec.name)
        if script is None:
            raise ProviderError("fatal", f"there is no demo model {spec.name!r}: there are {', '.join(SCRIPTS)}")
        if body.envelope.get("purpose") == "summary":
            turn = Turn(text="The script is being followed; nothing else is worth keeping.")
        else:
            turn = next_turn(script, list(history(body.messages)))
        pace = float(spec.quirks.get("pace", 1.0))
        parts = tuple(_parts(turn, len(body.messages)))
        await asyncio.sleep(THINKING * pace)
        for index, part in enumerate(parts):
            async for delta in _speak(part, index, pace):
                yield delta
        spoken = sum(len(_text(part)) for part in parts)
        yield Reply(
            parts=parts,
            finish="calls" if turn.calls else "stop",
            finish_raw="scripted",
            model=spec.id,
            response_id=f"scripted-{len(body.messages)}",
            usage=Usage(input_tokens=len(json.dumps(body.whole())) // 4, output_tokens=spoken // 4),
        )


_ADAPTER: Final = DemoAdapter()


def wire(spec: ModelSpec, body: bytes) -> AsyncIterator[bytes]:
    """The same model at the other end of a line: the events of a reply to a request of Chat Completions."""
    return _speak_events(spec, json.loads(body))


async def _speak_events(spec: ModelSpec, asked: dict[str, Any]) -> AsyncIterator[bytes]:
    call = CallContext(session="", step=0, key=None, timeout=600.0, stall=600.0)
    base = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": spec.id}

    def event(delta: dict[str, Any], **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
        return f"data: {json.dumps(base | {'choices': [choice]} | more)}\n\n".encode()

    body = RequestBody({}, asked["messages"])
    async for item in _ADAPTER.stream(spec, body, call):
        if isinstance(item, Reply):
            calls = [part for part in item.parts if isinstance(part, CallPart)]
            for index, part in enumerate(calls):
                function = {"name": part.name, "arguments": part.arguments}
                yield event({"tool_calls": [{"index": index, "id": part.id, "type": "function", "function": function}]})
            usage = item.usage or Usage()
            counts = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
            yield event({}, finish="tool_calls" if calls else "stop", usage=counts)
            yield b"data: [DONE]\n\n"
        elif item.channel == "text":
            yield event({"content": item.text})
        elif item.channel == "reasoning":
            yield event({"reasoning_content": item.text})


def history(messages: Sequence[dict[str, Any]]) -> Iterator[Feedback]:
    """What followed each assistant message of a prompt, in order."""
    results: list[str] = []
    advice: list[str] = []
    begun = False
    for message in messages:
        role, content = message.get("role"), message.get("content") or ""
        if role == "assistant":
            if begun:
                yield Feedback(tuple(results), "\n".join(advice))
            begun, results, advice = True, [], []
        elif role == "tool":
            results.append(content)
        elif role == "user" and begun:
            advice += [found[1].strip() for found in _ADVICE.findall(content)]
    if begun:
        yield Feedback(tuple(results), "\n".join(advice))


def _parts(turn: Turn, length: int) -> Iterator[Part]:
    if turn.reasoning:
        yield ReasoningPart(turn.reasoning)
    if turn.text:
        yield TextPart(turn.text)
    for number, each in enumerate(turn.calls, start=1):
        yield CallPart(id=f"call_{length}_{number}", name=each.name, arguments=each.arguments)


def _text(part: Part) -> str:
    return part.arguments if isinstance(part, CallPart) else part.text


async def _speak(part: Part, index: int, pace: float) -> AsyncIterator[Delta]:
    text = _text(part)
    name = part.name if isinstance(part, CallPart) else ""
    for start in range(0, len(text) or 1, 4):
        if pace > 0:
            await asyncio.sleep(TOKEN * pace)
        yield Delta(_channel(part), text[start : start + 4], index, name if start == 0 else "")


def _channel(part: Part) -> Any:
    return "call" if isinstance(part, CallPart) else "reasoning" if isinstance(part, ReasoningPart) else "text"


__all__ = ["DemoAdapter", "adapter", "history", "preload"]
