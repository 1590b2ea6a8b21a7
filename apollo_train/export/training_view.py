"""What an export would train of one session, reply by reply, for a screen that shows it beside the transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from apollo_train.masks.annotations import KINDS, read_annotations
from apollo_train.masks.reply_masks import mask_replies
from apollo_train.policy import FilterPolicy
from apollo_train.samples import token_counts as tokens
from apollo_train.samples.char_spans import CharSpan, make_char_spans, masks_parts
from apollo_train.samples.session_selection import find_exclusion
from sessions.log.reader import LogReader

CHANGES: Final = KINDS | {"model.reply", "action.refused"}
"""Kinds of event that change what would be trained."""


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
    cells = masks_parts(policy) if cells is None else cells
    at = reader.position() if position is None else position
    judged = read_annotations(reader, session, at)
    if judged is None:
        return None
    view = TrainingView(session, policy.name, at, find_exclusion(judged, policy.sessions))
    for mask in mask_replies(reader, judged, policy):
        reason = mask.reason or view.left_out
        reply = ReplyView(mask.step, mask.seq, make_char_spans(mask, cells=cells), mask.seen, reason, mask.summary)
        view.replies[mask.seq] = reply
        if not mask.for_summary and mask.event.kind == "model.reply":
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
