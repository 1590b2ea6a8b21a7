"""What goes over of a reply before the log has it: all but the piece that it ends in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from wire_model import WireModel

from sessions.events import ModelSpec
from sessions.gateway.dialects import DIALECTS
from sessions.gateway.exchange import Answer
from sessions.gateway.upstream import Received, WireCall, ask
from sessions.providers.assembler import Assembler
from sessions.providers.base import CallContext, ProviderError

TALK: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("chat/completions", {"messages": [{"role": "user", "content": "Hi."}]}),
    "responses": ("responses", {"input": [{"role": "user", "content": "Hi."}]}),
    "messages": ("messages", {"messages": [{"role": "user", "content": "Hi."}]}),
}


@dataclass
class Watched:
    """A dialect whose assembler can be looked at."""

    made: Assembler

    def assembler(self, spec: ModelSpec, key: str | None) -> Assembler:
        return self.made


async def stream(model: WireModel, dialect: str, handed: list[bytes]) -> Received | None:
    """Ask for a stream, whose first event comes by itself, and its last one when what is before it has been read; what
    was received in the end."""
    provider = "anthropic" if dialect == "messages" else "openai"
    spec = ModelSpec(provider=provider, name="m", base_url=model.url)
    path, talk = TALK[dialect]
    body = json.dumps({"model": "m", "stream": True, **talk}).encode()
    watched: Any = Watched(DIALECTS[dialect].assembler(spec, None))
    wire = WireCall(watched, path, "", [("content-type", "application/json")], body)
    model.rest.clear()
    model.end.clear()

    def hand_on(head: Answer, piece: bytes) -> None:
        assert (head.status, head.body) == (200, b"")
        handed.append(piece)

    async def read() -> Received | None:
        items = [item async for item in ask(spec, wire, CallContext(session="s", step=1), hand_on)]
        return next((item for item in items if isinstance(item, Received)), None)

    reading = asyncio.create_task(read())
    async with asyncio.timeout(20):
        while not handed:
            await asyncio.sleep(0.01)
        model.rest.set()
        # Chat and Messages give the reason for the end before the last event, Responses with it.
        while not (reading.done() or watched.made.is_whole or b"output_item.done" in b"".join(handed)):
            await asyncio.sleep(0.01)
        model.end.set()
        return await reading


@pytest.mark.parametrize("dialect", TALK)
async def test_the_end_of_a_reply_waits(dialect: str) -> None:
    with WireModel(1).serving() as model:
        handed: list[bytes] = []
        received = await stream(model, dialect, handed)
        assert received is not None
        whole, part = received.answer.body, b"".join(handed)
        assert part and whole.startswith(part)
        assert len(part) < len(whole), "its last piece is handed over by who has committed it"
        for end in (b'finish_reason": "', b"response.completed", b'stop_reason": "', b"message_stop"):
            assert end not in part


@pytest.mark.parametrize("dialect", TALK)
async def test_of_a_reply_that_breaks_off_all_that_came_goes_over(dialect: str) -> None:
    with WireModel(1).serving() as model:
        model.cuts = 1
        handed: list[bytes] = []
        with pytest.raises(ProviderError) as cut:
            await stream(model, dialect, handed)
        assert cut.value.reason == "cut"
        assert b"".join(handed).count(b"\n\n") == 1
