"""Which characters of a reply are trained: spans over the fields of its message, the same for a screen and a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from apollo_train.masks.flag_verdicts import PartKind
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
    in_tokens: bool = False
    """Masked with another part of its reply, which files of tokens mask alone."""

    @property
    def trained(self) -> bool:
        """Whether these characters are trained."""
        return not self.reason


def masks_parts(policy: FilterPolicy) -> bool:
    """Whether the policy asks for calls to be masked alone, which only files of tokens can say."""
    return policy.flags.scope in ("call", "reasoning")


def masks_parts_of_tokens(policy: FilterPolicy) -> bool:
    """Whether files of tokens go by the parts of a reply: always, but for version 1's ``message``."""
    return policy.version > 1 or policy.flags.scope != "message"


def make_char_spans(mask: ReplyMask, *, cells: bool) -> tuple[CharSpan, ...]:
    """The spans of one reply; they tile its fields. ``cells``: each cell by itself, else the reply whole or not."""
    if not isinstance(mask.event.body, ev.ModelReplied):
        return ()
    chat = chat_of_reply(mask.event.body.parts)
    known = {(cell.part, cell.call): cell for cell in mask.cells}
    spans = [_span("reasoning", None, chat.get("reasoning_content", ""), mask, known, cells)]
    spans.append(_span("text", None, chat["content"], mask, known, cells))
    for number, call in enumerate(chat.get("tool_calls", ()), 1):
        spans.append(_span("call", number, call["function"]["arguments"], mask, known, cells))
    return tuple(span for span in spans if span.end or span.field == "call")


def _span(
    field: Literal["reasoning", "text", "call"],
    call: int | None,
    text: str,
    mask: ReplyMask,
    known: Mapping[tuple[PartKind, int | None], Mask],
    cells: bool,
) -> CharSpan:
    cell = known.get((field, call))
    reason = _reason(mask, cell, cells)
    return CharSpan(field, call, 0, len(text), reason, bool(reason) and cell is not None and cell.trained)


def _reason(mask: ReplyMask, cell: Mask | None, cells: bool) -> str:
    if cell is not None and cells:
        return cell.reason
    if mask.trained:
        return ""
    return (cell.reason if cell is not None else "") or mask.reason
