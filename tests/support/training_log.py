"""Logs for tests of training: sessions told step by step, with prompts in the log as a host would put them there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from apollo_train.policy import AdviceRules, FilterPolicy
from sessions import events as ev
from sessions import ulid
from sessions.events.messages import CallPart, Part, ReasoningPart, TextPart, Usage
from sessions.events.text import Blob, canonical_json, long_text
from sessions.fold.prompt import messages_of
from sessions.log.writer import LogWriter
from sessions.providers.anthropic_wire import messages_wire
from sessions.providers.chat_wire import chat_wire

SESSION = "01JZZZZZZZZZZZZZZZZZZZZZZZ"
OTHER = "01K00000000000000000000000"
MANY = [ulid.encode((1_700_000_000_000 + n) << 80) for n in range(6)]
"""The sessions of ``many``."""
TOOLS = [
    {"type": "function", "function": {"name": "run", "parameters": {"type": "object", "properties": {"command": {}}}}}
]
Shape = Literal["chat", "anthropic"]
_Call = tuple[str, str]


class Teller:
    """Tells one session to a log. Each method appends at once; steps are numbered as they come."""

    def __init__(self, writer: LogWriter, session: str = SESSION, *, shape: Shape = "chat", reasoning: bool = True):
        self.writer, self.session, self.shape, self.reasoning = writer, session, shape, reasoning
        self.step = 0
        self.advice = 0
        self.summaries = 0
        self.parent: int | None = None
        self.chain: list[bytes] = []
        self.history: list[ev.Event] = []
        self.pending: list[ev.Event] = []
        self.spec = ev.ModelSpec("anthropic" if shape == "anthropic" else "openai", "scripted")
        self.system = "You are an agent."

    async def tell(
        self, body: ev.Body, *, step: int | None = None, call: int | None = None, actor: str = "host",
        blobs: Sequence[Blob] = (),
    ) -> ev.Event:  # fmt: skip
        at = 1_700_000_000_000 + 1000 * (self.writer.position + 1)
        [event] = await self.writer.append(ev.NewEvent(self.session, body, step, call, actor, None, at), blobs=blobs)
        self.history.append(event)
        self.pending.append(event)
        return event

    async def begin(self, task: str = "Make it learn.", **more: Any) -> Teller:
        values = {"number": self.writer.next_number(), "title": "a session", "task": task, "model": self.spec} | more
        await self.tell(ev.SessionCreated(**values))
        await self.tell(ev.StateChanged(state="running"))
        return self

    async def request(self, purpose: Literal["step", "summary"] = "step") -> int:
        held: dict[str, bytes] = {blob.hash: blob.data for blob in self.blobs}
        messages = messages_of(
            self.pending, lambda text: text.text if text.blob is None else held[text.blob].decode(), origin=self.spec.id
        )
        wire = messages_wire(self.spec, messages) if self.shape == "anthropic" else self._chat(messages)
        blobs = [Blob.of(canonical_json(message.json)) for message in wire]
        refs = [ev.MessageRef(b.hash, m.role, m.sources) for b, m in zip(blobs, wire, strict=True)]
        system, tools = Blob.of(canonical_json(self.system)), Blob.of(canonical_json(TOOLS))
        if self.parent is None:
            self.chain = []
            if self.shape == "chat":
                blobs.insert(0, Blob.of(canonical_json({"role": "system", "content": self.system})))
                refs.insert(0, ev.MessageRef(blobs[0].hash, "system"))
        self.chain += [blob.data for blob in blobs]
        envelope = {"model": "scripted", "temperature": 0.7, "stream": True}
        whole = {**envelope, "messages": [json.loads(data) for data in self.chain], "tools": TOOLS}
        if self.shape == "anthropic":
            whole["system"] = self.system
        body = ev.ModelRequested(
            purpose=purpose,
            adapter=self.shape,
            adapter_version=1,
            envelope=envelope,
            system=system.hash if self.shape == "anthropic" else None,
            tools=tools.hash,
            parent=self.parent,
            append=tuple(refs),
            sha256=hashlib.sha256(canonical_json(whole)).hexdigest(),
        )
        self.pending = []
        step = self.step if purpose == "step" else None
        self.parent = (await self.tell(body, step=step, blobs=[*blobs, system, tools])).seq
        self.pending = []
        return self.parent

    blobs: tuple[Blob, ...] = ()

    def _chat(self, messages: Any) -> Any:
        return chat_wire(self.spec, messages, send_reasoning="reasoning_content" if self.reasoning else "none")

    async def reply(self, *calls: _Call, text: str = "", reasoning: str = "", **more: Any) -> ev.Event:
        """A step's request and reply, without any action."""
        self.step += 1
        asked = await self.request()
        parts: list[Part] = [ReasoningPart(reasoning)] if reasoning else []
        parts += [TextPart(text)] if text else []
        parts += [CallPart(f"c{self.step}.{n}", name, args) for n, (name, args) in enumerate(calls, 1)]
        values = {"finish": "calls" if calls else "stop", "usage": Usage(100, 10)} | more
        body = ev.ModelReplied(request=asked, parts=tuple(parts), **values)
        return await self.tell(body, step=self.step, actor="agent")

    async def result(self, call: int = 1, output: str = "ok", **more: Any) -> ev.Event:
        call_id = f"c{self.step}.{call}"
        name, arguments = self._called(call)
        await self.tell(ev.ActionStarted(call_id=call_id, name=name, arguments=arguments), step=self.step, call=call)
        long, blobs = long_text(output)
        self.blobs = (*self.blobs, *blobs)
        body = ev.ActionResult(call_id=call_id, outcome="ok", output=long, **more)
        return await self.tell(body, step=self.step, call=call, blobs=blobs)

    async def refuse(self, call: int = 1, why: Any = "malformed", shown: str = "The arguments are no JSON.") -> None:
        body = ev.ActionRefused(call_id=f"c{self.step}.{call}", name="run", why=why, shown=shown)
        await self.tell(body, step=self.step, call=call)

    async def act(self, command: str = "ls", output: str = "ok", **more: Any) -> None:
        """A whole step with one call that works."""
        await self.reply(("run", json.dumps({"command": command})), **more)
        await self.result(1, output)

    async def advise(
        self, text: str, kind: Any = None, *, actor: str = "human:ann", woke: bool = False, reach: Any = "general"
    ) -> int:
        """One piece of advice, delivered before the next step."""
        return (await self.advise_all((text, kind), actor=actor, woke=woke, reach=reach))[0]

    async def advise_all(
        self, *pieces: tuple[str, Any], actor: str = "human:ann", woke: bool = False, reach: Any = "general"
    ) -> list[int]:
        numbers = []
        for text, kind in pieces:
            self.advice += 1
            numbers.append(self.advice)
            queued = ev.AdviceQueued(advice=self.advice, text=text, advice_kind=kind, reach=reach)
            await self.tell(queued, actor=actor)
        turn = "\n\n".join(f"<advice-n0>\n{text}\n</advice-n0>" for text, _ in pieces)
        await self.tell(
            ev.AdviceDelivered(advice=tuple(numbers), at_step=self.step + 1, text=turn, woke=woke), step=self.step + 1
        )
        return numbers

    async def summarise(self, text: str = "All went well so far.", advice: str = "") -> None:
        """A summary of all steps so far; the next request begins a new context."""
        self.summaries += 1
        asked = await self.request("summary")
        reply = ev.ModelReplied(request=asked, parts=(TextPart(text),), finish="stop", usage=Usage(50, 5))
        await self.tell(reply, actor="agent")
        long, blobs = long_text(text)
        self.blobs = (*self.blobs, *blobs)
        written = ev.SummaryWritten(
            number=self.summaries, from_step=1, to_step=self.step, text=long, advice=advice, request=asked
        )
        await self.tell(written, blobs=blobs)
        self.parent = None
        self.pending = [event for event in self.history if event.kind in ("session.created", "summary.written")]

    async def flag(self, target: ev.Target, *, actor: str = "human:ann", **more: Any) -> str:
        name = f"f{self.writer.position}"
        await self.tell(ev.FlagSet(flag=name, target=target, **more), actor=actor)
        return name

    async def read_all(self, actor: str = "human:ann") -> None:
        await self.tell(ev.CursorMoved.up_to(self.history[-1].seq), actor=actor)

    def _called(self, call: int) -> tuple[str, dict[str, Any]]:
        reply = next(event.body for event in reversed(self.history) if isinstance(event.body, ev.ModelReplied))
        part = [part for part in reply.parts if isinstance(part, CallPart)][call - 1]
        return part.name, json.loads(part.arguments)


def kept_policy(**more: Any) -> FilterPolicy:
    """A policy that says of advice what most tests want: it stays where it was."""
    return FilterPolicy(**{"advice": AdviceRules.of_all("kept"), **more})


async def many(writer: LogWriter) -> None:
    """Six sessions of two tasks, the longer the later: one is discarded, one has a flag."""
    for number, name in enumerate(MANY):
        told = await Teller(writer, name).begin(f"Task {number}.", task_id=f"t{number % 2}")
        for step in range(number + 1):
            await told.act(f"s{number}.{step}")
        if number == 2:
            await told.tell(ev.SignedOff(verdict="discard"), actor="human:ann")
        if number == 3:
            await told.flag(ev.Target(1))


async def new_log(folder: Path) -> LogWriter:
    """A fresh log in ``folder``."""
    return await LogWriter.open(folder / "log.sqlite")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
