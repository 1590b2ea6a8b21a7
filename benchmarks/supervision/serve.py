"""A small server of Chat Completions for the tiny models of one run. Its own process: ``python -m ...serve RUN``.

Sampling is a function of the request alone (its seed, its temperature, its words), so that a table does not depend on
how fast the machine is. A model is a folder of RUN/models; ``expert`` is no model, but somebody who knows the facts.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.supervision.chain import SUBMIT, WAIT, Shape, World
from benchmarks.supervision.forward import load
from benchmarks.supervision.vocabulary import END, Words

EXPERT: Final = "expert"
"""The name by which somebody who knows the facts is asked; no arm has it."""
HEAD: Final = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n"
)
Chances = Callable[[Sequence[int]], Sequence[float]]
"""Logits of the next word, of all words in the order of their ids."""


class Models:
    """The models of a run by name, read when first asked for."""

    def __init__(self, run: Path) -> None:
        facts = json.loads((run / "run.json").read_text("utf-8"))
        self.words = Words(msgspec.convert(facts["shape"], Shape))
        self.world = World(self.words.shape, int(facts["world"]))
        self._folder = run / "models"
        self._known: dict[str, Chances] = {}

    def answer(self, name: str, ids: Sequence[int], *, temperature: float, seed: int) -> str:
        """The action that the model takes after this prompt."""
        if name == EXPERT:
            return self._expert(ids)
        if name not in self._known:
            self._known[name] = load(self._folder / name, self.words.calls)
        return pick(self._known[name](ids), self.words.calls, ids, temperature=temperature, seed=seed)

    def _expert(self, ids: Sequence[int]) -> str:
        seen = [self.words.all[number] for number in ids]
        key = next(word for word in seen if word[0] == "K")
        last = next(word for word in reversed(seen) if word[0] in "CE" or word in ("BUSY", "READY"))
        if last == "BUSY":
            return WAIT
        if last == "READY":
            return SUBMIT
        return f"FIX{last[1:]}" if last[0] == "E" else self.world.right(int(key[1:]), int(last[1:]))


def pick(logits: Sequence[float], calls: dict[int, str], ids: Sequence[int], *, temperature: float, seed: int) -> str:
    """One of the calls (a server that is told ``tool_choice: required`` lets nothing else through)."""
    if temperature <= 0:
        return calls[max(calls, key=lambda number: (logits[number], -number))]
    most = max(logits[number] for number in calls)
    weights = [math.exp((logits[number] - most) / temperature) for number in calls]
    draw = random.Random(f"{seed} {' '.join(map(str, ids))}").random() * sum(weights)
    for number, weight in zip(calls, weights, strict=True):
        draw -= weight
        if draw <= 0:
            return calls[number]
    return calls[max(calls)]


def reply(models: Models, request: dict[str, Any]) -> bytes:
    """The whole stream that answers a request."""
    ids = models.words.ids_of_chat(request["messages"])
    temperature, seed = float(request.get("temperature", 1.0)), int(request.get("seed", 0))
    action = models.answer(request["model"], ids, temperature=temperature, seed=seed)
    call = {"name": "act", "arguments": json.dumps({"do": action})}
    delta = {"tool_calls": [{"index": 0, "id": f"call_{len(ids)}", "type": "function", "function": call}]}
    usage = {"prompt_tokens": len(ids), "completion_tokens": 2}
    chunks = [
        {"model": request["model"], "choices": [{"index": 0, "delta": delta}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls", "stop_reason": END}], "usage": usage},
    ]
    return "".join(f"data: {line}\n\n" for line in (*map(json.dumps, chunks), "[DONE]")).encode()


async def serve(models: Models, ready: Callable[[int], None], end: asyncio.Event | None = None) -> None:
    """Answer until ``end``, or for ever."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        request = json.loads(await reader.readexactly(length))
        writer.write(HEAD.encode() + reply(models, request))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    ready(server.sockets[0].getsockname()[1])
    async with server:
        await (end or asyncio.Event()).wait()


def main() -> None:
    """Serve the models of the run that is named, and print the port."""
    models = Models(Path(sys.argv[1]))

    async def whole() -> None:
        end = asyncio.Event()
        # Whoever started this holds the other end: it ends with them, however they end.
        asyncio.get_running_loop().add_reader(sys.stdin, lambda: None if sys.stdin.read(1) else end.set())
        await serve(models, lambda port: print(port, flush=True), end)

    with suppress(KeyboardInterrupt):
        asyncio.run(whole())


if __name__ == "__main__":
    main()
