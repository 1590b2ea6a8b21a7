"""Which characters of a reply are trained: spans over the fields of its message, the same for a screen and a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apollo_train.masks.reply_masks import Mask, ReplyMask
from apollo_train.policy import FilterPolicy
from apollo_train.samples.chat import chat_of_reply
from sessions import events as ev


@dataclass(frozen=True, slots=True)
class CharSpan:
    """Characters ``start`` to ``end`` of one field of a message: ``reasoning``, ``text``, or the arguments of call
    ``call``. No ``reason``: trained."""

    field: Literal["reasoning", "text", "call"]
    call: int | None
    start: int
    end: int
    reason: str = ""

    @property
    def trained(self) -> bool:
        """Whether these characters are trained."""
        return not self.reason


def masks_parts(policy: FilterPolicy) -> bool:
    """Whether the policy masks parts of replies, which only files of tokens can say."""
    return policy.flags.scope in ("call", "reasoning")


def make_char_spans(mask: ReplyMask, *, cells: bool) -> tuple[CharSpan, ...]:
    """The spans of one reply; they tile its fields. ``cells``: each cell by itself, else the reply whole or not."""
    if not isinstance(mask.event.body, ev.ModelReplied):
        return ()
    chat = chat_of_reply(mask.event.body.parts)
    known = {(cell.part, cell.call): cell for cell in mask.cells}
    spans = []
    if chat.get("reasoning_content"):
        reason = _reason(mask, known.get(("reasoning", None)), cells)
        spans.append(CharSpan("reasoning", None, 0, len(chat["reasoning_content"]), reason))
    if chat["content"]:
        spans.append(CharSpan("text", None, 0, len(chat["content"]), _reason(mask, known.get(("text", None)), cells)))
    for number, call in enumerate(chat.get("tool_calls", ()), 1):
        reason = _reason(mask, known.get(("call", number)), cells)
        spans.append(CharSpan("call", number, 0, len(call["function"]["arguments"]), reason))
    return tuple(spans)


def _reason(mask: ReplyMask, cell: Mask | None, cells: bool) -> str:
    if cell is not None and cells:
        return cell.reason
    if mask.trained:
        return ""
    return (cell.reason if cell is not None else "") or mask.reason
