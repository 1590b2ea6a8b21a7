"""mini-swe-agent's ``.traj.json`` and SWE-agent's ``.traj``: one chat, whose agent acts by calls or by text alone."""

from __future__ import annotations

import re
from typing import Any, Final

from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import Call, SessionBuilder, time_ms
from sessions.importers.documents import Document, as_text, count, items, table, text_of

_INSTANCE: Final = re.compile(r"[\w.-]+__[\w.-]+-\w+")
BY_TEXT: Final = "its agent acts by text and not by calls: a policy has to say targets.text_only = true to train on it"


def is_mini(found: Document) -> bool:
    """Whether it is mini-swe-agent's: it says so, or is named so."""
    value = found.table
    if str(value.get("trajectory_format", "")).startswith("mini-swe-agent"):
        return True
    listed = isinstance(found.value, list) and found.path.name.endswith(".traj.json")
    return listed or ("messages" in value and "mini_version" in table(value.get("info")))


def parse_mini(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    value, info = found.table, table(found.table.get("info"))
    messages = items(value.get("messages")) if value else found.records
    config = table(info.get("config"))
    model = as_text(table(config.get("model")).get("model_name"))
    builder = SessionBuilder("mini-swe-agent", _key(found), model, meta=_run_info(info))
    builder.title = _instance(found)
    _chat(builder, messages)
    return [_finish(builder, info)]


def is_swe(found: Document) -> bool:
    """Whether it is SWE-agent's."""
    value = found.table
    if isinstance(value.get("trajectory"), list):
        return "history" in value or "environment" in value
    # Its demonstrations are a history alone.
    return any("message_type" in message and "agent" in message for message in items(value.get("history")))


def parse_swe(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    value, info = found.table, table(found.table.get("info"))
    model = as_text(table(table(info.get("config")).get("model")).get("name"))
    builder = SessionBuilder(
        "swe-agent", _key(found), model, task_id=as_text(value.get("environment")), meta=_run_info(info)
    )
    builder.title = _instance(found)
    history = items(value.get("history"))
    if not history:
        history = list(_history(items(value.get("trajectory"))))
    _chat(builder, history)
    return [_finish(builder, info)]


def _chat(builder: SessionBuilder, messages: list[dict[str, Any]]) -> None:
    """Chat messages; all user turns before the first reply are the task."""
    task: list[str] = []
    for message in messages:
        extra = table(message.get("extra"))
        at = time_ms(extra.get("timestamp") or message.get("timestamp"))
        text, role = text_of(message.get("content")), message.get("role")
        match role:
            case "system":
                builder.add_system(text)
            case "user" if not builder.step:
                task.append(text)
            case "user" | "tool":
                ids = message.get("tool_call_ids")
                name = message.get("tool_call_id") or (ids[0] if isinstance(ids, list) and ids else None)
                if role == "user" and name is None:
                    builder.add_user(text, at, by_host=True)
                else:
                    failed = count(extra.get("returncode")) > 0
                    builder.add_result(as_text(name) or None, text, at=at, outcome="error" if failed else "ok")
            case "assistant":
                if not builder.step:
                    builder.add_user("\n\n".join(task), at)
                builder.add_reply(
                    text,
                    calls_of(message.get("tool_calls"), f"call-{builder.step + 1}"),
                    as_text(message.get("reasoning_content")),
                    at,
                    _usage(table(extra.get("response")).get("usage")),
                )
            case "exit":
                builder.meta["exit"] = text[:200]
            case _:
                builder.skipped[f"message with the role {role!r}"] += 1


def calls_of(value: Any, prefix: str) -> list[Call]:
    """Calls in chat form; those without an id get one."""
    calls: list[Call] = []
    for number, call in enumerate(items(value), 1):
        function = table(call.get("function"))
        name = as_text(function.get("name"))
        if name:
            identity = as_text(call.get("id")) or f"{prefix}.{number}"
            calls.append(Call(identity, name, as_text(function.get("arguments"))))
    return calls


def _history(trajectory: list[dict[str, Any]]) -> Any:
    """A chat from the steps of a trajectory without a history."""
    for number, step in enumerate(trajectory):
        if not number:
            yield from items(step.get("query"))
        yield {"role": "assistant", "content": as_text(step.get("response")) or as_text(step.get("thought"))}
        yield {"role": "user", "content": as_text(step.get("observation"))}


def _finish(builder: SessionBuilder, info: dict[str, Any]) -> ImportedSession:
    if not any(event.body.kind == "action.started" for event in builder.events):
        builder.notes.append(BY_TEXT)
    return builder.finish(reason=as_text(info.get("exit_status")) or "recorded elsewhere")


def _run_info(info: dict[str, Any]) -> dict[str, Any]:
    names = ("exit_status", "submission", "mini_version", "swe_agent_version")
    return {name: info[name] for name in names if isinstance(info.get(name), str)}


def _instance(found: Document) -> str:
    """The instance of SWE-bench that the file is named after, or "": all of its tasks begin with the same words."""
    name = found.path.name.split(".traj")[0]
    return name if _INSTANCE.fullmatch(name) else ""


def _key(found: Document) -> str:
    return found.path.name + as_text(found.value)[:65536]


def _usage(value: Any) -> Usage | None:
    told = table(value)
    sent, said = count(told.get("prompt_tokens")), count(told.get("completion_tokens"))
    return Usage(sent, said) if sent or said else None
