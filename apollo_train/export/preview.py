"""One sample as a person looks at it: spans of text that are trained, masked, or context only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from apollo_train.masks.annotations import Annotations, read_annotations
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.policy import FilterPolicy
from apollo_train.samples.char_spans import masks_parts
from apollo_train.samples.chat import Chat, Turn
from apollo_train.samples.prompts import Prompts
from apollo_train.samples.session_selection import find_exclusion
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples, reply_of
from apollo_train.samples.weights import Weigher
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.log.errors import LogReadFailed
from sessions.log.reader import LogReader

SHOWN_CHARS = 2000
"""Of a longer message in the context, head and tail, half of this each, are shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text. ``label`` says what it is (``user``, ``call 2``); ``reason`` why it is masked."""

    text: str
    role: Literal["trained", "masked", "context"]
    label: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """One sample: which, and its spans in order. ``hidden`` counts earlier messages that are not shown."""

    session: str
    name: str
    trained: bool
    reason: str
    spans: tuple[Span, ...]
    hidden: int = 0


def preview(
    reader: LogReader,
    session: str,
    policy: FilterPolicy,
    *,
    step: int | None = None,
    messages: int = 8,
    position: int | None = None,
) -> Preview | None:
    """The sample of ``step`` (default: the newest flagged, else the newest) after the last ``messages`` of its prompt.

    None where the session has no such reply.
    """
    judged = read_annotations(reader, session, reader.position() if position is None else position)
    mask = find_reply(reader, judged, policy, step) if judged is not None else None
    if judged is None or mask is None:
        return None
    sample = make_sample(Source(reader, judged, policy, Weigher(policy)), mask)
    prompt = [turn.chat for turn in _turns(reader, judged, mask)] if isinstance(sample, Exclusion) else sample.prompt
    # So does what only writing finds: a prompt that differs, a reply that refers to dropped advice.
    lost = find_exclusion(judged, policy.sessions) or (sample.reason if isinstance(sample, Exclusion) else "")
    shown = prompt[-messages:] if messages else []
    spans = [span for chat in shown for span in _context_spans(chat)]
    spans += _target_spans(mask, policy, lost)
    reason = mask.reason or lost
    return Preview(session, mask.name, not reason, reason, tuple(spans), len(prompt) - len(shown))


def make_sample(source: Source, mask: ReplyMask) -> StepSample | Exclusion:
    """The sample of this reply, masked or not, of twins the one without advice; or why it has none."""
    found = make_step_samples(source, lambda other: other.seq == mask.seq)
    return [sample for sample in found if sample.mask is not None and sample.mask.seq == mask.seq][-1]


def find_reply(reader: LogReader, judged: Annotations, policy: FilterPolicy, step: int | None) -> ReplyMask | None:
    """The reply of ``step`` (default: the newest flagged, else the newest)."""
    return _find_reply(mask_replies(reader, judged, policy), step)


def _find_reply(masks: Iterable[ReplyMask], step: int | None) -> ReplyMask | None:
    found: ReplyMask | None = None
    for mask in masks:
        if mask.event.kind != "model.reply":
            continue
        if step is not None:
            if mask.step == step and not mask.summary:
                found = mask
        elif found is None or mask.reason == "flagged" or found.reason != "flagged":
            found = mask
    return found


def _turns(reader: LogReader, judged: Annotations, mask: ReplyMask) -> list[Turn]:
    """What the model saw, as far as the log has it."""
    try:
        return Prompts(reader, judged).of(mask.request).turns
    except LogReadFailed:
        return []


def _context_spans(chat: Chat) -> list[Span]:
    spans = []
    if chat.get("reasoning_content"):
        spans.append(Span(_shorten(chat["reasoning_content"]), "context", "reasoning"))
    if chat["content"] or not chat.get("tool_calls"):
        spans.append(Span(_shorten(chat["content"]), "context", chat["role"]))
    for number, call in enumerate(chat.get("tool_calls", ()), 1):
        function = call["function"]
        spans.append(Span(_shorten(f"{function['name']} {function['arguments']}"), "context", f"call {number}"))
    return spans


def _target_spans(mask: ReplyMask, policy: FilterPolicy, lost: str) -> list[Span]:
    """The reply's cells; ``lost`` masks them all. By message, one masked cell does."""
    cells = {(cell.part, cell.call): cell for cell in mask.cells}
    spans: list[Span] = []
    number = 0
    for part in reply_of(mask).parts:
        match part:
            case ReasoningPart(text=text):
                cell, label = cells.get(("reasoning", None)), "reasoning"
            case TextPart(text=text):
                cell, label = cells.get(("text", None)), "assistant"
            case CallPart():
                number += 1
                cell, label, text = cells.get(("call", number)), f"call {number}", f"{part.name} {part.arguments}"
        trained = cell.trained if cell is not None and masks_parts(policy) else mask.trained
        reason = ((cell.reason if cell else "") or mask.reason) if not trained else lost
        trained = trained and not lost
        spans.append(Span(text, "trained" if trained else "masked", label, reason))
    return spans


def _shorten(text: str) -> str:
    if len(text) <= SHOWN_CHARS:
        return text
    half = SHOWN_CHARS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"
