"""Codex's rollout files: JSON lines of ``{timestamp, type, payload}``; a reply is all items up to the next turn."""

from __future__ import annotations

from typing import Any, Final

from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, loads, table, text_of

ITEMS: Final = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
    }
)
_REPEATS: Final = frozenset({"user_message", "agent_message", "agent_reasoning", "agent_reasoning_section_break"})
"""Events that only repeat what an item says."""


def recognises(found: Document) -> bool:
    """Whether the records look like Codex's."""
    heads = found.records[:50]
    return any(r.get("type") in ("session_meta", "response_item") and isinstance(r.get("payload"), dict) for r in heads)


def parse(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    about = next((table(r.get("payload")) for r in found.records if r.get("type") == "session_meta"), {})
    turn = next((table(r.get("payload")) for r in found.records if r.get("type") == "turn_context"), {})
    meta = {name: about[name] for name in ("cwd", "originator", "cli_version") if isinstance(about.get(name), str)}
    builder = SessionBuilder(
        "codex", as_text(about.get("id")) or found.path.name, as_text(turn.get("model")), meta=meta
    )
    builder.started = time_ms(about.get("timestamp"))
    if found.broken:
        builder.skipped["line that is no JSON object"] += found.broken
    base = about.get("base_instructions", about.get("instructions"))
    instructions = as_text(table(base).get("text")) if isinstance(base, dict) else as_text(base)
    if instructions:
        builder.add_system(instructions)
    reader = _RolloutReader(builder)
    for record in found.records:
        reader.take(record)
    reader.flush()
    return [builder.finish()]


class _RolloutReader:
    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.task: list[str] = []
        self.thoughts: list[str] = []
        self.texts: list[str] = []
        self.calls: list[Call] = []
        self.at: int | None = None
        self.usage: Usage | None = None

    def take(self, record: dict[str, Any]) -> None:
        kind, payload, at = as_text(record.get("type")), table(record.get("payload")), time_ms(record.get("timestamp"))
        if kind == "response_item":
            self._item(payload, at)
        elif kind == "compacted":
            self.flush()
            self.builder.add_summary(as_text(payload.get("message")), at)
        elif kind == "event_msg":
            self._event(payload)
        elif kind not in ("session_meta", "turn_context"):
            self.builder.skipped[f"record {kind or '?'}"] += 1

    def _event(self, payload: dict[str, Any]) -> None:
        name = as_text(payload.get("type"))
        if name == "token_count":
            told = table(table(payload.get("info")).get("last_token_usage"))
            sent, said = count(told.get("input_tokens")), count(told.get("output_tokens"))
            cached, thought = count(told.get("cached_input_tokens")), count(told.get("reasoning_output_tokens"))
            self.usage = Usage(sent, said, cached, reasoning_tokens=thought) if sent or said else None
        elif name not in _REPEATS:
            self.builder.skipped[f"event {name or '?'}"] += 1

    def _item(self, item: dict[str, Any], at: int | None) -> None:
        kind = as_text(item.get("type"))
        match kind:
            case "message":
                self._message(item, at)
            case "reasoning":
                self._begin(at)
                thought = text_of(item.get("summary"), ("summary_text",)) or text_of(
                    item.get("content"), ("reasoning_text", "text")
                )
                self.thoughts += [thought] if thought else []
            case "function_call" | "custom_tool_call":
                self._begin(at)
                given = item.get("arguments") if kind == "function_call" else {"input": item.get("input")}
                self._call(item, as_text(item.get("name")) or "?", as_text(given))
            case "local_shell_call":
                self._begin(at)
                self._call(item, "local_shell", as_text(item.get("action")))
            case "function_call_output" | "custom_tool_call_output":
                self.flush()
                text, failed = _output(item.get("output"))
                self.builder.add_result(as_text(item.get("call_id")), text, outcome="error" if failed else "ok", at=at)
            case _:
                self.builder.skipped[f"item {kind or '?'}"] += 1

    def _message(self, item: dict[str, Any], at: int | None) -> None:
        text = text_of(item.get("content"))
        match item.get("role"):
            case "assistant":
                # A message after calls begins another reply: of one reply the message comes first.
                if self.calls:
                    self.flush()
                self._begin(at)
                self.texts.append(text)
            case "user" if not self.builder.step and not self._pending:
                self.task.append(text)
            case "user":
                self.flush()
                self.builder.add_user(text, at, by_host=text.startswith("<"))
            case "system" | "developer":
                self.builder.add_system(text)
            case role:
                self.builder.skipped[f"message with the role {role!r}"] += 1

    def _call(self, item: dict[str, Any], name: str, arguments: str) -> None:
        identity = (
            as_text(item.get("call_id")) or as_text(item.get("id")) or f"call-{self.builder.step}.{len(self.calls)}"
        )
        self.calls.append(Call(identity, name, arguments))

    @property
    def _pending(self) -> bool:
        return bool(self.texts or self.calls or self.thoughts)

    def _begin(self, at: int | None) -> None:
        if not self._pending:
            self.at = at

    def flush(self) -> None:
        """Make a reply of what was said since the last turn."""
        if not self._pending:
            return
        if not self.builder.step:
            self._begin_task()
        text, thought = "\n\n".join(t for t in self.texts if t), "\n".join(self.thoughts)
        self.builder.add_reply(text, self.calls, thought, self.at, self.usage)
        self.thoughts, self.texts, self.calls, self.usage = [], [], [], None

    def _begin_task(self) -> None:
        """What the tool says of the place comes before the task; the title is the task's."""
        own = [text for text in self.task if not text.lstrip().startswith("<")]
        self.builder.title = own[-1].strip().split("\n")[0][:60] if own and own[-1].strip() else ""
        self.builder.add_user("\n\n".join(self.task), self.at)


def _output(value: Any) -> tuple[str, bool]:
    """What a call returned, and whether it failed."""
    if isinstance(value, str):
        try:
            told = table(loads(value))
        except ValueError:
            return value, False
        if "output" not in told:
            return value, False
        return as_text(told["output"]), count(table(told.get("metadata")).get("exit_code")) > 0
    told = table(value)
    text = text_of(value if isinstance(value, list) else told.get("content"))
    return text or as_text(told.get("body")), told.get("success") is False


def is_flat(found: Document) -> bool:
    """Whether it is a rollout of an older Codex: items without an envelope."""
    heads = found.records[:20]
    return bool(heads) and "instructions" in heads[0] and any(as_text(r.get("type")) in ITEMS for r in heads)


def parse_flat(found: Document) -> list[ImportedSession]:
    """The one session of an older file."""
    first, *rest = found.records
    records = [{"type": "session_meta", "timestamp": first.get("timestamp"), "payload": first}]
    records += [{"type": "response_item", "payload": item} for item in rest if as_text(item.get("type")) in ITEMS]
    made = parse(Document(found.path, None, records, found.broken))
    left = len(rest) + 1 - len(records)
    if left:
        made[0].warnings.append(f"left out, because they say nothing to us: {left} records")
    return made
