"""What ``codex exec --json`` prints: events of items, without the request, the prompt and most times."""

from __future__ import annotations

from typing import Any, Final

from sessions import events as ev
from sessions.events.messages import Usage
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, table, text_of
from sessions.importers.turns import Reply, Result, Speech, Turn, add_turns

FORMAT: Final = "codex"
_FACTS: Final = frozenset({"id", "type", "status", "aggregated_output", "exit_code", "result", "error", "duration_ms"})
"""Fields of an item that say what became of it; the others are what was called for."""
_FAILED: Final = frozenset({"failed", "error"})
_STOPPED: Final = frozenset({"declined", "interrupted", "cancelled"})


def recognises(found: Document) -> bool:
    """Whether the records are such events."""
    kinds = {as_text(record.get("type")) for record in found.records[:50]}
    return "thread.started" in kinds or any(kind.startswith("item.") for kind in kinds)


def parse(found: Document) -> list[ImportedSession]:
    """A session per thread."""
    threads: dict[str, list[dict[str, Any]]] = {}
    name = found.path.name
    for record in found.records:
        if record.get("type") == "thread.started":
            name = as_text(record.get("thread_id")) or name
        threads.setdefault(name, []).append(record)
    made: list[ImportedSession] = []
    problem: CannotImport | None = None
    for name, records in threads.items():
        try:
            made.append(_session(name, records))
        except CannotImport as nothing:
            problem = nothing
    if not made and problem is not None:
        raise problem
    if made and found.broken:
        made[0].warnings.append(f"{found.broken} lines are no JSON object and were left out")
    return made


def _session(name: str, records: list[dict[str, Any]]) -> ImportedSession:
    builder = SessionBuilder(FORMAT, name, title="codex exec", meta={"recording": name})
    reader = _EventReader(builder)
    for record in records:
        reader.take(record)
    if not any(isinstance(turn, Speech) for turn in reader.turns):
        builder.notes.append("what `codex exec` prints does not hold the request: its prompts are without it")
        reader.turns.insert(0, Speech("", None, lost=["instruction"]))
    add_turns(builder, reader.turns)
    builder.add_totals(reader.usage if reader.usage.input_tokens or reader.usage.output_tokens else None)
    return builder.finish(state=reader.state, reason=reader.reason) if reader.reason else builder.finish()


class _EventReader:
    """An item begins, may be told of in between, and is complete: it is taken once, as it was in the end."""

    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.turns: list[Turn] = []
        self.state: Any = "finished"
        self.reason = ""
        self.usage = Usage()
        self._open: Reply | None = None
        self._began: dict[str, tuple[Reply, int | None]] = {}

    def take(self, record: dict[str, Any]) -> None:
        """The next event."""
        kind, at = as_text(record.get("type")), time_ms(record.get("timestamp"))
        item = table(record.get("item"))
        match kind:
            case "item.started" if _is_call(item):
                self._begin(item, at)
            case "item.completed":
                self._complete(item, at)
            case "turn.completed":
                self._count(table(record.get("usage")))
                self._open = None
            case "turn.failed" | "error":
                problem = as_text(table(record.get("error")).get("message")) or as_text(record.get("message"))
                self.state, self.reason = "stopped", problem or "the turn failed"
            case "turn.started":
                self._open, self.state, self.reason = None, "finished", ""
            case "thread.started" | "item.started" | "item.updated":
                pass
            case _:
                self.builder.skipped[f"event {kind or '?'}"] += 1

    def _reply(self, at: int | None) -> Reply:
        """The reply that is open; one after whose calls something was said is over."""
        if self._open is None:
            self._open = Reply(at=at)
            self.turns.append(self._open)
        return self._open

    def _begin(self, item: dict[str, Any], at: int | None) -> Reply:
        reply = self._reply(at)
        name = as_text(item.get("id")) or f"call-{len(self.turns)}.{len(reply.calls) + 1}"
        reply.calls.append(Call(name, as_text(item.get("type")), as_text(_called_for(item)), at))
        self._began[name] = (reply, at)
        return reply

    def _complete(self, item: dict[str, Any], at: int | None) -> None:
        kind = as_text(item.get("type"))
        if kind == "reasoning":
            reply = self._after_calls(at)
            reply.reasoning = "\n".join(part for part in (reply.reasoning, as_text(item.get("text"))) if part)
        elif kind == "agent_message":
            reply = self._after_calls(at)
            reply.text = "\n\n".join(part for part in (reply.text, as_text(item.get("text"))) if part)
        elif kind == "user_message":
            self._open = None
            text = as_text(item.get("text")) or text_of(item.get("content"))
            self.turns.append(Speech(text, at, text))
        elif _is_call(item):
            self._end(item, at)
        elif kind == "error":
            self.builder.skipped[f"error: {as_text(item.get('message'))[:120]}"] += 1
        else:
            self.builder.skipped[f"item {kind or '?'}"] += 1

    def _after_calls(self, at: int | None) -> Reply:
        """The reply that words belong to: results came between them and the calls of the one before."""
        if self._open is not None and self._open.calls:
            self._open = None
        return self._reply(at)

    def _end(self, item: dict[str, Any], at: int | None) -> None:
        name = as_text(item.get("id"))
        if name not in self._began:
            # Nobody said when it began: what follows an action answers its result.
            if self._open is not None and self._open.calls:
                self._open = None
            self._begin(item, at)
            name = self._open.calls[-1].id if self._open is not None else name
        reply, began = self._began.pop(name)
        call = next(n for n, one in enumerate(reply.calls) if one.id == name)
        reply.calls[call] = Call(name, as_text(item.get("type")), as_text(_called_for(item)), began)
        self.turns.append(_result(name, item, at))
        if not any(one is reply for one, _ in self._began.values()) and self._open is reply:
            self._open = None

    def _count(self, usage: dict[str, Any]) -> None:
        """Tokens of a whole turn, and of no single reply."""
        now = self.usage
        self.usage = Usage(
            now.input_tokens + count(usage.get("input_tokens")),
            now.output_tokens + count(usage.get("output_tokens")),
            now.cached_tokens + count(usage.get("cached_input_tokens")),
            reasoning_tokens=now.reasoning_tokens + count(usage.get("reasoning_output_tokens")),
        )


def _is_call(item: dict[str, Any]) -> bool:
    return as_text(item.get("type")) in (
        "command_execution",
        "file_change",
        "mcp_tool_call",
        "collab_tool_call",
        "web_search",
        "todo_list",
    )


def _called_for(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _FACTS}


def _result(name: str, item: dict[str, Any], at: int | None) -> Result:
    text = as_text(item.get("aggregated_output"))
    if not text:
        told = item.get("result")
        text = text_of(table(told).get("content")) or as_text(told)
    error = table(item.get("error"))
    text = text or as_text(error.get("message"))
    status, code = as_text(item.get("status")), item.get("exit_code")
    outcome: ev.Outcome = "error" if status in _FAILED or error else "ok"
    data: dict[str, Any] = {}
    if isinstance(code, int) and not isinstance(code, bool):
        data["exit_code"] = code
        outcome = "error" if code else outcome
    if status in _STOPPED:
        outcome = "interrupted"
    return Result(name, text or status, at, outcome, count(item.get("duration_ms")) or None, data)
