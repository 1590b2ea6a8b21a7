"""gemini-cli's chat recordings, from its ``chatRecordingService``: one JSON object, or JSON lines since v0.40.

A message that is written again replaces itself; ``$rewindTo`` takes a message and all after it back; ``$set.messages``
begins anew. A message of the model holds its calls with their results.
"""

from __future__ import annotations

import json
from typing import Any

from ..transcript import Call, NotRead, Reply, Transcript, Usage, json_lines, text_of

Message = dict[str, Any]


def read(data: bytes) -> list[Transcript]:
    """The conversation, and what was rewound as branches."""
    try:
        whole = json.loads(data)
    except ValueError:
        whole = None
    name, ways = (whole.get("sessionId") or "", [whole["messages"]]) if _is_record(whole) else _lines(data)
    if not any(ways):
        raise NotRead("no messages of a gemini-cli session")
    first, *left = ways
    found = [_transcript(first, "main"), *(_transcript(way, "branch") for way in left)]
    found[0].name = name
    return [t for t in found if t.role == "main" or t.replies]


def _is_record(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("messages"), list) and "sessionId" in value


def _lines(data: bytes) -> tuple[str, list[list[Message]]]:
    name = ""
    messages: dict[str, Message] = {}
    left: list[list[Message]] = []
    for line in json_lines(data):
        if "$rewindTo" in line:
            ids = list(messages)
            border = ids.index(line["$rewindTo"]) if line["$rewindTo"] in messages else 0
            left.append([messages.pop(id) for id in ids[border:]])
        elif "id" in line and "type" in line:
            messages[line["id"]] = line
        elif isinstance(line.get("$set"), dict) and isinstance(line["$set"].get("messages"), list):
            messages = {m["id"]: m for m in line["$set"]["messages"] if "id" in m}
        elif "sessionId" in line:
            name = name or line["sessionId"]
    return name, [list(messages.values()), *left]


def _transcript(messages: list[Message], role: str) -> Transcript:
    found = Transcript(role=role)  # type: ignore[arg-type]
    for message in messages:
        text, _ = text_of(message.get("content"))
        if message.get("type") == "user":
            if not _ignored(text.strip()):
                found.say(text)
        elif message.get("type") == "gemini":
            found.replies.append(_reply(message, text))
    return found


def _ignored(text: str) -> bool:
    """What gemini-cli itself leaves out when it goes on with a session: commands, and context that it wrote."""
    return not text or text.startswith(("/", "?", "<session_context>", "<hook_context>"))


def _reply(message: Message, text: str) -> Reply:
    reply = Reply(text, bool(message.get("thoughts")), model=message.get("model") or "")
    tokens = message.get("tokens")
    if tokens:
        reply.usage = Usage(tokens.get("input") or 0, (tokens.get("output") or 0) + (tokens.get("thoughts") or 0))
    for call in message.get("toolCalls") or []:
        result, partial = _result(call.get("result"))
        failed = {"success": False, "error": True, "cancelled": True}.get(call.get("status"))
        reply.calls.append(
            Call(call.get("name") or "", call.get("args"), call.get("id") or "", result, failed, partial)
        )
    return reply


def _result(parts: Any) -> tuple[str | None, bool]:
    """The text of the function responses: their ``output`` or ``error``, else the whole response as JSON."""
    if parts is None:
        return None, False
    texts: list[str] = []
    other = False
    for part in parts if isinstance(parts, list) else [parts]:
        response = part.get("functionResponse", {}).get("response") if isinstance(part, dict) else None
        if isinstance(response, dict):
            said = next((response[key] for key in ("output", "error") if isinstance(response.get(key), str)), None)
            texts.append(json.dumps(response) if said is None else said)
        elif isinstance(part, str) or "text" in part:
            texts.append(text_of(part)[0])
        else:
            other = True
    return ("\n".join(texts) if texts or other else None), other
