"""Claude Code's session files: JSON lines, one record each. The format is its own affair and changes: what is not known
is counted and left out."""

from __future__ import annotations

from typing import Any, Final

from sessions.events.messages import Finish, Usage
from sessions.importers.base import CannotImport, ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, items, table, text_of

_STOPS: Final[dict[str, Finish]] = {"max_tokens": "length", "refusal": "refusal"}
SYNTHETIC: Final = "<synthetic>"
"""The model of messages that no model wrote."""


def recognises(found: Document) -> bool:
    """Whether the records look like Claude Code's."""
    return any(
        "sessionId" in record
        and record.get("type") in ("user", "assistant")
        and isinstance(record.get("message"), dict)
        for record in found.records[:200]
    )


def parse(found: Document) -> list[ImportedSession]:
    """A session per session id in the file."""
    sessions: dict[str, list[dict[str, Any]]] = {}
    for record in found.records:
        sessions.setdefault(as_text(record.get("sessionId")), []).append(record)
    loose = sessions.pop("", [])
    made: list[ImportedSession] = []
    problem: CannotImport | None = None
    for name, records in sessions.items():
        try:
            made.append(_session(name, records, found.broken, loose if not made else []))
        except CannotImport as nothing:
            problem = nothing
    if not made and problem is not None:
        raise problem
    return made


def _session(name: str, records: list[dict[str, Any]], broken: int, loose: list[dict[str, Any]]) -> ImportedSession:
    first = next((r for r in records if r.get("type") == "assistant" and _model(r)), {})
    builder = SessionBuilder("claude-code", name, _model(first), meta=_about(records))
    if broken:
        builder.skipped["line that is no JSON object"] += broken
    for record in loose:
        builder.skipped[f"record {as_text(record.get('type')) or '?'}"] += 1
    reader = _RecordReader(builder)
    for record in records:
        reader.take(record)
    reader.flush()
    return builder.finish()


class _RecordReader:
    """A reply is several records with one message id, a part in each."""

    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.open: list[dict[str, Any]] = []

    def take(self, record: dict[str, Any]) -> None:
        kind, message = record.get("type"), table(record.get("message"))
        if record.get("isSidechain"):
            self.builder.skipped["record of a side chain"] += 1
        elif kind == "assistant" and (_model(record) == SYNTHETIC or record.get("isApiErrorMessage")):
            self.builder.skipped["message that no model wrote"] += 1
        elif kind == "assistant":
            if self.open and table(self.open[0].get("message")).get("id") != message.get("id"):
                self.flush()
            self.open.append(record)
        elif kind == "user":
            self.flush()
            self._user(record, message)
        else:
            self.builder.skipped[f"record {as_text(kind) or '?'}"] += 1

    def _user(self, record: dict[str, Any], message: dict[str, Any]) -> None:
        at, content = time_ms(record.get("timestamp")), message.get("content")
        for block in items(content):
            if block.get("type") == "tool_result":
                outcome: Any = "error" if block.get("is_error") is True else "ok"
                self.builder.add_result(
                    as_text(block.get("tool_use_id")), text_of(block.get("content")), outcome=outcome, at=at
                )
            elif block.get("type") != "text":
                self.builder.skipped[f"block {as_text(block.get('type')) or '?'}"] += 1
        text = text_of(content)
        if record.get("isCompactSummary"):
            self.builder.add_summary(text, at)
        elif text.strip():
            self.builder.add_user(
                text, at, by_host=bool(record.get("isMeta")) or text.startswith("[Request interrupted")
            )

    def flush(self) -> None:
        """Make one reply of the records that are its parts."""
        records, self.open = self.open, []
        if not records:
            return
        messages = [table(record.get("message")) for record in records]
        blocks = [block for message in messages for block in items(message.get("content"))]
        texts = [as_text(message.get("content")) for message in messages if isinstance(message.get("content"), str)]
        texts += [as_text(block.get("text")) for block in blocks if block.get("type") == "text"]
        thoughts = [as_text(block.get("thinking")) for block in blocks if block.get("type") == "thinking"]
        calls = [
            Call(
                as_text(block.get("id")) or f"call-{n}", as_text(block.get("name")) or "?", as_text(block.get("input"))
            )
            for n, block in enumerate(blocks, 1)
            if block.get("type") == "tool_use"
        ]
        for block in blocks:
            if block.get("type") not in ("text", "thinking", "tool_use"):
                self.builder.skipped[f"block {as_text(block.get('type')) or '?'}"] += 1
        stop = as_text(messages[-1].get("stop_reason"))
        self.builder.add_reply(
            "\n\n".join(text for text in texts if text),
            calls,
            "\n".join(thought for thought in thoughts if thought),
            time_ms(records[0].get("timestamp")),
            _usage(messages[-1].get("usage")),
            _model(records[0]),
            _STOPS.get(stop),
            stop,
        )


def _model(record: dict[str, Any]) -> str:
    return as_text(table(record.get("message")).get("model"))


def _about(records: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for record in records:
        for name in ("cwd", "gitBranch", "version"):
            if isinstance(record.get(name), str):
                found.setdefault(name, record[name])
    return found


def _usage(value: Any) -> Usage | None:
    told = table(value)
    cached, written = count(told.get("cache_read_input_tokens")), count(told.get("cache_creation_input_tokens"))
    sent, said = count(told.get("input_tokens")) + cached + written, count(told.get("output_tokens"))
    return Usage(sent, said, cached, written) if sent or said else None
