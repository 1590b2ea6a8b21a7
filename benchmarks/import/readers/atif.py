"""ATIF (Agent Trajectory Interchange Format): documents of steps, from RFC 0001 of the Harbor project."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage, json_lines, parsed, text_of

Document = dict[str, Any]


HAND_OFF: Final = re.compile(
    r"\s*(?:You are picking up work from a previous AI agent|Here are the answers the other agent provided"
    r"|You are about to hand off your work to another AI agent|The next agent has a few questions)"
)
"""How Terminus writes to itself in a user's name, when its context is summarised."""


def read(data: bytes) -> list[Transcript]:
    """A session per document (one, or one per line), and the sub-agents that it holds within."""
    try:
        whole = json.loads(data)
        documents = whole if isinstance(whole, list) else [whole]
    except ValueError:
        documents = list(json_lines(data))
    documents = [d for d in documents if isinstance(d, dict) and isinstance(d.get("steps"), list)]
    if not documents:
        raise NotRead("no steps")
    return [t for document in documents for t in _document(document, "main")]


def _document(document: Document, role: str) -> list[Transcript]:
    agent = document.get("agent") or {}
    found = Transcript(role=role, name=document.get("session_id") or "")  # type: ignore[arg-type]
    for step in document["steps"]:
        source = step.get("source")
        text, _ = text_of(step.get("message"))
        if source == "agent":
            found.replies.append(_reply(step, text, agent.get("model_name") or ""))
            _take_results(found, step)
        elif source == "user":
            found.say(text, person=not HAND_OFF.match(text))
    children = [t for child in document.get("subagent_trajectories") or [] for t in _document(child, "child")]
    return [found, *children]


def _reply(step: Document, text: str, model: str) -> Reply:
    reply = Reply(text, bool(step.get("reasoning_content")), model=step.get("model_name") or model)
    for call in step.get("tool_calls") or []:
        reply.calls.append(
            Call(call.get("function_name") or "", parsed(call.get("arguments")), call.get("tool_call_id") or "")
        )
    metrics = step.get("metrics") or {}
    if metrics.get("prompt_tokens") is not None:
        reply.usage = Usage(metrics["prompt_tokens"], metrics.get("completion_tokens") or 0)
    return reply


def _take_results(found: Transcript, step: Document) -> None:
    """A result belongs to the call that it names; without a name, to the only call of its step."""
    calls = found.replies[-1].calls
    for result in (step.get("observation") or {}).get("results") or []:
        text, partial = text_of(result.get("content"))
        id = result.get("source_call_id")
        call = next((c for c in calls if c.id == id and c.result is None), None) if id else None
        if call is None and not id and len(calls) == 1:
            call = calls[0]
        if call is not None:
            call.result, call.partial = text, partial
        else:
            found.say(text, person=False)
