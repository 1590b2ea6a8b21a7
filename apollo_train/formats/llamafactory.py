"""LLaMA-Factory's formats: ``llamafactory-v1`` (content parts, a loss weight per message) and ``-v0`` (ShareGPT)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from apollo_train.formats.rows import SegmentRows, StepRows
from apollo_train.samples.chat import Chat, dumps
from apollo_train.samples.segments import Segment
from apollo_train.samples.step_samples import StepSample


class LlamaFactoryV1(SegmentRows):
    """``messages`` whose ``content`` is a list of parts; ``loss_weight`` on every message carries the row's weight."""

    name = "llamafactory-v1"
    version = 2
    about = "content parts and a loss_weight per message (LLaMA-Factory v1)"
    trainer = "LLaMA-Factory"
    weighs = True  # the trainer reads the weight itself
    text_arguments = True

    def row(self, segment: Segment) -> bytes:
        """The row of one segment."""
        weight = float(segment.meta["weight"])
        messages = [
            {"role": chat["role"], "content": _parts(chat), "loss_weight": weight if trained else 0.0}
            for chat, trained in zip(segment.messages, segment.trained, strict=True)
        ]
        row: dict[str, Any] = {"messages": messages}
        if segment.tools:
            row["tools"] = dumps(segment.tools).decode()
        return dumps({**row, "prefix_checked": segment.meta["prefix_checked"], "meta": segment.meta})


class LlamaFactoryV0(StepRows):
    """``conversations`` of alternating turns, the last of which is the target (``mask_history: true``)."""

    name = "llamafactory-v0"
    version = 3
    about = "ShareGPT step samples for mask_history (LLaMA-Factory v0)"
    trainer = "LLaMA-Factory"
    text_arguments = True
    own_forms: Mapping[str, Mapping[str, Any]] = {"gemma": {"system": True}}

    def row(self, sample: StepSample) -> bytes | str:
        """The row, or why the loader cannot take it."""
        messages = [*sample.prompt, sample.completion]
        system = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
        turns: list[Chat] = []
        for at, chat in enumerate(messages):
            if (chat["role"] == "assistant") != bool(at % 2):
                return "turns_do_not_alternate"
            turns.append(_turn(chat))
        tools = dumps([tool["function"] for tool in sample.tools]).decode() if sample.tools else ""
        return dumps({"conversations": turns, "system": system, "tools": tools, "meta": sample.meta})


def _turn(chat: Chat) -> Chat:
    """A turn in ShareGPT's words. Reasoning goes before the text or the calls, as the loader expects it."""
    thought = f"<think>\n{chat['reasoning_content']}\n</think>\n\n" if chat.get("reasoning_content") else ""
    match chat["role"]:
        case "assistant" if chat.get("tool_calls"):
            calls = [{"name": call["name"], "arguments": call["arguments"]} for call in _calls(chat)]
            text = dumps(calls[0] if len(calls) == 1 else calls).decode()
            if chat["content"].strip():  # the loader takes what is between these for the calls, and keeps the rest
                text = f"{chat['content']}\n<tool_call>{text}</tool_call>"
            return {"from": "function_call", "value": thought + text}
        case "assistant":
            return {"from": "gpt", "value": thought + chat["content"]}
        case "tool":
            return {"from": "observation", "value": chat["content"]}
        case _:
            return {"from": "human", "value": chat["content"]}


def _parts(chat: Chat) -> list[dict[str, str]]:
    """A message as typed parts; a call is the JSON text of its name and arguments."""
    parts = [{"type": "reasoning", "value": chat["reasoning_content"]}] if chat.get("reasoning_content") else []
    if chat["content"] or not chat.get("tool_calls"):
        parts.append({"type": "text", "value": chat["content"]})
    return parts + [{"type": "tool_call", "value": dumps(call).decode()} for call in _calls(chat)]


def _calls(chat: Chat) -> list[dict[str, Any]]:
    """Name and arguments of each call; arguments that are no JSON stay text."""
    return [
        {"name": call["function"]["name"], "arguments": _object(call["function"]["arguments"])}
        for call in chat.get("tool_calls", ())
    ]


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
