"""What one sample trains, for the eye: spans of text that are trained, masked, or context only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from apollo_train.masks.annotations import Annotations, read_annotations
from apollo_train.masks.reply_masks import ReplyMask, mask_replies
from apollo_train.policy import FilterPolicy
from apollo_train.samples import token_counts as tokens
from apollo_train.samples.chat import Chat, Turn
from apollo_train.samples.prompts import Prompts
from apollo_train.samples.rows import Weigher
from apollo_train.samples.select import why_not
from apollo_train.samples.spans import CharSpan, by_cell, char_spans
from apollo_train.samples.steps import Excluded, Source, StepSample, reply_of, steps_of
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
    mask = chosen(reader, judged, policy, step) if judged is not None else None
    if judged is None or mask is None:
        return None
    made = sample_of(Source(reader, judged, policy, Weigher(policy)), mask)
    prompt = [turn.chat for turn in _turns(reader, judged, mask)] if isinstance(made, Excluded) else made.prompt
    # So does what only writing finds: a prompt that differs, a reply that refers to dropped advice.
    lost = why_not(judged, policy.sessions) or (made.reason if isinstance(made, Excluded) else "")
    shown = prompt[-messages:] if messages else []
    spans = [span for chat in shown for span in _context(chat)]
    spans += _target(mask, policy, lost)
    reason = mask.reason or lost
    return Preview(session, mask.name, not reason, reason, tuple(spans), len(prompt) - len(shown))


def sample_of(source: Source, mask: ReplyMask) -> StepSample | Excluded:
    """The sample of this reply, masked or not, of twins the one without advice; or why it has none."""
    found = steps_of(source, lambda other: other.seq == mask.seq)
    return [made for made in found if made.mask is not None and made.mask.seq == mask.seq][-1]


def chosen(reader: LogReader, judged: Annotations, policy: FilterPolicy, step: int | None) -> ReplyMask | None:
    """The reply of ``step`` (default: the newest flagged, else the newest)."""
    return _chosen(mask_replies(reader, judged, policy), step)


def _chosen(masks: Iterable[ReplyMask], step: int | None) -> ReplyMask | None:
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


def _context(chat: Chat) -> list[Span]:
    spans = []
    if chat.get("reasoning_content"):
        spans.append(Span(_cut(chat["reasoning_content"]), "context", "reasoning"))
    if chat["content"] or not chat.get("tool_calls"):
        spans.append(Span(_cut(chat["content"]), "context", chat["role"]))
    for number, call in enumerate(chat.get("tool_calls", ()), 1):
        function = call["function"]
        spans.append(Span(_cut(f"{function['name']} {function['arguments']}"), "context", f"call {number}"))
    return spans


def _target(mask: ReplyMask, policy: FilterPolicy, lost: str) -> list[Span]:
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
        trained = cell.trained if cell is not None and by_cell(policy) else mask.trained
        reason = ((cell.reason if cell else "") or mask.reason) if not trained else lost
        trained = trained and not lost
        spans.append(Span(text, "trained" if trained else "masked", label, reason))
    return spans


def _cut(text: str) -> str:
    if len(text) <= SHOWN_CHARS:
        return text
    half = SHOWN_CHARS // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters …]\n{text[-half:]}"


@dataclass(frozen=True, slots=True)
class ReplyView:
    """One reply: its spans, and whether a human saw it. ``reason``: why it is not trained as a whole, "" if it is."""

    step: int
    seq: int
    spans: tuple[CharSpan, ...]
    seen: bool
    reason: str = ""
    summary: int | None = None

    def of(self, part: str, call: int | None = None) -> CharSpan | None:
        """The span of ``reasoning``, ``text`` or a call."""
        return next((span for span in self.spans if span.field == part and span.call == call), None)


@dataclass(slots=True)
class TrainingView:
    """All replies of a session by seq, with counts of replies and of tokens (the server's, else estimates)."""

    session: str
    policy: str
    position: int
    left_out: str = ""
    """Why the policy leaves the whole session out, "" if it does not."""
    replies: dict[int, ReplyView] = field(default_factory=dict)
    steps: dict[int, ReplyView] = field(default_factory=dict)
    trained: int = 0
    masked: Counter[str] = field(default_factory=Counter)
    trained_tokens: int = 0
    unseen_tokens: int = 0
    calls_lost: int = 0
    """Good calls that share a reply with something masked."""

    @property
    def unseen_share(self) -> float:
        """The share of trained tokens that no human saw."""
        return self.unseen_tokens / self.trained_tokens if self.trained_tokens else 0.0

    def lines(self) -> Iterator[str]:
        """The counts for a person."""
        if self.left_out:
            yield f"left out by the policy: {self.left_out.replace('_', ' ')}"
        total = self.trained + sum(self.masked.values())
        yield f"trained {self.trained:,} of {total:,} replies, {self.trained_tokens:,} tokens"
        for reason, number in self.masked.most_common():
            yield f"masked {number:,} {reason.replace('_', ' ')}"
        if self.calls_lost:
            yield f"{self.calls_lost:,} good calls lost with them"
        yield f"no human saw {self.unseen_share:.0%} of the trained tokens"


def training_view(
    reader: LogReader, session: str, policy: FilterPolicy, *, cells: bool | None = None, position: int | None = None
) -> TrainingView | None:
    """What an export of ``session`` at ``position`` (default: now) would train; None if there is no such session.

    ``cells``: the spans of each reply go by its parts, as in files of tokens (default: where the policy says so).
    """
    cells = by_cell(policy) if cells is None else cells
    at = reader.position() if position is None else position
    judged = read_annotations(reader, session, at)
    if judged is None:
        return None
    view = TrainingView(session, policy.name, at, why_not(judged, policy.sessions))
    for mask in mask_replies(reader, judged, policy):
        reason = mask.reason or view.left_out
        reply = ReplyView(mask.step, mask.seq, char_spans(mask, cells=cells), mask.seen, reason, mask.summary)
        view.replies[mask.seq] = reply
        if mask.summary is None and mask.event.kind == "model.reply":
            view.steps[mask.step] = reply
        if reason:
            view.masked[reason] += 1
            view.calls_lost += mask.calls_lost
            continue
        view.trained += 1
        number = tokens.count(mask).reply
        view.trained_tokens += number
        view.unseen_tokens += 0 if mask.seen else number
    return view
