"""Conversations that grow by a reply and its results, sometimes advice, as the prompts of a session do."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from apollo_train.samples.chat import Chat, Turn

WORDS = [
    "ls -l",
    "make test",
    "cat ümlaut.txt",
    "echo '<b>'",
    "git log",
    "日本",
    "a\nb",
    "  two  ",
    "x" * 40,
    "<tool_response>",
]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "run",
            "description": "Runs a command.",
            "parameters": {"type": "object", "properties": {"command": {"type": "string"}}},
        },
    }
]


def prompts(
    seed: int, steps: int, *, calls: int = 2, advice: float = 0.1, objects: bool = True, talk: bool = False
) -> Iterator[tuple[list[Turn], Chat]]:
    """The turns before each reply, and the reply. Turns that prompts share are the same objects."""
    rng = random.Random(seed)
    turns = [
        Turn({"role": "system", "content": "You are an agent."}),
        Turn({"role": "user", "content": "Make it learn."}),
    ]
    for step in range(steps):
        reply: Chat = {"role": "assistant", "content": rng.choice([*WORDS, "", "", "Done."])}
        if rng.random() < 0.7:
            reply["reasoning_content"] = rng.choice(WORDS).strip()
        number = 0 if talk else rng.choice([0, *range(1, calls + 1), *range(1, calls + 1)])
        if number:
            reply["tool_calls"] = [_call(f"c{step}.{n}", rng.choice(WORDS)) for n in range(number)]
        elif not reply["content"].strip():
            reply["content"] = "Hm."
        yield list(turns), reply
        turns = [*turns, Turn(reply)]
        for call in reply.get("tool_calls", ()):
            turns.append(Turn({"role": "tool", "content": rng.choice(["ok", "", *WORDS]), "tool_call_id": call["id"]}))
        if not number or rng.random() < advice:
            turns.append(Turn({"role": "user", "content": rng.choice(["Go on.", "Wait for it."])}))


def _call(name: str, command: str) -> dict[str, Any]:
    return {"id": name, "type": "function", "function": {"name": "run", "arguments": json.dumps({"command": command})}}
