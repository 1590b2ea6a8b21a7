"""SWE-agent's ``.traj``: the ``history`` of what the model was shown and said, from its docs and ``types.py``.

Demonstrations are marked and are no part of the run. Without function calls the agent acts by text, and observations
are turns of a user.
"""

from __future__ import annotations

import json
from typing import Any

from ..transcript import Call, NotRead, Reply, Transcript, parsed, text_of

Item = dict[str, Any]


def read(data: bytes) -> list[Transcript]:
    """The one session of a trajectory."""
    whole = json.loads(data)
    history = whole.get("history") if isinstance(whole, dict) else whole
    if not isinstance(history, list):
        raise NotRead("no history")
    found = Transcript(name=str(whole.get("environment") or "") if isinstance(whole, dict) else "")
    model = _model(whole)
    for item in history:
        if item.get("is_demo") or item.get("message_type") == "demonstration":
            continue
        role = item.get("role")
        if role == "assistant":
            found.replies.append(_reply(item, model))
        elif role == "tool" or item.get("tool_call_ids"):
            for id in item.get("tool_call_ids") or [item.get("tool_call_id") or ""]:
                if (call := found.call(id)) is not None:
                    call.result, call.partial = text_of(item.get("content"))
        elif role == "user":
            found.say(text_of(item.get("content"))[0], person=not found.replies)
    return [found]


def _reply(item: Item, model: str) -> Reply:
    reply = Reply(text_of(item.get("content"))[0], model=model)
    reply.reasoning = any(block.get("thinking") for block in item.get("thinking_blocks") or [])
    for call in item.get("tool_calls") or []:
        function = call.get("function") or {}
        reply.calls.append(Call(function.get("name") or "", parsed(function.get("arguments")), call.get("id") or ""))
    return reply


def _model(whole: Any) -> str:
    """The model's name in ``replay_config``, where a version writes one."""
    config = parsed(whole.get("replay_config")) if isinstance(whole, dict) else None
    agent = config.get("agent") if isinstance(config, dict) else None
    model = agent.get("model") if isinstance(agent, dict) else None
    return str(model.get("name") or "") if isinstance(model, dict) else ""
