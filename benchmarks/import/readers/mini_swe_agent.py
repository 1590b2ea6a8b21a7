"""mini-swe-agent's ``.traj.json``: the messages of the run, from docs/usage/output_files.md and its source.

Version 1 acts by text: what the environment answered is a user's turn. Version 2 keeps each message as its API has it:
chat messages with ``tool_calls``, or whole ``response`` objects of the Responses API with outputs between them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage, parsed, text_of

Message = dict[str, Any]
CODE: Final = re.compile(r"<returncode>\s*(-?\d+)\s*</returncode>")


def read(data: bytes) -> list[Transcript]:
    """The one session of a trajectory."""
    whole = json.loads(data)
    if isinstance(whole, list):  # the messages alone
        whole = {"messages": whole}
    if not isinstance(whole.get("messages"), list):
        raise NotRead("no messages")
    model = str((((whole.get("info") or {}).get("config") or {}).get("model") or {}).get("model_name") or "")
    found = Transcript(name=whole.get("instance_id") or "")
    for message in whole["messages"]:
        _take(found, message, model)
    return [found]


def _take(found: Transcript, message: Message, model: str) -> None:
    extra = message.get("extra") or {}
    if message.get("object") == "response" or isinstance(message.get("output"), list):
        found.replies.append(_response(message, model))
    elif message.get("type") == "function_call_output" or message.get("role") == "tool":
        call = found.call(message.get("call_id") or message.get("tool_call_id") or "")
        if call is not None:
            content = message.get("output") if message.get("type") else message.get("content")
            call.result, call.partial = text_of(content)
            call.failed = _failed(call.result, extra)
    elif message.get("role") == "assistant":
        found.replies.append(_chat(message, model))
    elif message.get("role") == "user":
        found.say(text_of(message.get("content"))[0], person=not found.replies)


def _chat(message: Message, model: str) -> Reply:
    answer = (message.get("extra") or {}).get("response")
    answer = answer if isinstance(answer, dict) else {}
    reply = Reply(text_of(message.get("content"))[0], model=answer.get("model") or model)
    details = (message.get("provider_specific_fields") or {}).get("reasoning_content")
    reply.reasoning = bool(message.get("reasoning_content") or message.get("reasoning") or details)
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        reply.calls.append(Call(function.get("name") or "", parsed(function.get("arguments")), call.get("id") or ""))
    reply.usage = _usage(answer.get("usage"))
    return reply


def _response(message: Message, model: str) -> Reply:
    reply = Reply(model=message.get("model") or model, usage=_usage(message.get("usage")))
    texts = []
    for item in message.get("output") or []:
        if item.get("type") == "message":
            texts.append(text_of(item.get("content"))[0])
        elif item.get("type") == "reasoning":
            reply.reasoning |= any(text_of(item.get(key))[0] for key in ("summary", "content"))
        elif item.get("type") == "function_call":
            reply.calls.append(Call(item.get("name") or "", parsed(item.get("arguments")), item.get("call_id") or ""))
    reply.text = "\n".join(texts)
    return reply


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    reply = usage.get("completion_tokens", usage.get("output_tokens"))
    return None if prompt is None or reply is None else Usage(prompt, reply)


def _failed(text: str, extra: Message) -> bool | None:
    code = extra.get("returncode")
    if code is None and (found := CODE.search(text)):
        code = int(found.group(1))
    return None if code is None else code != 0
