"""Golden logs of adapters: sessions as one version of each adapter made them, never written again once released.

``python tests/support/golden_adapter_logs.py`` makes the file of this version's adapters if it is missing: two sessions
against the scripted server, with reasoning, parallel and malformed calls, advice, a nudge and a summary in their
prompts. Beside it stands what the server received: the SHA-256 of each request's body, by session, in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from agent_testbed import Bench
from sse_script import Fault, Received, Turn
from sse_server import ScriptedServer

from sessions import events as ev
from sessions.providers.registry import adapter_for
from sessions.ulid import new_ulid

FOLDER = Path(__file__).parents[1] / "golden"
PROVIDERS = ("openai", "anthropic")
QUIRKS: dict[str, dict[str, Any]] = {
    "openai": {"send_reasoning": "reasoning_content", "temperature": 0.5},
    "anthropic": {"thinking_budget": 1024, "cache": True},
}
ITEMS = '{"items": [{"text": "größer als 😀", "status": "doing"}]}'
TURNS = (
    Turn(reasoning="First a plan.", text="I plan.", calls=(("plan", ITEMS),)),
    Turn(calls=(("plan", '{ "items":  [] }'), ("plan", '{"items": [{"te'), ("no_such_tool", "{}"))),
    Turn(text="A reply without a call."),
    Turn(calls=(("plan", ITEMS),), reasoning="Again."),
)
TOO_LONG = Turn(faults=(Fault(status=400, message="prompt is too long: exceeds the maximum context length"),) * 9)
FINISH = Turn(text="Done.", calls=(("finish", '{"summary": "done"}'),))
WORKSPACE = "/tmp"
"""No tool of these sessions touches it."""


def script(request: Received) -> Turn:
    """The turns, until the prompt is too long; then a summary, and the end."""
    if request.for_summary:
        return Turn(text="I made a plan and took it back.")
    if "no longer in view" in json.dumps(request.messages[:2]):
        return FINISH
    return TURNS[request.turn] if request.turn < len(TURNS) else TOO_LONG


def paths(versions: dict[str, int]) -> tuple[Path, Path]:
    """The golden log of these adapter versions, and what the server received for it."""
    name = "-".join(f"{provider}-{versions[provider]}" for provider in PROVIDERS)
    return FOLDER / f"{name}.sqlite", FOLDER / f"{name}.received.json"


async def make(log: Path, received: Path) -> None:
    """Play both sessions and keep their log."""
    with tempfile.TemporaryDirectory() as folder:
        bench = await Bench.open(Path(folder))
        hashes: dict[str, list[str]] = {}
        for provider in PROVIDERS:
            async with ScriptedServer(script) as server:
                url = server.openai_url if provider == "openai" else server.anthropic_url
                spec = ev.ModelSpec(provider, "m", base_url=url, quirks=QUIRKS[provider])
                session = new_ulid()
                body = ev.SessionCreated(
                    number=bench.writer.next_number(), title=f"a session of {provider}", task="Plan it.", model=spec,
                    workspace=WORKSPACE, nonce="n0nce",
                )  # fmt: skip
                bench.adapter = adapter_for(spec)
                created = ev.NewEvent(session, body, actor="human:ann")
                await bench.writer.append(created, bench.control_event(session, "start"))
                await bench.advise(session, "Plan before you act.")
                bench.runner(session).start()
                await bench.state(session, "finished")
                hashes[session] = [hashlib.sha256(request.body).hexdigest() for request in server.requests]
        await bench.close()
        with closing(sqlite3.connect(bench.paths.log)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
        shutil.copy(bench.paths.log, log)
    received.write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = paths({provider: adapter_for(ev.ModelSpec(provider, "m")).version for provider in PROVIDERS})
    if not made[0].exists():
        asyncio.run(make(*made))
