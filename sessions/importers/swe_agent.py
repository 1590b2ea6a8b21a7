"""SWE-agent's ``.traj``: its history as a chat, and what its trajectory knows of each step besides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sessions.events import MessageRef
from sessions.events.messages import Usage
from sessions.importers.base import ImportedSession
from sessions.importers.builder import SessionBuilder
from sessions.importers.chat_messages import ChatReader, words_of
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

_HARMLESS: Final = frozenset({"default", "cache_control", "tag_tool_call_observations", "image_parsing"})
"""History processors that take nothing out of a prompt."""
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
    shortened = 0
    for message in history:
        if message.get("is_demo"):
            continue
        if message.get("role") == "assistant":
            step = _step_of(steps, message)
            took = milliseconds(step.get("execution_time"))
            if builder.step and _show_query(builder, items(step.get("query")) or items(step.get("messages"))):
                shortened += 1
        reader.take(message, took)
    reader.flush()
    stats = table(info.get("model_stats"))
    sent, said = count(stats.get("tokens_sent")), count(stats.get("tokens_received"))
    builder.add_totals(Usage(sent, said) if sent or said else None, money(stats.get("instance_cost")))
    if shortened:
        builder.notes.append(f"{say_count(shortened, 'prompt')} had earlier messages shortened by the tool, as here")
    elif (hidden := _find_shortening(agent)) and not any("query" in step for step in trajectory):
        builder.notes.append(
            f"the tool shortened what it sent ({', '.join(hidden)}), and the file does not hold its prompts: here they "
            "are whole"
        )
    others = len(items(value.get("attempts"))) - 1
    if others > 0:
        builder.notes.append(f"it is the attempt that was chosen: {others} more are in the file and were left out")
    return [finish_run(builder, as_text(info.get("exit_status")), "submitted")]


def _step_of(steps: Iterator[dict[str, Any]], message: dict[str, Any]) -> dict[str, Any]:
    """The step that this reply is: steps are in the order of replies, and some replies are of no step."""
    said = text_of(message.get("content"))
    return next((step for step in steps if said in (step.get("response"), step.get("thought"))), {})


def _show_query(builder: SessionBuilder, query: list[dict[str, Any]]) -> bool:
    """Make the next prompt what the tool sent: some configurations elide old output. Whether it was another one."""
    context = builder.read_context()
    sent = [words_of(message.get("content")) for message in query]
    if not query or sent == [words_of(message.get("content")) for _, message in context]:
        return False
    left = iter(context)
    same_length = len(sent) == len(context)
    shown: list[dict[str, Any] | MessageRef] = []
    for place, (message, text) in enumerate(zip(query, sent, strict=True)):
        here = (
            context[place] if same_length else next((one for one in left if _is_message(one[1], message, text)), None)
        )
        if here is None:
            shown.append({"role": as_text(message.get("role")), "content": text})
        elif words_of(here[1].get("content")) == text:
            shown.append(here[0])
        else:
            shown.append({**here[1], "content": text})
    builder.show_context(shown)
    return True


def _is_message(wire: dict[str, Any], message: dict[str, Any], text: str) -> bool:
    return wire.get("role") == message.get("role") and words_of(wire.get("content")) == text


def _find_shortening(agent: dict[str, Any]) -> list[str]:
    """The parts of a configuration that take something out of prompts."""
    kinds = (as_text(one.get("type")) for one in items(agent.get("history_processors")))
    return sorted({kind for kind in kinds if kind and kind not in _HARMLESS})


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
