"""Inspect's logs, ``.json`` and ``.eval`` (a zip of samples): a session per sample, from ``inspect_ai.log``.

``messages`` is the conversation as it ended; model events have the usage. Long texts are attachments, named by hash.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any, Final

from ..transcript import Call, NotRead, Reply, Transcript, Usage

Sample = dict[str, Any]
ATTACHMENT: Final = re.compile(r"attachment://([0-9a-f]{32})")


def read(data: bytes) -> list[Transcript]:
    """A session per sample, in the order of their ids and epochs."""
    samples, model = _archive(data) if data[:2] == b"PK" else _document(json.loads(data))
    samples.sort(key=lambda sample: (str(sample.get("id")), sample.get("epoch") or 0))
    return [_session(sample, model) for sample in samples]


def _document(whole: Any) -> tuple[list[Sample], str]:
    if not isinstance(whole, dict) or "eval" not in whole:
        raise NotRead("no log of Inspect")
    return list(whole.get("samples") or []), str(whole["eval"].get("model") or "")


def _archive(data: bytes) -> tuple[list[Sample], str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        samples = [json.loads(archive.read(name)) for name in names if name.startswith("samples/")]
        header = next((n for n in ("header.json", "_journal/start.json") if n in names), None)
        about = json.loads(archive.read(header)) if header else {}
    return samples, str((about.get("eval") or {}).get("model") or "")


def _session(sample: Sample, model: str) -> Transcript:
    attachments = sample.get("attachments") or {}
    found = Transcript(name=f"{sample.get('id')} {sample.get('epoch')}")
    outputs = _outputs(sample)
    for message in sample.get("messages") or []:
        role = message.get("role")
        text, reasoning, other = _content(message.get("content"), attachments)
        if role == "assistant" and message.get("source") != "input":
            output = outputs.get(message.get("id") or len(found.replies)) or {}
            reply = Reply(text, reasoning, model=message.get("model") or output.get("model") or model)
            for call in message.get("tool_calls") or []:
                arguments = _resolve(call.get("arguments"), attachments)
                reply.calls.append(Call(call.get("function") or "", arguments, call.get("id") or ""))
            reply.usage = _usage(output.get("usage"))
            found.replies.append(reply)
        elif role == "tool":
            call = found.call(message.get("tool_call_id") or "")
            if call is not None:
                error = message.get("error")
                call.result, call.failed, call.partial = text, error is not None, other
                if error and not text:
                    call.result = _resolve(error.get("message") or "", attachments)
        elif role == "user":
            found.say(text, person=not found.replies or message.get("source") == "operator")
    return found


def _outputs(sample: Sample) -> dict[str | int, Any]:
    """What the model's server answered, by the id of the message, or by its place where messages have none."""
    found: dict[str | int, Any] = {}
    events = [event for event in sample.get("events") or [] if event.get("event") == "model"]
    for place, output in enumerate(event.get("output") or {} for event in events):
        choices = output.get("choices") or []
        ids = [id for choice in choices if (id := (choice.get("message") or {}).get("id"))]
        found |= dict.fromkeys(ids or [place], output)
    return found


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict) or usage.get("input_tokens") is None:
        return None
    prompt, reply = usage["input_tokens"], usage.get("output_tokens") or 0
    cached = (usage.get("input_tokens_cache_read") or 0) + (usage.get("input_tokens_cache_write") or 0)
    if usage.get("total_tokens") == prompt + cached + reply:  # some providers count what came from a cache apart
        prompt += cached
    return Usage(prompt, reply)


def _content(content: Any, attachments: dict[str, str]) -> tuple[str, bool, bool]:
    """Text, whether there is readable reasoning, and whether a part is neither."""
    if isinstance(content, str) or content is None:
        return _resolve(content or "", attachments), False, False
    texts, reasoning, other = [], False, False
    for part in content:
        if part.get("type") == "text":
            texts.append(_resolve(part.get("text") or "", attachments))
        elif part.get("type") == "reasoning":
            reasoning |= bool(part.get("reasoning")) and not part.get("redacted")
        else:
            other = True
    return "\n".join(texts), reasoning, other


def _resolve(value: Any, attachments: dict[str, str]) -> Any:
    if isinstance(value, str):
        return ATTACHMENT.sub(lambda found: attachments.get(found.group(1), found.group()), value)
    if isinstance(value, dict):
        return {key: _resolve(item, attachments) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, attachments) for item in value]
    return value
