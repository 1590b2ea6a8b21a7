"""Messages in the chat form of OpenAI's two APIs, as many tools record them: one reader for all of them.

A reply is an assistant message, or (Responses) an object with its ``output``, or items of one that follow each other.
What a tool writes beside a message (usage, cost, times, exit codes) is read where it is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from sessions.events.messages import Finish, Usage
from sessions.events.recording import LostPart
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.content_losses import HANDLED, find_losses
from sessions.importers.documents import as_text, count, items, money, table, text_of
from sessions.importers.harness_text import person_words
from sessions.importers.outcomes import outcome_of, outcome_of_text

FINISHES: Final[dict[str, Finish]] = {
    "stop": "stop",
    "end_turn": "stop",
    "tool_calls": "calls",
    "tool_use": "calls",
    "function_call": "calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
}
"""What servers say of the end of a reply. No word, or another one, tells nothing."""
_ITEMS: Final = frozenset({"function_call", "custom_tool_call", "reasoning"})
"""Items of a reply that have no role."""


@dataclass(slots=True)
class ChatReply:
    """What one assistant message says."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    lost: list[LostPart] = field(default_factory=list)

    def add(self, other: ChatReply) -> None:
        """Another item of the same reply."""
        self.text = "\n\n".join(text for text in (self.text, other.text) if text)
        self.reasoning = "\n".join(text for text in (self.reasoning, other.reasoning) if text)
        self.calls += other.calls
        self.lost += other.lost


class ChatReader:
    """Takes messages in their order. All user turns before the first reply are the task."""

    def __init__(self, builder: SessionBuilder, is_person: Callable[[dict[str, Any]], bool]) -> None:
        self.builder = builder
        self.is_person = is_person
        """Whether a person wrote a user turn that comes after the first reply; else the tool did."""
        self._request: list[dict[str, Any]] = []
        """The user turns before the first reply."""
        self._items = ChatReply()
        self._has_items = False
        self._at: int | None = None
        self._took: int | None = None
        self._target = True

    def take(self, message: dict[str, Any], took_ms: int | None = None, *, target: bool = True) -> None:
        """The next message, or item of the Responses API. ``took_ms``: how long the call took whose result it is;
        ``target`` False: a reply that stands there as context."""
        self._took, self._target = took_ms, target
        kind, role = as_text(message.get("type")), as_text(message.get("role"))
        if kind in _ITEMS or (kind == "message" and role == "assistant" and "tool_calls" not in message):
            self._take_item(message)
            return
        self.flush()
        extra = table(message.get("extra"))
        beside = extra.get("timestamp") or table(message.get("_metadata")).get("timestamp")
        at = time_ms(beside or message.get("timestamp") or message.get("created_at"))
        content = message.get("content")
        if message.get("object") == "response" or (not role and isinstance(message.get("output"), list)):
            self._reply(message, read_response(message), at)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._result(message, message.get("call_id"), message.get("output"), at)
        elif role in ("tool", "function"):
            self._result(message, result_id(message), content, at)
        elif role in ("system", "developer"):
            self.builder.add_system(words_of(content), lost=find_losses(content))
        elif role == "user" and not self.builder.step:
            self._request.append(message)
        elif role == "user" and message.get("tool_call_ids"):
            self._result(message, message["tool_call_ids"][0], content, at)
        elif role == "user":
            self.builder.add_user(words_of(content), at, by_host=not self.is_person(message), lost=find_losses(content))
        elif role == "assistant":
            self._reply(message, read_message(message), at)
        else:
            self.builder.skipped[f"message with the role {role!r}" if role else f"item {kind or '?'}"] += 1

    def flush(self) -> None:
        """Make a reply of the items that came since the last turn."""
        if self._has_items:
            reply, self._items, self._has_items = self._items, ChatReply(), False
            self._reply({}, reply, self._at)

    def _take_item(self, item: dict[str, Any]) -> None:
        if not self._has_items:
            self._at = time_ms(item.get("timestamp"))
        self._has_items = True
        self._items.add(read_item(item))

    def _reply(self, message: dict[str, Any], reply: ChatReply, at: int | None) -> None:
        builder, extra = self.builder, table(message.get("extra"))
        if not builder.step:
            add_request(builder, [(words_of(told := one.get("content")), find_losses(told)) for one in self._request])
        response = table(extra.get("response")) or (message if message.get("object") == "response" else {})
        usage = read_usage(response.get("usage") or message.get("usage"))
        if usage is not None and usage.reasoning_tokens and not reply.reasoning and "reasoning" not in reply.lost:
            reply.lost.append("reasoning")  # it was thought, and counted, and is in no field
        said = _finish_of(response, message)
        step, finish = builder.step + 1, FINISHES.get(said)
        builder.add_reply(
            reply.text,
            [Call(c.id or f"call-{step}.{n}", c.name, c.arguments) for n, c in enumerate(reply.calls, 1)],
            reply.reasoning,
            at,
            usage,
            as_text(response.get("model") or message.get("model")),
            None if finish in ("stop", "calls") else finish,
            said,
            not self._target,
            cost=money(extra.get("cost")),
            lost=reply.lost,
        )

    def _result(self, message: dict[str, Any], identity: Any, content: Any, at: int | None) -> None:
        text = (
            content if isinstance(content, str) else words_of(content) or ("" if items(content) else as_text(content))
        )
        outcome = outcome_of({**message, **table(message.get("extra"))})
        self.builder.add_result(
            as_text(identity) or None,
            text,
            outcome=outcome_of_text(text) if outcome == "ok" else outcome,
            at=at,
            duration_ms=self._took,
            lost=find_losses(content),
        )


def chat_form(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message whose calls and results are blocks of its content, as Anthropic has them, in the form of the others:
    its calls beside its content, each result a message of its own before what the user says."""
    blocks, role = items(message.get("content")), message.get("role")
    if role == "assistant" and (calls := [block for block in blocks if block.get("type") == "tool_use"]):
        made = [
            {
                "id": call.get("id"),
                "type": "function",
                "function": {"name": call.get("name"), "arguments": call.get("input")},
            }
            for call in calls
        ]
        rest = [block for block in message["content"] if block not in calls]
        return [{**message, "content": rest, "tool_calls": [*items(message.get("tool_calls")), *made]}]
    if role == "user" and (results := [block for block in blocks if block.get("type") == "tool_result"]):
        about = {name: value for name, value in message.items() if name not in ("role", "content")}
        rest = [block for block in message["content"] if block not in results]
        told = [
            {**about, "role": "tool", "tool_call_id": one.get("tool_use_id"), "content": one.get("content") or ""}
            | ({"is_error": True} if one.get("is_error") is True else {})
            for one in results
        ]
        return [*told, *([{**message, "content": rest}] if rest else [])]
    return [message]


def add_request(builder: SessionBuilder, turns: Sequence[tuple[str, list[LostPart]]]) -> None:
    """The user turns before the first reply, each with what of it is lost; what a harness said is not the task, unless
    nobody said anything else."""
    said = [bool(person_words(text) or (lost and not text.strip())) for text, lost in turns]
    for (text, lost), person in zip(turns, said, strict=True):
        if person or any(said):
            builder.add_user(text, by_host=not person, lost=lost)
    if turns and not any(said):
        builder.begin("\n\n".join(text for text, _ in turns), None, lost=[part for _, lost in turns for part in lost])


def result_id(message: dict[str, Any]) -> str:
    """The id of the call whose result the message is, "" if it names none."""
    ids = message.get("tool_call_ids")
    return as_text(message.get("tool_call_id") or (ids[0] if isinstance(ids, list) and ids else None))


def results_by_calls(messages: Sequence[dict[str, Any]]) -> tuple[list[int], int]:
    """The order, by their places, in which each result stands before the reply that comes after its call's; and how
    many had to be moved for that.

    Where several calls have one id, the results between two replies belong to the newest of them that wait, in order.
    """
    waiting: defaultdict[str, list[int]] = defaultdict(list)
    """The replies whose call of this id has no result yet."""
    moved: dict[int, int] = {}
    between: defaultdict[str, list[int]] = defaultdict(list)
    last = -1

    def match() -> None:
        for name, places in between.items():
            calls = waiting[name][-len(places) :]
            del waiting[name][-len(places) :]
            moved.update((place, call) for place, call in zip(places, calls, strict=False) if call != last)
        between.clear()

    for place, message in enumerate(messages):
        if message.get("role") == "assistant":
            match()
            last = place
            for name in _call_ids(message):
                waiting[name].append(place)
        elif message.get("role") in ("tool", "function") and (name := result_id(message)):
            between[name].append(place)
    match()
    replies = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
    # A sort keeps the order of what has one key: a result that came late goes before the reply after its call's.
    ends = dict(pairwise(replies))
    order = sorted(range(len(messages)), key=lambda place: (ends[moved[place]], 0) if place in moved else (place, 1))
    return order, len(moved)


def _call_ids(message: dict[str, Any]) -> list[str]:
    return [name for call in items(message.get("tool_calls")) if (name := as_text(call.get("id")))]


def words_of(content: Any) -> str:
    """The texts of a content field, whatever a tool calls the parts that are text."""
    parts = content if isinstance(content, list) else [content]
    texts = [part if isinstance(part, str) else _words(part) for part in parts]
    return "\n\n".join(text for text in texts if text)


def _words(part: Any) -> str:
    text = table(part).get("text")
    return text if isinstance(text, str) and as_text(part.get("type")) not in HANDLED else ""


def read_message(message: dict[str, Any]) -> ChatReply:
    """An assistant message of Chat Completions, with the fields for reasoning of those who have any."""
    content = message.get("content")
    reply = ChatReply(words_of(content), lost=find_losses(content))
    shown = [message.get(name) for name in ("reasoning_content", "reasoning", "thinking")]
    reply.reasoning = next((text for text in shown if isinstance(text, str) and text), "")
    blocks = [*items(message.get("thinking_blocks")), *items(message.get("reasoning_details")), *items(content)]
    texts, hidden = read_thoughts(blocks)
    reply.reasoning = reply.reasoning or "\n".join(texts)
    if (spoken := table(message.get("audio"))) and not reply.text:
        reply.text = as_text(spoken.get("transcript"))
        reply.lost.append("audio")
    if hidden:
        reply.lost.append("reasoning")
    if isinstance(message.get("refusal"), str) and not reply.text:
        reply.text = message["refusal"]
    calls = items(message.get("tool_calls"))
    legacy = table(message.get("function_call"))
    for call in [*calls, *([{"function": legacy}] if legacy else [])]:
        function = table(call.get("function")) or call
        name = as_text(function.get("name"))
        if name:
            arguments = function.get("arguments", function.get("input"))
            reply.calls.append(Call(as_text(call.get("id")), name, as_text(arguments)))
    return reply


def read_response(response: dict[str, Any]) -> ChatReply:
    """A whole response of the Responses API."""
    reply = ChatReply()
    for item in items(response.get("output")):
        reply.add(read_item(item))
    return reply


def read_item(item: dict[str, Any]) -> ChatReply:
    """One item of the Responses API that belongs to a reply."""
    match item.get("type"):
        case "function_call" | "custom_tool_call":
            identity = as_text(item.get("call_id")) or as_text(item.get("id"))
            given = item.get("arguments") if item["type"] == "function_call" else {"input": item.get("input")}
            return ChatReply(calls=[Call(identity, as_text(item.get("name")) or "?", as_text(given))])
        case "reasoning":
            texts, hidden = read_thoughts([item])
            return ChatReply(reasoning="\n".join(texts), lost=["reasoning"] if hidden else [])
        case "message":
            return ChatReply(words_of(item.get("content")), lost=find_losses(item.get("content")))
        case _:
            return ChatReply(lost=["part"])


def read_thoughts(blocks: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """The texts of reasoning in blocks of many dialects, and whether some of it cannot be read."""
    texts: list[str] = []
    hidden = False
    for block in blocks:
        match block.get("type"):
            case "thinking":
                text = as_text(block.get("thinking"))
            case "redacted_thinking" | "reasoning.encrypted":
                text = ""
            case "reasoning.text":
                text = as_text(block.get("text"))
            case "reasoning.summary":
                text = as_text(block.get("summary"))
            case "reasoning":
                text = (
                    text_of(block.get("content"), ("reasoning_text", "text"))
                    or text_of(block.get("summary"), ("summary_text", "text"))
                    or as_text(block.get("text") or (block.get("reasoning") if not block.get("redacted") else ""))
                )
            case _:
                continue
        texts += [text] if text.strip() else []
        hidden = hidden or not text.strip() or bool(block.get("encrypted_content") or block.get("redacted"))
    return texts, hidden


def read_usage(value: Any) -> Usage | None:
    """Token counts under the names of either API; None if there are none."""
    told = table(value)
    sent = count(told.get("prompt_tokens")) or count(told.get("input_tokens"))
    said = count(told.get("completion_tokens")) or count(told.get("output_tokens"))
    into = table(told.get("prompt_tokens_details")) or table(told.get("input_tokens_details"))
    out = table(told.get("completion_tokens_details")) or table(told.get("output_tokens_details"))
    cached = count(into.get("cached_tokens")) or count(told.get("cache_read_input_tokens"))
    written = count(told.get("cache_creation_input_tokens"))
    return Usage(sent, said, cached, written, count(out.get("reasoning_tokens"))) if sent or said else None


def _finish_of(response: dict[str, Any], message: dict[str, Any]) -> str:
    first = next(iter(items(response.get("choices"))), {})
    if response.get("status") == "incomplete":
        return as_text(table(response.get("incomplete_details")).get("reason")) or "incomplete"
    return as_text(first.get("finish_reason") or message.get("finish_reason"))
