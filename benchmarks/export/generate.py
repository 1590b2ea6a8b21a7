"""A log of any size, as hosts write them: requests as extensions of earlier ones, replies, actions, results, judgement.

``python -m benchmarks.export.generate LOG --events 1000000``; the same arguments give the same log.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import math
import random
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from sessions import events as ev
from sessions import ulid
from sessions.events.messages import CallPart, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text
from sessions.log.writer import LogWriter

STEPS: Final = 250
"""Steps of a session: about a thousand events."""
CONTEXT: Final = 100
"""Steps between two summaries: prompts of 200 KB on average, the median of InnovatorBench runs (55k tokens)."""
WORDS: Final = [
    "the",
    "loss",
    "of",
    "this",
    "run",
    "is",
    "still",
    "above",
    "what",
    "we",
    "want",
    "so",
    "I",
    "look",
    "at",
    "the",
    "log",
    "first",
    "and",
    "then",
    "decide",
    "whether",
    "to",
    "wait",
    "for",
    "the",
    "next",
    "checkpoint",
    "or",
    "to",
    "change",
    "the",
    "learning",
    "rate",
    "batch",
    "size",
    "warmup",
    "model",
    "data",
    "epoch",
    "train",
    "eval",
    "score",
    "file",
]
TOOLS: Final = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"command": {}}}}}
    for name in ("run", "wait", "read_file", "edit_file", "job_output")
]
SYSTEM: Final = Blob.of(canonical_json({"role": "system", "content": "You are an agent that works for days. " * 40}))
TOOL_BLOB: Final = Blob.of(canonical_json(TOOLS))
ENVELOPE: Final = {"model": "made-up", "temperature": 0.7, "stream": True}


MEDIAN: Final = 860
SPREAD: Final = 1.8
MOST: Final = 25_000
"""Characters of a tool's output: lognormal, as in a real InnovatorBench segment (median 0.86 KB, 90th percentile
8.6 KB, longest 25 KB), which also has a character to escape in every twelve."""


def _printed(chance: random.Random, characters: int = 1_000_000) -> str:
    """What tools print: progress, settings, code, paths."""
    made: list[str] = []
    size = 0
    while size < characters:
        word, other = chance.choices(WORDS, k=2)
        number = chance.random()
        made.append(
            chance.choice(
                (
                    f"step {number * 1e4:.0f} | {word} {number:.4f} | {other} {number / 7:.3e} | {number:.2f} s/it\n",
                    f'  "{word}_{other}": {{"value": {number:.3f}, "unit": "{other}"}},\n',
                    f'\tif {word}["{other}"] is None:\n\t\traise ValueError(f"{word}: {{{other}!r}}")\n',
                    f"-rw-r--r-- 1 user user {number * 1e6:8.0f} /data/{word}/{other}_{size % 1000}.jsonl\n",
                    f"{' '.join(chance.choices(WORDS, k=12))}.\n",
                    f"{word:<14} {'█' * int(number * 8):<8} {number:6.1%}\n",
                )
            )
        )
        size += len(made[-1])
    return "".join(made)


PRINTED: Final = _printed(random.Random(0))


class Teller:
    """One session's events. Seqs are known in advance, because the writer appends them in this order."""

    def __init__(self, number: int, context: int = CONTEXT, steps: int = STEPS) -> None:
        self.context, self.steps = context, steps
        self.chance = random.Random(number)
        self.number = number
        self.session = ulid.encode((1_700_000_000_000 + number) << 80 | number)
        self.events: list[ev.NewEvent] = []
        self.blobs: list[Blob] = [SYSTEM, TOOL_BLOB]
        self.parent: int | None = None
        self.fresh: list[ev.MessageRef] = []
        self.body: list[bytes] = []
        self.advice = count(1)
        self.ticks = count(1_700_000_000_000 + number, 1_000)

    def tell(self) -> list[ev.NewEvent]:
        """The whole session."""
        model = ev.ModelSpec(provider="openai", name="made-up")
        task = f"Task {self.number % 97}: " + self.text(60)
        self.add(
            ev.SessionCreated(
                number=self.number, title="made up", task=task, model=model, task_id=f"t{self.number % 97}"
            )
        )
        self.add(ev.StateChanged(state="running"))
        self.begin([{"role": "user", "content": task}], [1])
        for step in range(1, self.steps + 1):
            self.step(step)
            if step % self.context == 0 and step < self.steps:
                self.summarise(step, task)
            if self.chance.random() < 0.02:
                self.judge(step)
        self.add(ev.CursorMoved.up_to(len(self.events) // 2), actor="human:ann")
        self.add(ev.StateChanged(state="finished"))
        return self.events

    def text(self, words: int) -> str:
        """Words in a row."""
        return " ".join(self.chance.choices(WORDS, k=words))

    def output(self) -> str:
        """What a tool printed."""
        size = min(int(self.chance.lognormvariate(math.log(MEDIAN), SPREAD)), MOST)
        at = self.chance.randrange(len(PRINTED) - MOST)
        return PRINTED[at : at + size]

    def add(self, body: ev.Body, step: int | None = None, call: int | None = None, actor: str = "host") -> int:
        """Append an event; its seq."""
        self.events.append(ev.NewEvent(self.session, body, step, call, actor, None, next(self.ticks)))
        return len(self.events)

    def begin(self, messages: Sequence[dict[str, Any]], sources: Sequence[int]) -> None:
        """Begin a context."""
        self.parent, self.body, self.fresh = None, [SYSTEM.data], [ev.MessageRef(SYSTEM.hash, "system")]
        for message in messages:
            self.say(message, *sources)

    def say(self, message: dict[str, Any], *sources: int) -> None:
        """The next message of the prompt."""
        blob = Blob.of(canonical_json(message))
        self.blobs.append(blob)
        self.body.append(blob.data)
        self.fresh.append(ev.MessageRef(blob.hash, message["role"], sources))

    def request(self, step: int | None, purpose: Any = "step") -> int:
        """A request with all that was said since the last one."""
        slots = {**{k: canonical_json(v) for k, v in ENVELOPE.items()}, "tools": TOOL_BLOB.data}
        slots["messages"] = b"[" + b",".join(self.body) + b"]"
        whole = b"{" + b",".join(canonical_json(k) + b":" + slots[k] for k in sorted(slots)) + b"}"
        body = ev.ModelRequested(
            purpose=purpose,
            adapter="openai_chat",
            adapter_version=1,
            envelope=ENVELOPE,
            tools=TOOL_BLOB.hash,
            parent=self.parent,
            append=tuple(self.fresh),
            sha256=hashlib.sha256(whole).hexdigest(),
            estimate_tokens=len(whole) // 4,
        )
        self.fresh = []
        asked = self.add(body, step)
        self.parent = asked
        return asked

    def step(self, step: int) -> None:
        """A reply, its call and the result."""
        asked = self.request(step)
        thought, said, command = self.text(40), self.text(12), self.text(10)
        call = CallPart(f"c{step}", "run", canonical_json({"command": command}).decode())
        usage = Usage(sum(map(len, self.body)) // 4, 90)
        parts = (ReasoningPart(thought), TextPart(said), call)
        replied = self.add(
            ev.ModelReplied(request=asked, parts=parts, finish="calls", usage=usage), step, actor="agent"
        )
        function = {"name": call.name, "arguments": call.arguments}
        wire = {"role": "assistant", "content": said, "reasoning_content": thought}
        self.say({**wire, "tool_calls": [{"id": call.id, "type": "function", "function": function}]}, replied)
        self.add(ev.ActionStarted(call_id=call.id, name=call.name, arguments={"command": command}), step, 1)
        output = self.output()
        long, blobs = long_text(output)
        self.blobs += blobs
        done = self.add(ev.ActionResult(call_id=call.id, outcome="ok", output=long, duration_ms=900), step, 1)
        self.say({"role": "tool", "tool_call_id": call.id, "content": output}, done)

    def summarise(self, step: int, task: str) -> None:
        """A new context."""
        asked = self.request(None, "summary")
        text = self.text(200)
        said = ev.ModelReplied(request=asked, parts=(TextPart(text),), finish="stop", usage=Usage(1, 200))
        self.add(said, actor="agent")
        number = step // self.context
        first = step - self.context + 1
        whole = ev.LongText(text, chars=len(text))
        seq = self.add(ev.SummaryWritten(number=number, from_step=first, to_step=step, text=whole, request=asked))
        told = f"{task}\n\nYour own summary of steps {first} to {step}, which are no longer in view:\n\n{text}"
        self.begin([{"role": "user", "content": told}], [1, seq])

    def judge(self, step: int) -> None:
        """A flag, and advice now and then."""
        self.add(
            ev.FlagSet(flag=f"f{len(self.events)}", target=ev.Target(step, "call", 1), label="x/impatience"),
            actor="human:ann",
        )
        if self.chance.random() < 0.5:
            number = next(self.advice)
            self.add(ev.AdviceQueued(advice=number, text="Let it run."), actor="human:ann")
            turn = "<advice-n0>\nLet it run.\n</advice-n0>"
            seq = self.add(ev.AdviceDelivered(advice=(number,), at_step=step + 1, text=turn), step + 1)
            self.say({"role": "user", "content": turn}, seq)


async def generate(path: Path, events: int, context: int = CONTEXT, steps: int = STEPS) -> int:
    """Fill a new log at ``path`` with whole sessions until it has at least this many events; how many it has."""
    async with await LogWriter.open(path) as writer:
        number = 0
        while writer.position < events:
            number += 1
            teller = Teller(number, context, steps)
            await writer.append(*teller.tell(), blobs=teller.blobs)
        return writer.position


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--context", type=int, default=CONTEXT, help="Steps between two summaries.")
    parser.add_argument("--steps", type=int, default=STEPS, help="Steps of a session.")
    given = parser.parse_args()
    print(f"{asyncio.run(generate(given.log, given.events, given.context, given.steps)):,} events in {given.log}")


if __name__ == "__main__":
    main()
