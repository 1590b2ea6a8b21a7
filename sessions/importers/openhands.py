"""OpenHands: the SDK's typed events, and the older trajectories of actions and observations; a file, or a folder of
events."""

from __future__ import annotations

from typing import Any

from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, items, table, text_of


def recognises(found: Document) -> bool:
    """Whether the records are events of the SDK."""
    return any(
        "kind" in r and "source" in r and str(r["kind"]).endswith(("Event", "Observation")) for r in found.records[:20]
    )


def is_old(found: Document) -> bool:
    """Whether the records are actions and observations of an older OpenHands."""
    heads = found.records[:20]
    return any("source" in r and "action" in r and "args" in r for r in heads)


def parse(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    reader = _EventReader(_builder(found))
    for record in found.records:
        reader.take(record)
    reader.flush()
    return [reader.builder.finish()]


def parse_old(found: Document) -> list[ImportedSession]:
    """The one session of an older file."""
    reader = _OldReader(_builder(found))
    for record in found.records:
        reader.take(record)
    reader.flush()
    return [reader.builder.finish()]


def _builder(found: Document) -> SessionBuilder:
    key = as_text([record.get("id") for record in found.records[:8]]) + as_text(found.records[:1])[:65536]
    builder = SessionBuilder("openhands", key)
    if found.broken:
        builder.skipped["line that is no JSON object"] += found.broken
    return builder


class _ReplyReader:
    """A reply is all actions that came of one response of the model."""

    def __init__(self, builder: SessionBuilder) -> None:
        self.builder = builder
        self.response = ""
        self.text = ""
        self.thought = ""
        self.calls: list[Call] = []
        self.at: int | None = None
        self.usage: Usage | None = None

    def act(
        self, response: str, text: str, thought: str, call: Call, at: int | None, usage: Usage | None = None
    ) -> None:
        """One more call; ``response`` says of which reply."""
        if self.calls and (not response or response != self.response):
            self.flush()
        if not self.calls:
            self.response, self.text, self.thought, self.at, self.usage = response, text, thought, at, usage
        self.calls.append(call)

    def flush(self) -> None:
        """Make the reply."""
        if self.calls:
            calls, self.calls = self.calls, []
            self.builder.add_reply(self.text, calls, self.thought, self.at, self.usage)


class _EventReader(_ReplyReader):
    def take(self, event: dict[str, Any]) -> None:
        """The next event."""
        at = time_ms(event.get("timestamp"))
        kind = as_text(event.get("kind"))
        match kind:
            case "SystemPromptEvent":
                tools = items(event.get("tools"))
                self.builder.tools = [{"type": "function", "function": _schema(tool)} for tool in tools]
                self.builder.add_system(text_of(event.get("system_prompt")))
            case "MessageEvent":
                self._message(event, at)
            case "ActionEvent":
                self._action(event, at)
            case "ObservationEvent" | "AgentErrorEvent" | "UserRejectObservation":
                self.flush()
                self._observation(event, kind, at)
            case "Condensation" if event.get("summary"):
                self.flush()
                self.builder.add_summary(as_text(event["summary"]), at)
            case _:
                self.builder.skipped[f"event {kind or '?'}"] += 1

    def _message(self, event: dict[str, Any], at: int | None) -> None:
        message = table(event.get("llm_message"))
        text = text_of(message.get("content"))
        self.flush()
        if message.get("role") == "assistant":
            self.builder.add_reply(text, (), as_text(message.get("reasoning_content")), at)
        else:
            self.builder.add_user(text, at, by_host=event.get("source") != "user")

    def _action(self, event: dict[str, Any], at: int | None) -> None:
        told = table(event.get("tool_call"))
        function = table(told.get("function"))
        arguments = told.get("arguments", function.get("arguments"))
        if arguments is None:
            arguments = {k: v for k, v in table(event.get("action")).items() if k != "kind"}
        name = as_text(event.get("tool_name")) or as_text(told.get("name")) or "?"
        identity = as_text(event.get("tool_call_id")) or as_text(event.get("id"))
        thought = as_text(event.get("reasoning_content"))
        call = Call(identity, name, as_text(arguments))
        self.act(as_text(event.get("llm_response_id")), text_of(event.get("thought")), thought, call, at)

    def _observation(self, event: dict[str, Any], kind: str, at: int | None) -> None:
        told = table(event.get("observation"))
        text = text_of(told.get("content")) or as_text(told.get("output"))
        outcome: Any = "error" if told.get("is_error") is True or kind == "AgentErrorEvent" else "ok"
        if kind == "AgentErrorEvent":
            text = as_text(event.get("error"))
        elif kind == "UserRejectObservation":
            text, outcome = f"Rejected by the user: {as_text(event.get('rejection_reason'))}", "interrupted"
        self.builder.add_result(as_text(event.get("tool_call_id")) or None, text, outcome=outcome, at=at)


class _OldReader(_ReplyReader):
    def take(self, event: dict[str, Any]) -> None:
        """The next action or observation."""
        at, arguments = time_ms(event.get("timestamp")), table(event.get("args"))
        if "observation" in event and "action" not in event:
            if event.get("cause") is None:
                self.builder.skipped[f"observation {as_text(event['observation'])}"] += 1
                return
            self.flush()
            told = table(event.get("tool_call_metadata"))
            failed = count(table(event.get("extras")).get("exit_code")) > 0 or event["observation"] == "error"
            outcome: Any = "error" if failed else "ok"
            name = as_text(told.get("tool_call_id")) or None
            self.builder.add_result(name, as_text(event.get("content")), outcome=outcome, at=at)
            return
        action, source = as_text(event.get("action")), event.get("source")
        text = as_text(arguments.get("content")) or as_text(event.get("message"))
        if action == "system":
            self.builder.tools = items(arguments.get("tools"))
            self.builder.add_system(text)
        elif action == "message":
            self.flush()
            if source == "agent":
                self.builder.add_reply(text, at=at)
            else:
                self.builder.add_user(text, at)
        elif source == "agent" and action:
            self._action(event, action, arguments, at)
        else:
            self.builder.skipped[f"action {action or '?'} of {as_text(source) or '?'}"] += 1

    def _action(self, event: dict[str, Any], action: str, arguments: dict[str, Any], at: int | None) -> None:
        told = table(event.get("tool_call_metadata"))
        response = table(told.get("model_response"))
        message = table(table(next(iter(items(response.get("choices"))), {})).get("message"))
        identity = as_text(told.get("tool_call_id")) or f"action-{as_text(event.get('id'))}"
        written = next((c for c in items(message.get("tool_calls")) if c.get("id") == identity), {})
        own = {k: v for k, v in arguments.items() if k not in ("thought", "confirmation_state", "security_risk")}
        given = as_text(table(written.get("function")).get("arguments")) or as_text(own)
        usage = table(response.get("usage"))
        sent, said = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
        self.act(
            as_text(response.get("id")),
            text_of(message.get("content")) or as_text(arguments.get("thought")),
            as_text(message.get("reasoning_content")),
            Call(identity, as_text(told.get("function_name")) or action, given),
            at,
            Usage(sent, said) if sent or said else None,
        )


def _schema(tool: dict[str, Any]) -> dict[str, Any]:
    function = table(tool.get("function")) or tool
    found: dict[str, Any] = {n: function[n] for n in ("name", "description", "parameters") if n in function}
    if "inputSchema" in tool:
        found["parameters"] = tool["inputSchema"]
    return found
