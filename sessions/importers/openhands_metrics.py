"""What OpenHands counts beside its events: tokens and seconds of each response, and the sums of the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sessions.events.messages import Usage
from sessions.importers.chat_messages import read_usage
from sessions.importers.documents import STATE, as_text, count, items, milliseconds, money, table


@dataclass(slots=True)
class RunMetrics:
    """Counts by the id of a response, and those of the run. ``model`` is "" where none is named."""

    usages: dict[str, Usage] = field(default_factory=dict)
    took: dict[str, int] = field(default_factory=dict)
    usage: Usage | None = None
    cost: float | None = None
    model: str = ""


def read_metrics(events: Iterable[dict[str, Any]], record: dict[str, Any]) -> RunMetrics:
    """All counts in a file: beside its events, in the states that it saved, and of the whole ``record``."""
    found = RunMetrics()
    for event in events:
        if "llm_metrics" in event:
            _add(found, table(event["llm_metrics"]))
        if event.get("kind") in ("ConversationStateUpdateEvent", STATE):
            _add_state(found, event)
    if "metrics" in record:
        _add(found, table(record["metrics"]))
    return found


def _add_state(found: RunMetrics, event: dict[str, Any]) -> None:
    state = table(event.get("value")) if "value" in event else event
    found.model = found.model or as_text(table(table(state.get("agent")).get("llm")).get("model"))
    stats = table(state.get("stats")) or state
    for told in table(stats.get("usage_to_metrics")).values():
        _add(found, table(told))


def _add(found: RunMetrics, told: dict[str, Any]) -> None:
    """One table of counts; a later one of the same run says more."""
    for one in items(told.get("token_usages")):
        if (usage := usage_of(one)) is not None:
            found.usages[as_text(one.get("response_id"))] = usage
    for one in items(told.get("response_latencies")):
        if (took := milliseconds(one.get("latency"))) is not None:
            found.took[as_text(one.get("response_id"))] = took
    cost, sums = money(told.get("accumulated_cost")), table(told.get("accumulated_token_usage"))
    found.cost = max(filter(None, (found.cost, cost)), default=None)
    found.usage = usage_of(sums) or found.usage
    name = as_text(told.get("model_name") or sums.get("model"))
    found.model = found.model or ("" if name == "default" else name)


def usage_of(told: dict[str, Any]) -> Usage | None:
    """Token counts under OpenHands' names."""
    usage = read_usage(told)
    if usage is None:
        return None
    cached, written = count(told.get("cache_read_tokens")), count(told.get("cache_write_tokens"))
    thought = count(told.get("reasoning_tokens")) or usage.reasoning_tokens
    return Usage(usage.input_tokens, usage.output_tokens, cached or usage.cached_tokens, written, thought)
