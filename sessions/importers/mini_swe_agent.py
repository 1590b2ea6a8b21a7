"""mini-swe-agent's ``.traj.json``: one chat in the form of either of OpenAI's APIs, with calls or by text alone."""

from __future__ import annotations

import re
from typing import Any, Final

from sessions.importers.base import ImportedSession
from sessions.importers.builder import SessionBuilder
from sessions.importers.chat_messages import ChatReader
from sessions.importers.documents import Document, as_text, items, money, table

INSTANCE: Final = re.compile(r"[\w.-]+__[\w.-]+-\w+")
"""What an instance of SWE-bench is called."""
BY_TEXT: Final = "its agent acts by text and not by calls: a policy has to say targets.text_only = true to train on it"
_BY_PERSON: Final = frozenset({"UserInterruption", "UserRejection"})


def recognises(found: Document) -> bool:
    """Whether it is mini-swe-agent's: it says so, or is named so."""
    value = found.table
    if str(value.get("trajectory_format", "")).startswith("mini-swe-agent"):
        return True
    listed = isinstance(found.value, list) and found.path.name.endswith(".traj.json")
    return listed or ("messages" in value and "mini_version" in table(value.get("info")))


def parse(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    value, info = found.table, table(found.table.get("info"))
    messages = items(value.get("messages")) if value else found.records
    model = as_text(table(table(info.get("config")).get("model")).get("model_name"))
    instance = as_text(value.get("instance_id")) or instance_of(found)
    builder = SessionBuilder("mini-swe-agent", key_of(found), model, task_id=instance, meta=run_info(info))
    builder.title = instance
    reader = ChatReader(builder, is_person=_is_persons)
    refused = 0
    for message in messages:
        extra = table(message.get("extra"))
        if message.get("role") == "exit":
            builder.meta["exit"] = as_text(message.get("content"))[:200]
            continue
        refused += extra.get("interrupt_type") == "FormatError" and bool(extra.get("response"))
        reader.take(message)
    reader.flush()
    if refused:
        builder.notes.append(
            f"{refused} replies broke the form that the tool wants: it put them into no prompt, and they are left out"
        )
    builder.add_totals(cost=money(table(info.get("model_stats")).get("instance_cost")))
    return [finish_run(builder, as_text(info.get("exit_status")), "submitted")]


def finish_run(builder: SessionBuilder, status: str, good: str) -> ImportedSession:
    """The session, with the status that its run ended with: finished if that begins with ``good``, or is none."""
    if not any(event.body.kind == "action.started" for event in builder.events):
        builder.notes.append(BY_TEXT)
    if not status:
        return builder.finish()
    return builder.finish(state="finished" if status.lower().startswith(good) else "stopped", reason=status)


def run_info(info: dict[str, Any]) -> dict[str, Any]:
    """What the file says of its run."""
    names = ("exit_status", "submission", "mini_version", "swe_agent_version")
    return {name: info[name] for name in names if isinstance(info.get(name), str)}


def instance_of(found: Document) -> str:
    """The instance of SWE-bench that the file is named after, or "": all of its tasks begin with the same words."""
    name = found.path.name.split(".traj")[0]
    return name if INSTANCE.fullmatch(name) else ""


def key_of(found: Document) -> str:
    """What names the recording: neither tool gives its runs ids."""
    return found.path.name + as_text(found.value)[:65536]


def _is_persons(message: dict[str, Any]) -> bool:
    """Whether a person said it: who watches a run may interrupt it. All else is what the tool tells its model."""
    return table(message.get("extra")).get("interrupt_type") in _BY_PERSON
