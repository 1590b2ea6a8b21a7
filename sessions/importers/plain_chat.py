"""Plain chats as data sets have them, one JSON value or a line each.

``messages`` (OpenAI's fine-tuning, SWE-smith, our own ``messages`` and ``openai``), ``prompt`` and ``completion`` (our
own ``steps``), ``conversations``, or a list of messages. What a row does not train is context here, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sessions.events.text import canonical_json
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import SessionBuilder
from sessions.importers.chat_messages import ChatReader, chat_form, results_by_calls
from sessions.importers.documents import Document, as_text, items, loads, table
from sessions.importers.likeness import ROLES
from sessions.terminal_text import say_count

_FROM: Final = {
    "human": "user",
    "gpt": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
}
"""Who speaks in ``conversations``."""
_WEIGHTS: Final = ("weight", "loss", "train", "trainable", "step_loss_mask", "loss_weight")
"""Under which names a row tells trainers (by 0 or false) that a reply is no target."""
_JOINED: Final = ("content", "reasoning_content", "reasoning", "thinking", "thinking_blocks", "tool_calls")
"""What of assistant messages in a row is put together."""
_AGENTS: Final = ("instance_id", "traj_id", "trajectory_id")
"""Fields of rows that an agent made: no person speaks there after the task."""


@dataclass(slots=True)
class _Chat:
    """One conversation: all rows that go on with it."""

    row: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)
    targets: list[bool] = field(default_factory=list)
    """Whether each message may be trained."""


def recognises(found: Document) -> bool:
    """Whether the records are chats, or one chat."""
    return bool(found.records) and (
        _is_chat(found.records) or all(_messages_of(record) is not None for record in found.records[:5])
    )


def parse(found: Document) -> list[ImportedSession]:
    """A session per conversation; rows of one session of ours are put together."""
    rows = [{"messages": found.records}] if _is_chat(found.records) else found.records
    sessions: dict[str, ImportedSession] = {}
    empty = 0
    for key, chat in _conversations(rows):
        try:
            made = _session(found, key, chat)
        except CannotImport:
            empty += 1
            continue
        sessions.setdefault(made.session, made)
    made_first = next(iter(sessions.values()), None)
    if made_first is not None:
        if empty:
            made_first.warnings.append(f"{say_count(empty, 'row')} of the file hold no reply and were left out")
        if found.broken:
            made_first.warnings.append(
                f"{say_count(found.broken, 'line')} of the file are no JSON object and were left out"
            )
    return list(sessions.values())


def _conversations(rows: list[dict[str, Any]]) -> Iterable[tuple[str, _Chat]]:
    """Each conversation with the name that tells it from others; rows that go on with one are joined."""
    chats: dict[str, list[_Chat]] = {}
    for row in rows:
        messages = _messages_of(row)
        if not messages:
            continue
        targets = _targets(row, messages)
        session = as_text(table(row.get("meta")).get("session"))
        if not session:
            chats.setdefault(_digest(messages), [_Chat(row, messages, targets)])
            continue
        variant = as_text(table(row["meta"]).get("id")).removeprefix(session).lstrip(":0123456789S-")
        parts = chats.setdefault(session + variant, [])
        before = parts[-1].messages if parts else []
        if parts and len(messages) > len(before) and _same(messages[: len(before)], before):
            parts[-1].targets += targets[len(before) :]
            parts[-1].messages = messages
        elif not parts or not _same(messages, before[: len(messages)]):
            parts.append(_Chat(row, messages, targets))
    for name, parts in chats.items():
        for number, chat in enumerate(parts):
            yield f"{name}/{number}" if number else name, chat


def _messages_of(row: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The messages of a row, None if it holds none."""
    if "conversations" in row:
        turns = items(row["conversations"])
        return [_turn(one) for one in turns] if turns and all("from" in one or "role" in one for one in turns) else None
    if "completion" in row and "prompt" in row:
        prompt, completion = row["prompt"], row["completion"]
        if isinstance(prompt, str) and isinstance(completion, str):
            return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        return [*items(prompt), *items(completion)] if _is_chat(items(prompt)) and _is_chat(items(completion)) else None
    found = row.get("messages")
    if isinstance(found, str):  # some data sets keep them as JSON text
        try:
            found = loads(found)
        except ValueError:
            return None
    if not _is_chat(items(found)):
        return None
    told = row.get("system")
    first = [{"role": "system", "content": told}] if told and items(found)[0].get("role") != "system" else []
    return [*first, *(one for message in items(found) for one in chat_form(message))]


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn of ``conversations`` as a chat message."""
    if "role" in turn:
        return turn
    said, role = as_text(turn.get("value")), as_text(turn.get("from"))
    if role == "function_call":
        try:
            call = table(loads(said))
        except ValueError:
            call = {}
        if call.get("name"):
            return {"role": "assistant", "content": "", "tool_calls": [{"function": call}]}
    return {**turn, "role": _FROM.get(role, role), "content": said}


def _is_chat(messages: list[dict[str, Any]]) -> bool:
    return bool(messages) and all(
        as_text(one.get("role")) in ROLES and ("content" in one or "tool_calls" in one or "function_call" in one)
        for one in messages
    )


def _targets(row: dict[str, Any], messages: list[dict[str, Any]]) -> list[bool]:
    """Which messages the row lets be trained: of a prompt none, and no reply with a weight of 0."""
    context = len(items(row.get("prompt"))) if "completion" in row else 0
    return [
        number >= context and not any(message.get(name) in (0, False) for name in _WEIGHTS if name in message)
        for number, message in enumerate(messages)
    ]


def _same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether they say the same, whatever a row notes beside it."""
    return [_plain(message) for message in one] == [_plain(message) for message in other]


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _WEIGHTS and value}


def _digest(messages: list[dict[str, Any]]) -> str:
    return hashlib.sha256(canonical_json([_plain(message) for message in messages])).hexdigest()


def _session(found: Document, key: str, chat: _Chat) -> ImportedSession:
    row = chat.row
    meta = table(row.get("meta"))
    agent = next((as_text(row[name]) for name in _AGENTS if row.get(name)), "")
    builder = SessionBuilder(
        "chat",
        key,
        as_text(meta.get("model")).partition(":")[2] or as_text(row.get("model")),
        task_id=as_text(meta.get("task")) or as_text(row.get("instance_id")),
        meta={"row": as_text(meta.get("id") or row.get("id") or agent)[:200]} if meta or agent or row.get("id") else {},
        tools=_tools(row),
    )
    if agent:
        builder.title = as_text(row.get("instance_id") or agent)[:60]
    messages, targets = _join_replies(chat)
    reader = ChatReader(builder, is_person=lambda message: not agent and message.get("message_type") != "observation")
    context = 0
    order, late = results_by_calls(messages)
    for place in order:
        context += messages[place].get("role") == "assistant" and not targets[place]
        reader.take(messages[place], target=targets[place])
    reader.flush()
    if late:
        builder.notes.append(
            f"{say_count(late, 'result')} that the file has after a later reply: here each follows its call"
        )
    if context:
        builder.notes.append(
            f"{say_count(context, 'reply', 'replies')} that the file does not train: context here, too"
        )
    score = row.get("resolved", row.get("reward"))
    if isinstance(score, bool | int | float):
        builder.add_score(float(score))
    return builder.finish()


def _join_replies(chat: _Chat) -> tuple[list[dict[str, Any]], list[bool]]:
    """The messages, those of an assistant in a row as one: some data sets take a reply apart into its text and
    each of its calls."""
    messages: list[dict[str, Any]] = []
    targets: list[bool] = []
    for message, target in zip(chat.messages, chat.targets, strict=True):
        last = messages[-1] if messages else {}
        if message.get("role") == last.get("role") == "assistant" and target == targets[-1]:
            messages[-1] = {**last, **{n: v for n, v in message.items() if v and n not in _JOINED}} | {
                name: joined for name in _JOINED if (joined := _join(last.get(name), message.get(name)))
            }
            continue
        messages.append(message)
        targets.append(target)
    return messages, targets


def _join(one: Any, other: Any) -> Any:
    """Two texts, or two lists, as one; a text beside a list becomes a part of it."""
    if not one or not other:
        return one or other
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [part for value in (one, other) for part in (value if isinstance(value, list) else [as_text(value)])]


def _tools(row: dict[str, Any]) -> list[dict[str, Any]]:
    given = row.get("tools") or row.get("functions")
    if isinstance(given, str):
        try:
            given = loads(given)
        except ValueError:
            return []
    return [one if "function" in one else {"type": "function", "function": _function(one)} for one in items(given)]


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool's schema; Anthropic calls its parameters otherwise."""
    return {"parameters" if name == "input_schema" else name: value for name, value in tool.items()}
