"""A node of an InnovatorBench run: one JSON object with the whole prompt of a step, its reply and its observation.

The prompt's messages give all steps since the last summary but one; the node itself gives the last. Tool schemas are
not in it, so the prompts can only be reconstructed. Times are those that observations state; between them, estimates.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.events.text import long_text
from sessions.importers import builder
from sessions.importers.base import ACTOR, ELSEWHERE, CannotImport, ImportedSession
from sessions.importers.builder import SessionBuilder
from sessions.importers.packed import TRUNCATED, cut_off, read_unpacked

QUARTER_MS: Final = 15 * 60 * 1000
"""Time zones differ by quarters of an hour."""
STEP_MS: Final = 1000
"""What an action takes that says nothing about it."""
INLINE_CHARS: Final = 500
"""Texts of an observation up to this length stay in its data; longer ones are part of the readable output."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation. ``readable`` is for people; ``data`` the small fields; ``fields`` all of them."""

    fields: dict[str, Any]
    readable: str
    data: dict[str, Any]
    success: bool


def parse_observation(content: str) -> Observation:
    """What a tool message says. Content that is no JSON object is its own text."""
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return Observation({}, content, {}, True)
    texts = [str(fields[key]) for key in ("message", "output") if fields.get(key)]
    data: dict[str, Any] = {}
    for key, value in fields.items():
        if key in ("message", "output", "success"):
            continue
        if isinstance(value, str) and len(value) > INLINE_CHARS:
            texts.append(f"{key}:\n{value}")
        else:
            data[key] = value
    return Observation(fields, "\n\n".join(texts), data, fields.get("success") is not False)


def zone_offset_ms(contents: Sequence[str]) -> int:
    """How far the naive times of a run are ahead of UTC: some observations state the same moment both ways."""
    offsets: Counter[int] = Counter()
    before: int | None = None
    for content in contents:
        fields = parse_observation(content).fields
        if (local := _naive_ms(fields.get("timestamp"))) is not None:
            before = local
        elif before is not None and isinstance(active := fields.get("last_activity"), int | float):
            apart = before - int(active * 1000)
            nearest = round(apart / QUARTER_MS) * QUARTER_MS
            offsets[nearest] += abs(apart - nearest) < STEP_MS
    return offsets.most_common(1)[0][0] if offsets else 0


class Clock:
    """The time of each event in Unix ms: stated where an observation states it, in between from what calls ask for."""

    def __init__(self, offset_ms: int, last: str = "", contents: Sequence[str] = ()) -> None:
        self._offset = offset_ms
        stated = [_naive_ms(parse_observation(content).fields.get("timestamp")) for content in contents]
        self._stated = [time - offset_ms for time in stated if time is not None]
        end = _naive_ms(last)
        if end is not None:
            self._stated.append(end - offset_ms)
        self._stated.sort()
        self.now = self._stated[0] - STEP_MS if self._stated else 0

    def advance(self, name: str, arguments: Any, fields: dict[str, Any]) -> int:
        """Let an action pass that returned ``fields``; how long it took, in ms. Time never goes back."""
        before = self.now
        took = _took_ms(name, arguments, fields)
        stated = _naive_ms(fields.get("timestamp"))
        if stated is not None:
            self.now = max(before, stated - self._offset)
            return min(took, self.now - before) if took else self.now - before
        at = bisect_left(self._stated, before + 1)
        latest = self._stated[at] if at < len(self._stated) else before + (took or STEP_MS)
        self.now = max(before, min(before + (took or STEP_MS), latest))
        return self.now - before


def _took_ms(name: str, arguments: Any, fields: dict[str, Any]) -> int:
    """How long an action says that it takes, 0 if it does not say."""
    seconds = fields.get("execution_time")
    if name == "sleep" and isinstance(arguments, dict):
        seconds = arguments.get("sleep_time")
    return int(seconds * 1000) if isinstance(seconds, int | float) and seconds > 0 else 0


def _naive_ms(text: object) -> int | None:
    """A time without a zone, as if it were UTC; with one, as it says."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


class Call(msgspec.Struct, frozen=True):
    """A tool call."""

    call_id: str
    name: str
    arguments: dict[str, Any] | str = ""


class Result(msgspec.Struct, frozen=True):
    """What a call returned, as the model saw it."""

    call_id: str
    content: str
    name: str = ""


class Message(msgspec.Struct, frozen=True):
    """One message of the prompt; exactly one call or result at most."""

    role: str
    content: str | None = None
    reasoning: str | None = None
    tool_call: Call | None = None
    tool_result: Result | None = None


class NodeUsage(msgspec.Struct, frozen=True):
    """Token counts under the names that the run used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_tokens: int = 0

    def neutral(self) -> Usage:
        """The same counts under our names."""
        cached, written = self.cache_read_input_tokens, self.cache_creation_input_tokens
        return Usage(self.input_tokens, self.output_tokens, cached, written, self.reasoning_tokens)


class Response(msgspec.Struct, frozen=True):
    """The reply of the node's own step."""

    content: str | None = None
    reasoning: str | None = None
    usage: NodeUsage | None = None
    model: str = ""
    finish_reason: str | None = None
    tool_calls: tuple[Call, ...] | None = None


class Node(msgspec.Struct, frozen=True):
    """One file."""

    id: str
    node_type: str
    messages: tuple[Message, ...]
    timestamp: str = ""
    parent_id: str | None = None
    depth: int = 0
    response: Response | None = None
    observation: dict[str, Any] | None = None


_SUMMARY: Final = re.compile(r"After the last action, I have also made (\d+) actions? and get \d+ observations?\.")
_ADVICE: Final = re.compile(r"<real_user>(.*?)</real_user>", re.S)
_TIME_LEFT: Final = re.compile(r"<remaining_working_time>.*?</remaining_working_time>", re.S)
_BUDGET: Final = re.compile(r"remaining (\d+) eval")


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is such a node."""
    return head.lstrip().startswith(b"{") and b'"node_type"' in head


def parse(path: Path) -> list[ImportedSession]:
    """The one session that the node tells of. Raises CannotImport."""
    try:
        node = msgspec.json.decode(read_unpacked(path).data, type=Node)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        if str(problem) == TRUNCATED:
            raise cut_off(path) from None
        raise CannotImport(f"{path.name} is no InnovatorBench node: {problem}") from problem
    task = next((message.content for message in node.messages if message.role == "user" and message.content), None)
    if task is None:
        raise CannotImport(f"{path.name}: the node has no task (no user message)")
    reader = _NodeReader(node, task)
    for message in node.messages:
        reader.take(message)
    reader.take_own_step()
    return [reader.finish()]


class _NodeReader:
    """Takes the messages of a node's prompt in their order, then its own step."""

    def __init__(self, node: Node, task: str) -> None:
        self.node = node
        self.task = task
        contents = [m.tool_result.content for m in node.messages if m.tool_result is not None]
        self.clock = Clock(zone_offset_ms(contents), node.timestamp, contents)
        self.builder = SessionBuilder(
            "innovatorbench",
            node.id,
            node.response.model if node.response else "",
            meta={"node": node.id, "depth": node.depth, "times": "estimated"},
            started=self.clock.now,
            session=builder.session_id(node.id, self.clock.now),
            notes=[
                "the file has no tool schemas: its prompts are reconstructed",
                "times between those that it states are estimates",
            ],
        )
        self.open_call: Call | None = None
        self.earlier = 0
        """Actions that the file has only in a summary."""
        system = next((m.content for m in node.messages if m.role == "system"), None) or node.messages[0].content
        whole, blobs = long_text(system or "")
        self.builder.hold_blobs(blobs)
        about = _TIME_LEFT.sub("", task).strip()
        title = builder.title_of(about, "InnovatorBench run", marks="#<")
        self.builder.create(task, whole, title, "innovatorbench:" + hashlib.sha256(about.encode()).hexdigest()[:12])

    def take(self, message: Message) -> None:
        """Take the next message of the prompt."""
        content = message.content or ""
        match message.role:
            case "system":
                self.builder.add_message({"role": "system", "content": content}, 1)
            case "user":
                self._user(content)
            case "assistant" if (
                message.tool_call is None and not self.builder.step and (found := _SUMMARY.match(content))
            ):
                self.earlier = int(found[1])
                whole, blobs = long_text(content)
                self.builder.hold_blobs(blobs)
                seq = self._add(ev.SummaryWritten(number=1, from_step=0, to_step=0, text=whole), actor="agent")
                self.builder.add_message({"role": "assistant", "content": content}, seq)
            case "assistant":
                calls = () if message.tool_call is None else (message.tool_call,)
                self._reply(
                    content, message.reasoning or "", calls, ev.ModelReplied(request=0, parts=(), finish="stop")
                )
            case "tool" if message.tool_result is not None:
                self._result(message.tool_result)
            case _:
                raise CannotImport(f"node {self.node.id}: a message with the role {message.role!r} and no content")

    def take_own_step(self) -> None:
        """Take the node's own reply and observation: they are in no later prompt."""
        response = self.node.response
        if response is None:
            return
        reply = ev.ModelReplied(
            request=0,
            parts=(),
            finish="stop",
            finish_raw=response.finish_reason or "",
            model=response.model,
            usage=None if response.usage is None else response.usage.neutral(),
        )
        self._reply(response.content or "", response.reasoning or "", response.tool_calls or (), reply)
        if self.node.observation is not None and self.open_call is not None:
            self._result(Result(self.open_call.call_id, json.dumps(self.node.observation), self.open_call.name))

    def finish(self) -> ImportedSession:
        """The whole session, finished."""
        if not self.builder.step:
            raise CannotImport(f"node {self.node.id} holds no action: nothing to import")
        self._add(ev.StateChanged(state="finished", reason=ELSEWHERE))
        imported = self.builder.to_session()
        if self.earlier:
            created = imported.created
            created = msgspec.structs.replace(created, meta={**created.meta, "earlier_actions": self.earlier})
            imported.events[0] = msgspec.structs.replace(imported.events[0], body=created)
            imported.warnings.append(f"{self.earlier} earlier actions are in the file only as the summary S1")
        return imported

    def _user(self, content: str) -> None:
        pieces = [text.strip() for text in _ADVICE.findall(content)]
        message = {"role": "user", "content": content}
        if content == self.task and not self.builder.step:
            self.builder.add_message(message, 1)
        elif pieces:
            numbers = range(self.builder.advice + 1, self.builder.advice + 1 + len(pieces))
            for number, text in zip(numbers, pieces, strict=True):
                self._add(ev.AdviceQueued(advice=number, text=text))
            self.builder.advice += len(pieces)
            delivered = ev.AdviceDelivered(advice=tuple(numbers), at_step=self.builder.step + 1, text=content)
            self.builder.add_message(message, self._add(delivered))
        else:
            self.builder.add_message(message, self._add(ev.NudgeSent(text=content, streak=0)))

    def _reply(self, content: str, reasoning: str, calls: tuple[Call, ...], reply: ev.ModelReplied) -> None:
        self.builder.step += 1
        request = self.builder.add_request()
        written = [builder.Call(call.call_id, call.name, _arguments(call)) for call in calls]
        body = msgspec.structs.replace(
            reply,
            request=request,
            parts=builder.parts_of(content, reasoning, written),
            finish="calls" if calls else "stop",
        )
        seq = self._add(body, self.builder.step, actor="agent")
        self.open_call = calls[0] if calls else None
        if calls:
            arguments = calls[0].arguments if isinstance(calls[0].arguments, dict) else {}
            started = ev.ActionStarted(call_id=calls[0].call_id, name=calls[0].name, arguments=arguments)
            self._add(started, self.builder.step, 1, actor="agent")
        self.builder.add_message(builder.reply_message(content, written), seq)

    def _result(self, result: Result) -> None:
        call = self.open_call
        if call is None or result.call_id != call.call_id:
            raise CannotImport(f"node {self.node.id}: the result {result.call_id!r} answers no call before it")
        self.open_call = None
        seen = parse_observation(result.content)
        took = self.clock.advance(call.name, call.arguments, seen.fields)
        output, blobs = long_text(seen.readable)
        shown, more = long_text(result.content)
        self.builder.hold_blobs([*blobs, *more])
        body = ev.ActionResult(
            call_id=call.call_id,
            outcome="ok" if seen.success else "error",
            output=output,
            shown=shown,
            duration_ms=took,
            data=seen.data,
        )
        seq = self._add(body, self.builder.step, 1)
        message = {"role": "tool", "tool_call_id": call.call_id, "content": result.content}
        self.builder.add_message(message, seq)
        if "overall_score" in seen.fields:
            self._score(seen.fields)

    def _score(self, fields: dict[str, Any]) -> None:
        score, used = fields["overall_score"], fields.get("already_eval_num", 0)
        left = _BUDGET.search(str(fields.get("message", "")))
        number = float(score) if isinstance(score, int | float) else None
        uses = used if isinstance(used, int) else 0
        budget = uses + int(left[1]) if left else None
        self._add(ev.EvalScored(score=number, used=uses, budget=budget), self.builder.step, 1)

    def _add(self, body: ev.Body, step: int | None = None, call: int | None = None, *, actor: str = ACTOR) -> int:
        return self.builder.add_event(body, step, call, at=self.clock.now, actor=actor)


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
