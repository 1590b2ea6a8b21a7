"""Events to the neutral messages of a prompt: one code for the live loop and for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sessions import events as ev
from sessions.events.messages import CallPart, Message, Part, Role, TextPart
from sessions.fold.call_ids import CallIds
from sessions.fold.released_reply import Replies

CONTEXT_KINDS: Final = frozenset(
    {
        "session.created",
        "model.reply",
        "action.result",
        "action.refused",
        "advice.delivered",
        "nudge.sent",
        "harness.turn",
        "summary.written",
        "reply.superseded",
    }
)
"""The kinds that a prompt is made of; all other events may be left out of what ``messages_of`` is given."""

Text = Callable[[ev.LongText], str]


def messages_of(events: Sequence[ev.Event], text: Text, *, origin: str = "") -> list[Message]:
    """The neutral messages that ``events`` (in seq order, from the beginning of the session or any later turn) make.

    The newest summary among them replaces what it covers: the task and the summary are then one user turn, and
    what was said before the first step it left is gone. A reply that was superseded is none of them, and neither is
    what it caused where no other one took its place. ``origin`` (``provider:model``) is that of the replies where the
    events do not begin with the session's creation. ``text`` gives the whole of a long text.

    Results belong to their calls by step and number, and every call has an id of its own, whatever ids the log has.
    """
    created, summary, kept = _parts(events)
    if created is not None and isinstance(created.body, ev.SessionCreated):
        origin = created.body.model.id
    malformed = _find_malformed(kept)
    ids = CallIds()
    calls: dict[tuple[int | None, int | None], str] = {}
    messages: list[Message] = []
    head = [event for event in (created, summary) if event is not None]
    if head:
        texts = tuple(TextPart(_head_text(event, text)) for event in head)
        messages.append(Message("user", texts, tuple(event.seq for event in head)))
    for event in kept:
        match event.body:
            case ev.ModelReplied() as reply:
                bad = malformed.get(event.step, ())
                parts = ids.make_unique(reply.parts)
                calls |= {(event.step, number): id for number, id in enumerate(_ids_of(parts), 1)}
                messages.append(Message("assistant", parts, (event.seq,), origin=origin or None, malformed=bad))
            case ev.ActionResult() as result:
                shown = text(result.output if result.shown is None else result.shown)
                id = calls.get((event.step, event.call), result.call_id)
                messages.append(Message("tool", (TextPart(shown),), (event.seq,), call_id=id))
            case ev.ActionRefused() as refused:
                id = calls.get((event.step, event.call), refused.call_id)
                messages.append(Message("tool", (TextPart(refused.shown),), (event.seq,), call_id=id))
            case ev.AdviceDelivered() | ev.NudgeSent() as turn:
                messages.append(Message("user", (TextPart(turn.text),), (event.seq,)))
            case ev.HarnessTurn() as told:
                role: Role = "system" if told.role == "developer" else told.role
                messages.append(Message(role, (TextPart(told.text),), (event.seq,)))
            case _:
                continue
    return messages


def summary_text(body: ev.SummaryWritten, text: Text) -> str:
    """What the model reads in place of the steps that were summarised."""
    # The parts of a turn are joined as they are, so the distance to the task is part of the text.
    told = f"\n\nYour own summary of steps {body.from_step} to {body.to_step}, which are no longer in view:\n\n"
    advice = f"\n\nAll advice that you were given in them, word for word:\n\n{body.advice}" if body.advice else ""
    return told + text(body.text) + advice


def in_context(event: ev.Event) -> bool:
    """Whether the event is (part of) a message as long as no summary covers it and its reply is the step's."""
    match event.body:
        case ev.ModelReplied():
            return event.step is not None  # a reply without a step wrote a summary
        case ev.AdviceDelivered() as advice:
            return advice.channel == "user" and not advice.without_effect
        case ev.ReplySuperseded():
            return False
        case _:
            return event.kind in CONTEXT_KINDS


def context_of(events: Sequence[ev.Event]) -> list[ev.Event]:
    """Those of ``events`` that are (part of) a message as long as no summary covers them."""
    replies = Replies(events)
    dropped = replies.dropped_steps

    def stays(event: ev.Event) -> bool:
        if isinstance(event.body, ev.ModelReplied):
            return not replies.is_superseded(event.seq)
        # A person's words stay, also where they followed a reply that is left out.
        return event.step not in dropped or isinstance(event.body, ev.AdviceDelivered | ev.SummaryWritten)

    return [event for event in events if in_context(event) and stays(event)]


def _parts(events: Sequence[ev.Event]) -> tuple[ev.Event | None, ev.Event | None, list[ev.Event]]:
    """The creation, the newest summary, and what of the rest is still in view."""
    chosen = context_of(events)
    created = next((event for event in chosen if event.kind == "session.created"), None)
    summary = next((event for event in reversed(chosen) if event.kind == "summary.written"), None)
    rest = [event for event in chosen if event.kind not in ("session.created", "summary.written")]
    if summary is None or not isinstance(summary.body, ev.SummaryWritten):
        return created, None, rest
    covered = summary.body.to_step
    # Also one that was left out: what a person said after it is no part of the summary.
    first = next((e.seq for e in events if e.kind == "model.reply" and (e.step or 0) > covered), summary.seq)
    cut = min(first, summary.seq)
    return created, summary, [event for event in rest if event.seq >= cut]


def _find_malformed(events: Sequence[ev.Event]) -> dict[int | None, tuple[int, ...]]:
    found: dict[int | None, tuple[int, ...]] = {}
    for event in events:
        if isinstance(event.body, ev.ActionRefused) and event.body.malformed and event.call:
            found[event.step] = (*found.get(event.step, ()), event.call)
    return found


def _ids_of(parts: Sequence[Part]) -> list[str]:
    return [part.id for part in parts if isinstance(part, CallPart)]


def _head_text(event: ev.Event, text: Text) -> str:
    if isinstance(event.body, ev.SessionCreated):
        return event.body.task
    assert isinstance(event.body, ev.SummaryWritten)
    return summary_text(event.body, text)
