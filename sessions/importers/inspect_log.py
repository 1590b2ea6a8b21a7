"""Inspect's logs: a ``.json`` dump or an ``.eval`` archive, a session per sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sessions.events.messages import Finish
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, items, read_archive, table, text_of

SCORES: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partial, incorrect, no answer."""
_STOPS: Final[dict[str, Finish]] = {
    "stop": "stop",
    "tool_calls": "calls",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refusal",
}


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
    model = as_text(evaluation.get("model"))
    first = next((event for event in items(sample.get("events")) if event.get("event") == "model"), {})
    builder = SessionBuilder(
        "inspect",
        f"{as_text(evaluation.get('run_id'))}/{as_text(sample.get('uuid'))}/{task}/{name}",
        model,
        title=f"{task} {name}"[:60],
        task_id=f"inspect:{task}/{as_text(sample.get('id'))}",
        meta={"sample": name, "task": task},
        tools=[{"type": "function", "function": _schema(tool)} for tool in items(first.get("tools"))],
        started=time_ms(sample.get("started_at")) or time_ms(evaluation.get("created")),
    )
    held = table(sample.get("attachments"))
    task_parts: list[str] = []
    for message in items(sample.get("messages")):
        _message(builder, message, held, task_parts)
    for score in table(sample.get("scores")).values():
        value = table(score).get("value")
        number = SCORES.get(value) if isinstance(value, str) else value
        if isinstance(number, int | float):
            builder.add_score(float(number))
    return builder.finish()


def _message(builder: SessionBuilder, message: dict[str, Any], held: dict[str, Any], task: list[str]) -> None:
    text = _with_attachment(text_of(message.get("content")), held)
    match message.get("role"):
        case "system":
            builder.add_system(text)
        case "user" if not builder.step:
            task.append(text)
        case "user":
            # Only an operator is a person; what an agent loop tells its model is its host's turn.
            builder.add_user(text, by_host=message.get("source") not in ("operator", "human"))
        case "tool":
            error = table(message.get("error"))
            shown = text or as_text(error.get("message"))
            builder.add_result(as_text(message.get("tool_call_id")) or None, shown, outcome="error" if error else "ok")
        case "assistant":
            if not builder.step:
                builder.add_user("\n\n".join(task))
            content = message.get("content")
            thoughts = (as_text(part.get("reasoning")) for part in items(content) if part.get("type") == "reasoning")
            reasoning = _with_attachment("\n".join(thought for thought in thoughts if thought), held)
            finish = _STOPS.get(as_text(message.get("stop_reason")))
            builder.add_reply(
                text, _calls(message, held), reasoning, model=as_text(message.get("model")), finish=finish
            )
        case role:
            builder.skipped[f"message with the role {role!r}"] += 1


def _calls(message: dict[str, Any], held: dict[str, Any]) -> list[Call]:
    calls: list[Call] = []
    for number, call in enumerate(items(message.get("tool_calls")), 1):
        arguments = _with_attachment(as_text(call.get("arguments")), held)
        identity = as_text(call.get("id")) or f"{as_text(message.get('id'))}.{number}"
        calls.append(Call(identity, as_text(call.get("function")) or "unknown", arguments))
    return calls


def _with_attachment(text: str, held: dict[str, Any]) -> str:
    """Long texts are attachments, named by their hash."""
    head, mark, name = text.partition("attachment://")
    return as_text(held[name]) if mark and not head and name in held else text


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters") if name in tool}
