"""Message formats: a row is a whole segment, each reply in it trained or masked by a field of its own.

They differ in the name of that field only: ``weight`` (OpenAI), ``loss`` (ms-swift), ``train`` (Axolotl).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from apollo_train.chat import Chat, dumps
from apollo_train.formats.base import Line, Unit
from apollo_train.samples import Excluded, Source
from apollo_train.segments import Segment, segments_of
from apollo_train.tokens import count


@dataclass(frozen=True)
class MessageFormat:
    """Chat messages with ``field`` set to ``yes`` or ``no`` on each assistant message."""

    name: str
    field: str
    yes: bool | int
    no: bool | int
    about: str
    tools_as_text: bool = False
    null_content: bool = False
    """Write null, not an empty text, where a reply is nothing but calls."""
    version: int = 1
    unit: Unit = "segment"

    def lines(self, source: Source) -> Iterator[Line | Excluded]:
        """A line per segment of the session that trains anything."""
        for segment in segments_of(source):
            if isinstance(segment, Excluded):
                yield segment
                continue
            row = self.row(segment)
            if broken_by(row["messages"]):
                yield from (source.excluded(mask, "broken_conversation") for mask in segment.masks)
            else:
                yield self._line(row, segment)

    def row(self, segment: Segment) -> dict[str, Any]:
        """The row of one segment."""
        messages = [self._message(*pair) for pair in zip(segment.messages, segment.trained, strict=True)]
        row: dict[str, Any] = {"messages": messages}
        if segment.tools:
            row["tools"] = dumps(segment.tools).decode() if self.tools_as_text else segment.tools
        return {**row, "prefix_checked": segment.meta["prefix_checked"], "meta": segment.meta}

    def _message(self, chat: Chat, trained: bool | None) -> Chat:
        if trained is None:
            return chat
        content = None if self.null_content and not chat["content"] and chat.get("tool_calls") else chat["content"]
        return {**chat, "content": content, self.field: self.yes if trained else self.no}

    def _line(self, row: dict[str, Any], segment: Segment) -> Line:
        counts = [count(mask) for mask in segment.masks]
        return Line(
            dumps(row),
            trained=len(counts),
            trained_tokens=sum(c.reply for c in counts),
            processed_tokens=max((c.prompt + c.reply for c in counts), default=0),
            unseen_tokens=sum(c.reply for c, mask in zip(counts, segment.masks, strict=True) if not mask.seen),
            exact_tokens=all(c.exact for c in counts),
            calls_lost=segment.calls_lost,
            unchecked=not segment.meta["prefix_checked"],
            counterfactual=segment.meta["prompt"] == "counterfactual",
        )


MESSAGES: Final = (
    MessageFormat(
        "openai", "weight", 1, 0, "chat JSONL with weight 0 or 1 per reply (OpenAI style)", null_content=True
    ),
    MessageFormat("ms-swift", "loss", True, False, "the same with a boolean loss (ms-swift)", tools_as_text=True),
    MessageFormat("axolotl", "train", True, False, "the same with a boolean train (Axolotl)"),
)


def broken_by(messages: list[Chat]) -> str:
    """What loaders of chat files would refuse, or "": a reply is last, and calls are answered before anybody speaks."""
    if not messages or messages[-1]["role"] != "assistant":
        return "the last message is no reply"
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"a tool result answers no call ({message['tool_call_id']!r})"
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return f"the call {min(open_calls)!r} was not answered before the next turn ({message['role']})"
        open_calls = {call["id"] for call in message.get("tool_calls", ())}
    return ""
