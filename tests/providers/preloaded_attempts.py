"""Preload, then attempts with every kind of end; prints the modules that were imported only then."""

from __future__ import annotations

import asyncio
import json
import sys

from sse_script import Fault, Turn, in_order
from sse_server import ScriptedServer

from sessions.events import ModelSpec
from sessions.events.messages import Message, TextPart
from sessions.providers.base import CallContext, ProviderError
from sessions.providers.registry import adapter_for, preload
from sessions.tokens import Counter

FAULTS = (Fault(status=500), Fault(cut="open"), Fault(cut="head"), Fault(stall="middle"))


async def main(provider: str) -> None:
    async with ScriptedServer(in_order(Turn(text="hello " * 9, calls=(("run", "{}"),), faults=FAULTS))) as server:
        url = server.openai_url if provider == "openai" else server.anthropic_url
        spec = ModelSpec(provider, "m", base_url=url)
        preload([spec])
        before = set(sys.modules)
        Counter.for_model("gpt-4").count("x")
        adapter = adapter_for(spec)
        wire = [message.json for message in adapter.wire(spec, [Message("user", (TextPart("Go."),))])]
        body = adapter.body(spec, "", (), wire, purpose="step")
        ends = []
        for _ in range(len(FAULTS) + 1):
            try:
                async for _ in adapter.stream(spec, body, CallContext("s", 1, stall=0.1)):
                    pass
                ends.append("reply")
            except ProviderError as error:
                ends.append(error.reason)
        print(json.dumps({"ends": ends, "late": sorted(set(sys.modules) - before)}))


asyncio.run(main(sys.argv[1]))
