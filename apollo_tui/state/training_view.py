"""Entries of a transcript as a training policy sees them: roles by what is trained, and words beside them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from widgets.models import Entry, Line, Role

if TYPE_CHECKING:
    from apollo_train.export.training_view import ReplyView, TrainingView
    from apollo_train.samples.char_spans import CharSpan


def mark_training(entry: Entry, view: TrainingView) -> Entry:
    """The entry with what is trained, masked, or trained though nobody saw it; context stays as it is."""
    if entry.kind == "reply":
        reply = view.replies.get(entry.seq)
        return _reply(entry, reply, view) if reply is not None else entry
    if entry.kind == "action" and entry.step is not None and entry.call is not None:
        reply = view.steps.get(entry.step)
        span = reply.of("call", entry.call) if reply is not None else None
        if reply is not None and span is not None:
            role = _role(span, reply, view)
            head: Line = tuple((text, role) for text, _ in entry.head)
            return msgspec.structs.replace(entry, head=head, marks=(_words(role, span, view),))
    return entry


def _reply(entry: Entry, reply: ReplyView, view: TrainingView) -> Entry:
    reasoning, text = reply.of("reasoning"), reply.of("text")
    marks = tuple(_words(_role(span, reply, view), span, view) for span in (reasoning, text) if span is not None)

    def line(old: Line) -> Line:
        return tuple((said, _role(span, reply, view) if (span := _span(role)) else role) for said, role in old)

    def _span(role: Role) -> CharSpan | None:
        return reasoning if role == "reason" else text

    return msgspec.structs.replace(
        entry, body=tuple(map(line, entry.body)), detail=tuple(map(line, entry.detail)), marks=marks
    )


def _role(span: CharSpan, reply: ReplyView, view: TrainingView) -> Role:
    if not span.trained or view.left_out:
        return "masked"
    return "trained" if reply.seen else "unseen"


def _words(role: Role, span: CharSpan, view: TrainingView) -> str:
    why = (span.reason or view.left_out).replace("_", " ")
    alone = " (files of tokens train it)" if span.in_tokens and not view.left_out else ""
    return {"masked": f"masked: {why}{alone}", "unseen": "trained, unseen", "trained": "trained"}[role]


def facts_of_view(view: TrainingView) -> tuple[tuple[str, str], ...]:
    """The counts as (name, value) pairs for the facts at the side."""
    if view.left_out:
        return (("policy", view.policy), ("left out", view.left_out.replace("_", " ")))
    replies = view.trained + sum(view.masked.values())
    pairs = [("policy", view.policy), ("trained", f"{view.trained:,} of {replies:,} replies")]
    pairs += [("tokens", f"{view.trained_tokens:,} trained"), ("unseen", f"{view.unseen_share:.0%} of them")]
    pairs += [("masked", f"{number:,} {reason.replace('_', ' ')}") for reason, number in view.masked.most_common(6)]
    if view.calls_lost:
        pairs.append(("lost", f"{view.calls_lost:,} good calls"))
    return tuple(pairs)


def summary_of_view(view: TrainingView) -> str:
    """The counts in one line."""
    return " · ".join(view.lines())
