"""Inspect's logs: a ``.json`` dump or an ``.eval`` archive, a session per sample.

The messages of a sample are its conversation; its events say when each reply and each call was, and what they cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sessions.events.messages import Finish, Usage
from sessions.events.recording import LostPart
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.chat_messages import add_request
from sessions.importers.content_losses import find_losses
from sessions.importers.documents import (
    Document,
    as_text,
    count,
    items,
    milliseconds,
    money,
    read_archive,
    table,
    text_of,
)
from sessions.importers.reply_parts import reply_message
from sessions.terminal_text import say_count

SCORES: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partial, incorrect, no answer."""
_STOPS: Final[dict[str, Finish]] = {
    "stop": "stop",
    "tool_calls": "calls",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
}
_OWN_ROLES: Final = (None, "", "default")
"""The roles of the model whose conversation it is; others grade it, or answer for tools."""
_UNPARSED: Final = re.compile(r"tool call arguments:\s*\n(.*?)\s*\n\s*Error details:", re.S)
"""Where the words about a call that could not be parsed hold its arguments."""
_ATTACHED: Final = "attachment://"


@dataclass(slots=True)
class _Clock:
    """What the events of a sample know of its replies and calls."""

    by_message: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Model events by the id of the message that they gave."""
    in_order: list[dict[str, Any]] = field(default_factory=list)
    """Model events of the conversation, where none names its message."""
    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Tool events by the id of their call, oldest first."""
    compacted: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """The prompts of the model events that came first after a compaction, by the identity of the event."""
    unread: int = 0
    """Compactions whose next prompt is not in the log."""

    def reply(self, message: dict[str, Any], number: int) -> dict[str, Any]:
        """The event of a reply (the ``number``-th, from 0); an empty one if it is not known."""
        found = self.by_message.get(as_text(message.get("id")))
        if found is None and number < len(self.in_order):
            found = self.in_order[number]
        return found or {}

    def call(self, identity: str) -> dict[str, Any]:
        """The event of the next call with this id; an empty one if it is not known."""
        left = self.calls.get(identity)
        return left.pop(0) if left else {}


def _read_clock(events: list[dict[str, Any]], replies: list[dict[str, Any]], pool: list[dict[str, Any]]) -> _Clock:
    """``pool`` holds the messages of all prompts, where the events only refer to them."""
    clock = _Clock()
    of_model: list[dict[str, Any]] = []
    compacted = 0
    for event in events:
        if event.get("event") == "compaction":
            compacted += 1
        elif event.get("event") == "tool":
            clock.calls.setdefault(as_text(event.get("id")), []).append(event)
        elif event.get("event") == "model" and not event.get("error"):
            of_model.append(event)
            if compacted and event.get("role") in _OWN_ROLES:
                if prompt := _prompt_of(event, pool):
                    clock.compacted[id(event)] = prompt
                else:
                    clock.unread += compacted
                compacted = 0
            for choice in items(table(event.get("output")).get("choices")):
                if identity := as_text(table(choice.get("message")).get("id")):
                    clock.by_message.setdefault(identity, event)
    named = any(as_text(reply.get("id")) in clock.by_message for reply in replies)
    own = [event for event in of_model if event.get("role") in _OWN_ROLES]
    if not named and len(own) == len(replies):
        clock.in_order = own
    return clock


def _prompt_of(event: dict[str, Any], pool: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that a model was given, as far as the log has them."""
    refs = event.get("input_refs")
    if not isinstance(refs, list):
        return items(event.get("input"))
    return [
        message
        for ref in refs
        if isinstance(ref, list) and len(ref) == 2 and all(isinstance(at, int) and at >= 0 for at in ref)
        for message in pool[ref[0] : ref[1]]
    ]


def recognises(found: Document) -> bool:
    """Whether it is a log of Inspect."""
    if found.archive:
        return any(name in ("header.json", "_journal/start.json") for name, _ in _entries(found))
    value = found.table
    return isinstance(value.get("eval"), dict) and "samples" in value


def parse(found: Document) -> list[ImportedSession]:
    """A session per sample that holds a reply."""
    header, samples = found.table, items(found.table.get("samples"))
    if found.archive:
        entries = dict(_entries(found))
        header = table(entries.get("header.json") or entries.get("_journal/start.json"))
        samples = [table(value) for name, value in entries.items() if name.startswith("samples/")]
    made: list[ImportedSession] = []
    empty = 0
    for sample in samples:
        try:
            made.append(_sample(table(header.get("eval")), sample))
        except CannotImport:
            empty += 1
    if made and empty:
        made[0].warnings.append(f"{empty} samples of the log hold no reply and were left out")
    return made


def _entries(found: Document) -> Iterator[tuple[str, Any]]:
    return read_archive(found.path)


def _sample(evaluation: dict[str, Any], sample: dict[str, Any]) -> ImportedSession:
    task, name = as_text(evaluation.get("task")), f"{as_text(sample.get('id'))}/{as_text(sample.get('epoch'))}"
    events = items(sample.get("events"))
    first = next((event for event in events if event.get("event") == "model"), {})
    builder = SessionBuilder(
        "inspect",
        f"{as_text(evaluation.get('run_id'))}/{as_text(sample.get('uuid'))}/{task}/{name}",
        as_text(evaluation.get("model")),
        title=f"{task} {name}"[:60],
        task_id=f"inspect:{task}/{as_text(sample.get('id'))}",
        meta={"sample": name, "task": task},
        tools=[{"type": "function", "function": _schema(tool)} for tool in items(first.get("tools"))],
        started=next(
            (
                at
                for at in map(time_ms, (sample.get("started_at"), first.get("timestamp"), evaluation.get("created")))
                if at
            ),
            None,
        ),
    )
    held = table(sample.get("attachments"))
    messages = items(_attach(sample.get("messages"), held))
    pool = items(table(sample.get("events_data")).get("messages")) or items(sample.get("message_pool"))
    clock = _read_clock(events, [message for message in messages if message.get("role") == "assistant"], pool)
    reader = _MessageReader(builder, clock, held)
    for message in messages:
        reader.take(message)
    if clock.unread:
        times = say_count(clock.unread, "time")
        builder.notes.append(
            f"its context was compacted {times}, the log does not say to what: prompts are put together as if not"
        )
    for score in table(sample.get("scores")).values():
        value = table(score).get("value")
        number = SCORES.get(value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            builder.add_score(float(number))
    error, limit = table(sample.get("error")), table(sample.get("limit"))
    if error:
        return builder.finish(state="stopped", reason=f"error: {as_text(error.get('message'))}"[:500])
    if limit:
        reason = f"limit of {as_text(limit.get('type'))} reached: {as_text(limit.get('limit'))}"
        return builder.finish(state="stopped", reason=reason)
    return builder.finish()


def _attach(value: Any, held: dict[str, Any]) -> Any:
    """The value with what Inspect keeps apart (long texts, images), which is named by its hash."""
    match value:
        case str() if value.startswith(_ATTACHED):
            return held.get(value.removeprefix(_ATTACHED), value)
        case dict():
            return {name: _attach(one, held) for name, one in value.items()}
        case list():
            return [_attach(one, held) for one in value]
        case _:
            return value


class _MessageReader:
    """Takes the messages of a sample in their order."""

    def __init__(self, builder: SessionBuilder, clock: _Clock, held: dict[str, Any]) -> None:
        self.builder = builder
        self.clock = clock
        self.held = held
        """What the sample keeps apart, by hash."""
        self.said: set[str] = set()
        """The texts of all messages so far."""
        self.request: list[tuple[str, list[LostPart]]] = []
        """The user turns before the first reply, and what of each is lost."""

    def take(self, message: dict[str, Any]) -> None:
        """The next message."""
        builder, content = self.builder, message.get("content")
        text, lost = text_of(content), find_losses(content)
        self.said.add(text)
        match message.get("role"):
            case "system":
                builder.add_system(text, lost=lost)
            case "user" if not builder.step:
                self.request.append((text, lost))
            case "user":
                # Only an operator is a person; what an agent loop tells its model is its host's turn.
                builder.add_user(text, by_host=message.get("source") not in ("operator", "human"), lost=lost)
            case "tool":
                self._result(message, text, lost)
            case "assistant":
                if not builder.step:
                    add_request(builder, self.request)
                self._reply(message, text, lost)
            case role:
                builder.skipped[f"message with the role {role!r}"] += 1

    def _result(self, message: dict[str, Any], text: str, lost: list[LostPart]) -> None:
        identity = as_text(message.get("tool_call_id"))
        event = self.clock.call(identity)
        error = table(message.get("error")) or table(event.get("error"))
        kind = as_text(error.get("type"))
        began, ended = time_ms(event.get("timestamp")), time_ms(event.get("completed"))
        took = milliseconds(event.get("working_time"))
        if took is None and began is not None and ended is not None:
            took = max(0, ended - began)
        self.builder.add_result(
            identity or None,
            text or as_text(error.get("message")),
            outcome="timeout" if kind == "timeout" else "error" if error or event.get("failed") is True else "ok",
            at=ended,
            duration_ms=took,
            lost=lost,
        )

    def _reply(self, message: dict[str, Any], text: str, lost: list[LostPart]) -> None:
        builder = self.builder
        event = self.clock.reply(message, builder.step)
        if id(event) in self.clock.compacted:
            self._compact(items(_attach(self.clock.compacted[id(event)], self.held)), time_ms(event.get("timestamp")))
        output = table(event.get("output"))
        usage, spent = _usage(table(output.get("usage")))
        asked = time_ms(event.get("timestamp"))
        took = milliseconds(event.get("working_time"))
        took = milliseconds(output.get("time")) if took is None else took
        ended = time_ms(event.get("completed"))
        if ended is None and asked is not None:
            ended = asked + (took or 0)
        reasoning, hidden = _reasoning(message.get("content"))
        if hidden or (usage is not None and usage.reasoning_tokens and not reasoning):
            lost.append("reasoning")
        # What a server's own tool found stands in the reply and not in its text: a student would not have it.
        lost += ["result" for part in items(message.get("content")) if part.get("type") == "tool_use"]
        stop = as_text(next(iter(items(output.get("choices"))), {}).get("stop_reason") or message.get("stop_reason"))
        builder.add_reply(
            text,
            _calls(message),
            reasoning,
            ended,
            usage,
            as_text(message.get("model")) or as_text(output.get("model")),
            _STOPS.get(stop) if stop in ("max_tokens", "model_length", "content_filter") else None,
            stop,
            asked_at=asked,
            duration_ms=took,
            cost=spent,
            lost=lost,
        )

    def _compact(self, prompt: list[dict[str, Any]], at: int | None) -> None:
        """The context became ``prompt``; what nobody had said before is the summary in it."""
        told = [text_of(message.get("content")) for message in prompt if message.get("role") != "system"]
        new = [text for text in told if text and text not in self.said]
        lost = [part for message in prompt for part in find_losses(message.get("content"))]
        wires = [_wire(message) for message in prompt if message.get("role") != "system"]
        self.builder.add_compaction("\n\n".join(new), wires, at, lost=lost)


def _wire(message: dict[str, Any]) -> dict[str, Any]:
    """A message as later prompts have it."""
    text = text_of(message.get("content"))
    if message.get("role") == "assistant":
        return reply_message(text, _calls(message), _reasoning(message.get("content"))[0])
    if message.get("role") == "tool":
        return {"role": "tool", "tool_call_id": as_text(message.get("tool_call_id")), "content": text}
    return {"role": "user", "content": text}


def _reasoning(content: Any) -> tuple[str, bool]:
    """The reasoning that can be read, and whether some cannot: of what is redacted there is a summary at most."""
    texts: list[str] = []
    hidden = False
    for part in items(content):
        if part.get("type") == "reasoning":
            hidden = hidden or part.get("redacted") is True
            shown = part.get("summary") if part.get("redacted") is True else part.get("reasoning")
            texts += [as_text(shown)] if shown else []
    return "\n".join(texts), hidden


def _usage(told: dict[str, Any]) -> tuple[Usage | None, float | None]:
    """Tokens and cost of one reply."""
    cached, written = count(told.get("input_tokens_cache_read")), count(told.get("input_tokens_cache_write"))
    said, thought = count(told.get("output_tokens")), count(told.get("reasoning_tokens"))
    sent = count(told.get("input_tokens")) + _counted_apart(told, cached, written, said, thought)
    usage = Usage(sent, said, cached, written, thought) if sent or said else None
    return usage, money(told.get("total_cost"))


def _counted_apart(told: dict[str, Any], cached: int, written: int, said: int, thought: int) -> int:
    """How many tokens of a cache ``input_tokens`` lacks: those that ``total_tokens`` counts beside it.

    Inspect keeps the counts of each provider as they came; some have them in the prompt's, some apart.
    """
    sent = count(told.get("input_tokens"))
    rest = count(told.get("total_tokens")) - sent - said
    unsaid = cached + written if cached + written > sent else 0  # no part is larger than its whole
    return next((apart for apart in (cached + written, cached, written) if apart in (rest, rest - thought)), unsaid)


def _calls(message: dict[str, Any]) -> list[Call]:
    calls: list[Call] = []
    for number, call in enumerate(items(message.get("tool_calls")), 1):
        identity = as_text(call.get("id")) or f"{as_text(message.get('id'))}.{number}"
        arguments, problem = as_text(call.get("arguments")), as_text(call.get("parse_error"))
        if problem:  # what the model wrote was no JSON: Inspect keeps it in its words about that alone
            found = _UNPARSED.search(problem)
            arguments = found[1] if found else arguments
        name = as_text(call.get("function")) or "unknown"
        calls.append(Call(identity, name, arguments, refused=bool(problem)))
    return calls


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if name in tool}
