"""Plain chat messages with tools, as OpenAI's fine-tuning and SWE-smith have them: JSON or JSONL of ``messages``."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, parsed, text_of

Message = dict[str, Any]


HARNESS: Final = re.compile(
    r"\s*(?:(?i:observation):|<task-notification>|\[compact_boundary\]|\[Request interrupted by user"
    r"|This session is being continued from a previous conversation|Continue from where you left off\.\Z"
    r"|Your command ran successfully and did not produce any output)"
)
"""How user turns begin that known harnesses write; a chat does not say who spoke."""


def read(data: bytes) -> list[Transcript]:
    """A session per conversation."""
    try:
        whole = json.loads(data)
    except ValueError:
        whole = [json.loads(line) for line in data.decode("utf-8").split("\n") if line.strip()]
    if isinstance(whole, dict):
        whole = [whole]
    elif whole and isinstance(whole[0], dict) and "role" in whole[0]:
        whole = [{"messages": whole}]
    found = [_session(row) for row in whole if isinstance(row, dict) and isinstance(row.get("messages"), list)]
    if not found:
        raise NotRead("no messages")
    return found


def _session(row: Message) -> Transcript:
    found = Transcript(name=str(row.get("instance_id") or row.get("id") or ""))
    before = ""
    for message in row["messages"]:
        role = message.get("role")
        goes_on, before = role == before == "assistant", role
        text, other = text_of(message.get("content"), "output", "content")
        if goes_on:  # a model that was asked once speaks once: converters wrote a message per part
            more = _reply(message, "")
            last = found.replies[-1]
            last.text = f"{last.text}\n{more.text}".strip()
            last.reasoning |= more.reasoning
            last.calls += more.calls
        elif role == "assistant":
            found.replies.append(_reply(message, str(row.get("model") or "")))
        elif role in {"tool", "function"}:
            call = found.call(message.get("tool_call_id") or "") if role == "tool" else _newest(found)
            if call is not None and call.result is None:
                call.result, call.partial = text, other
        elif role == "user":
            found.say(text, person=not (found.replies and HARNESS.match(text)))
        elif found.replies:  # instructions that came later
            found.say(text, person=False)
    return found


def _reply(message: Message, model: str) -> Reply:
    content = message.get("content")
    if isinstance(content, list):  # some put the calls among the text, besides ``tool_calls``
        content = [block for block in content if not isinstance(block, dict) or block.get("type") == "text"]
    reply = Reply(text_of(content)[0], model=model)
    reply.reasoning = bool(message.get("reasoning_content") or message.get("reasoning") or message.get("thinking"))
    calls = message.get("tool_calls") or (
        [{"function": message["function_call"]}] if message.get("function_call") else []
    )
    for call in calls:
        function = call.get("function") or call
        reply.calls.append(Call(function.get("name") or "", parsed(function.get("arguments")), call.get("id") or ""))
    return reply


def _newest(found: Transcript) -> Call | None:
    calls = [call for reply in found.replies for call in reply.calls if call.result is None]
    return calls[-1] if calls else None
