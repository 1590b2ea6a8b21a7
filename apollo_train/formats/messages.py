"""Message formats: a row is a whole segment, each reply in it trained or masked by a field of its own.

They differ in the name of that field (``weight``, ``loss``, ``train``, ``step_loss_mask``, ``trainable``), in where the
tools are, and in small habits of their loaders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final, Literal

from apollo_train.formats.rows import SegmentRows, StepRows
from apollo_train.masks.masks import ReplyMask
from apollo_train.runtime import CannotExpress
from apollo_train.samples.chat import Chat, dumps
from apollo_train.samples.prompts import Turn
from apollo_train.samples.segments import Segment
from apollo_train.samples.steps import StepSample
from apollo_train.templates.message_form import Form

Tools = Literal["list", "text", "metadata"]
"""Where tool schemas are: a list, JSON text, or a list in ``metadata.tools``."""


@dataclass(frozen=True)
class MessageFormat(SegmentRows):
    """Chat messages with ``marks[True]`` or ``marks[False]`` put into each reply."""

    name: str
    about: str
    marks: Mapping[bool, Chat]
    tools: Tools = "list"
    null_content: bool = False
    """Write null, not an empty text, where a reply is nothing but calls."""
    others: Chat = field(default_factory=dict)
    """What is put into each message that is no reply."""
    alternate: bool = False
    """The loader wants a reply between a tool result and a user turn: it stops at rows that have none there."""
    version: int = 2

    def alternating(self, segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
        """See SegmentRows."""
        return _alternating(segment) if self.alternate else (segment, [])

    def row(self, segment: Segment) -> bytes:
        """The row of one segment."""
        pairs = zip(segment.turns, segment.trained, strict=True)
        messages = [self._message(turn, trained) for turn, trained in pairs]
        if self.form.closing:
            messages.append(self._message(_EMPTY, False))
        row = b'{"messages":[%b]' % b",".join(messages)
        if segment.tools:
            row += b',"%b":%b' % _tools(segment.tools, self.tools)
        checked = b"true" if segment.meta["prefix_checked"] else b"false"
        return row + b',"prefix_checked":%b,"meta":%b}' % (checked, dumps(segment.meta))

    def _message(self, turn: Turn, trained: bool | None) -> bytes:
        marks = self.others if trained is None else self.marks[trained]
        chat = turn.chat
        if trained is not None and self.null_content and not chat["content"] and chat.get("tool_calls"):
            return dumps({**chat, "content": None, **marks})
        return turn.dumped[:-1] + b"," + dumps(marks)[1:] if marks else turn.dumped


@dataclass(frozen=True)
class EveryReply(MessageFormat):
    """For trainers that train every reply of a row: what follows the last trained reply is cut off; no mask."""

    def row(self, segment: Segment) -> bytes:
        """The row of one segment. Raises CannotExpress where a reply before a trained one is masked."""
        last = max(at for at, trained in enumerate(segment.trained) if trained)
        masked = segment.trained[:last].count(False)
        if masked:
            raise CannotExpress(
                f"{self.name} trains every reply of a row, and {masked} of segment {segment.id} are masked: take "
                "`apollo-train tokens`, or `nemo-rl` or `steps` with a trainer that trains the last reply only"
            )
        meta = {**segment.meta, "cut": len(segment.turns) - last - 1}
        turns, trained = segment.turns[: last + 1], segment.trained[: last + 1]
        return super().row(Segment(segment.id, turns, trained, segment.tools, meta, segment.masks))


def _marks(**values: tuple[Any, Any]) -> dict[bool, Chat]:
    """For each field its value in a trained and in a masked reply."""
    return {which: {name: pair[not which] for name, pair in values.items()} for which in (True, False)}


_EMPTY: Final = Turn({"role": "assistant", "content": ""})
_WEIGHT: Final = {"weight": (1, 0)}
_LOSS: Final = {"loss": (True, False)}
_TRAIN: Final = {"train": (True, False)}
_STEP: Final = {"step_loss_mask": (1, 0)}

MESSAGES: Final = (
    MessageFormat(
        "messages",
        "chat messages; each reply says by five names whether it is trained",
        _marks(**_WEIGHT, **_LOSS, **_TRAIN, **_STEP, loss_weight=(1.0, 0.0)),
        "text",
    ),
    MessageFormat(
        "openai", "chat JSONL with weight 0 or 1 per reply (OpenAI style)", _marks(**_WEIGHT), null_content=True
    ),
    MessageFormat(
        "ms-swift",
        "the same with a boolean loss, reasoning in the text (ms-swift)",
        _marks(**_LOSS),
        "text",
        version=3,
        form=Form(think="<think>\n{}\n</think>\n\n"),
        alternate=True,
    ),
    MessageFormat("axolotl", "the same with a boolean train (Axolotl)", _marks(**_TRAIN), version=3),
    MessageFormat(
        "slime", "the same with step_loss_mask 0 or 1, tools in metadata (slime)", _marks(**_STEP), "metadata"
    ),
    MessageFormat(
        "tinker",
        "the same with a boolean trainable on every message (Tinker, CUSTOMIZED)",
        _marks(trainable=(True, False)),
        others={"trainable": False},
        version=4,
        form=Form(parts=True),
    ),
    EveryReply("verl", "whole segments without a mask; refuses where a reply is masked (verl)", _marks()),
)


def _tools(tools: list[dict[str, Any]], where: Tools) -> tuple[bytes, bytes]:
    """The key and the value that tell of the tools."""
    if where == "metadata":
        return b"metadata", dumps({"tools": tools})
    return b"tools", dumps(dumps(tools).decode()) if where == "text" else dumps(tools)


def _alternating(segment: Segment) -> tuple[Segment | None, list[ReplyMask]]:
    """The segment up to the first user turn right after a tool result, None if it trains nothing; and what is lost."""
    roles = [turn.chat["role"] for turn in segment.turns]
    end = next((at for at, pair in enumerate(pairwise(roles), 1) if pair == ("tool", "user")), len(roles))
    if end == len(roles):
        return segment, []
    trained = segment.trained[:end].count(True)
    kept, lost = segment.masks[:trained], segment.masks[trained:]
    if not kept:
        return None, lost
    last = max(at for at, flag in enumerate(segment.trained[:end]) if flag is not None) + 1
    return replace(segment, turns=segment.turns[:last], trained=segment.trained[:last], masks=kept), lost


@dataclass(frozen=True)
class LlamaFactoryV1(SegmentRows):
    """``messages`` whose ``content`` is a list of parts; ``loss_weight`` on every message carries the row's weight."""

    name: str = "llamafactory-v1"
    version: int = 2
    about: str = "content parts and a loss_weight per message (LLaMA-Factory v1)"
    weighs: bool = True
    """The trainer reads the weight itself: nothing needs to be written twice."""

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


@dataclass(frozen=True)
class LlamaFactoryV0(StepRows):
    """``conversations`` of alternating turns, the last of which is the target (``mask_history: true``)."""

    name: str = "llamafactory-v0"
    version: int = 3
    about: str = "ShareGPT step samples for mask_history (LLaMA-Factory v0)"

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
            said = dumps(calls[0] if len(calls) == 1 else calls).decode()
            if chat["content"].strip():  # the loader takes what is between these for the calls, and keeps the rest
                said = f"{chat['content']}\n<tool_call>{said}</tool_call>"
            return {"from": "function_call", "value": thought + said}
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
