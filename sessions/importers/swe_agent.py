"""SWE-agent's ``.traj``: its history as a chat, and what its trajectory knows of each step besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import SessionBuilder
from sessions.importers.chat_messages import ChatReader
from sessions.importers.documents import (
    Document,
    as_text,
    count,
    items,
    loads,
    milliseconds,
    money,
    table,
    text_of,
)
from sessions.importers.mini_swe_agent import finish_run, key_of, run_info
from sessions.terminal_text import say_count

_NO_INSTANCE: Final = frozenset({"", "main", "swe_main", "primary"})
"""Names of environments and agents that say nothing of the task."""


def recognises(found: Document) -> bool:
    """Whether it is SWE-agent's."""
    value = found.table
    if isinstance(value.get("trajectory"), list):
        return "history" in value or "environment" in value
    # Its demonstrations are a history alone.
    return any("message_type" in message and "agent" in message for message in items(value.get("history")))


def parse(found: Document) -> list[ImportedSession]:
    """The one session of the file."""
    value, info = found.table, table(found.table.get("info"))
    config = _run_config(value)
    agent = table(config.get("agent"))
    model = as_text(table(table(info.get("config")).get("model")).get("name")) or as_text(
        table(agent.get("model")).get("name")
    )
    instance = _instance(found, config) if "trajectory" in value else ""
    builder = SessionBuilder("swe-agent", key_of(found), model, task_id=instance, meta=run_info(info))
    builder.title = instance
    trajectory = items(value.get("trajectory"))
    history = items(value.get("history")) or list(_history(trajectory))
    demos = [message for message in history if message.get("is_demo")]
    builder.preamble = [{"role": as_text(one.get("role")), "content": text_of(one.get("content"))} for one in demos]
    reader = ChatReader(builder, is_person=lambda _: False)
    steps = iter(trajectory)
    took: int | None = None
    for message in history:
        if message.get("is_demo"):
            continue
        if message.get("role") == "assistant":
            took = _time_of(steps, message)
        reader.take(message, took)
    reader.flush()
    stats = table(info.get("model_stats"))
    sent, said = count(stats.get("tokens_sent")), count(stats.get("tokens_received"))
    builder.add_totals(Usage(sent, said) if sent or said else None, money(stats.get("instance_cost")))
    if shortened := _count_shortened(trajectory, history):
        builder.notes.append(
            f"{say_count(shortened, 'prompt')} of it had earlier messages shortened by the tool: here they are whole"
        )
    others = len(items(value.get("attempts"))) - 1
    if others > 0:
        builder.notes.append(f"it is the attempt that was chosen: {others} more are in the file and were left out")
    return [finish_run(builder, as_text(info.get("exit_status")), "submitted")]


def _time_of(steps: Iterator[dict[str, Any]], message: dict[str, Any]) -> int | None:
    """How long the action of this reply took: steps are in the order of replies, and some replies are of no step."""
    said = text_of(message.get("content"))
    while (step := next(steps, None)) is not None:
        if said in (step.get("response"), step.get("thought")):
            return milliseconds(step.get("execution_time"))
    return None


def _count_shortened(trajectory: list[dict[str, Any]], history: list[dict[str, Any]]) -> int:
    """In how many prompts a message stood that is not so in the history: some configurations elide old output."""
    known = {text_of(message.get("content")) for message in history}
    return sum(
        any(text_of(message.get("content")) not in known for message in items(step.get("query")) if message)
        for step in trajectory
    )


def _run_config(value: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the run, which the file holds as text."""
    config = value.get("replay_config")
    try:
        return table(loads(config)) if isinstance(config, str) else table(config)
    except ValueError:
        return {}


def _instance(found: Document, config: dict[str, Any]) -> str:
    """The task: what the run says of it, else what the file is named after, as SWE-agent names it."""
    named = (
        table(config.get("problem_statement")).get("id"),
        found.table.get("environment"),
        table(config.get("agent")).get("name"),
        found.path.name.split(".traj")[0],
    )
    return next(name for name in map(as_text, named) if name not in _NO_INSTANCE)


def _history(trajectory: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A chat from the steps of a trajectory without a history."""
    for number, step in enumerate(trajectory):
        if not number:
            yield from items(step.get("query"))
        yield {"role": "assistant", "content": as_text(step.get("response")) or as_text(step.get("thought"))}
        yield {"role": "user", "content": as_text(step.get("observation"))}
