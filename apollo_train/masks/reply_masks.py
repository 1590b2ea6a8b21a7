"""The mask of each reply of a session: whether it and each of its parts are trained, and the one reason why not.

What decides is the table of masks/rules.py; here its facts are read from the log.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, Literal

import msgspec

from apollo_train.masks.advice_reach import find_steps_after_here
from apollo_train.masks.annotations import Annotations
from apollo_train.masks.facts import PartFacts, ReplyFacts, SessionFacts
from apollo_train.masks.flag_verdicts import FlagVerdicts
from apollo_train.masks.inner_polls import find_inner_polls
from apollo_train.masks.lost_parts import NOTHING, find_lost_parts
from apollo_train.masks.rules import ActiveRules, find_labels, find_reasons
from apollo_train.masks.session_events import read_events
from apollo_train.masks.trainable_models import model_of
from apollo_train.policy import FilterPolicy
from sessions import events as ev
from sessions.log.reader import LogReader

_KINDS: Final = frozenset({"model.reply", "model.interrupted", "action.refused", "summary.written"})


class Mask(msgspec.Struct, frozen=True):
    """The mask of a part (``call`` from 1) or, as ``part="reply"``, of a whole reply; no ``reason``: trained."""

    step: int
    call: int | None
    trained: bool
    reason: str = ""
    part: Literal["reply", "reasoning", "text", "call"] = "reply"
    labels: tuple[str, ...] = ()
    """Of the flags for which it is masked; none where it is masked for another reason."""


class ReplyMask(msgspec.Struct, frozen=True):
    """A reply with its masks, of the whole and of each part. ``summary``: the number of the summary that it wrote."""

    step: int
    seq: int
    request: int
    whole: Mask
    cells: tuple[Mask, ...]
    seen: bool
    event: ev.Event
    summary: int | None = None
    prompt_lost: tuple[ev.LostPart, ...] = ()
    """What its prompt lacks of what the model read."""
    calls_lost: int = 0
    """Calls that no rule is about, and that are not trained because another part of the reply is masked."""
    model: str = ""
    """The model that wrote it."""
    for_summary: bool = False
    """Whether it answers a request for a summary, put to use or not."""
    taken_for: int = 0
    """The step that it was taken for until it showed that it is a summary; 0: none."""

    @property
    def trained(self) -> bool:
        """Whether a message format trains this reply."""
        return self.whole.trained

    @property
    def reason(self) -> str:
        """Why not, or ""."""
        return self.whole.reason

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the flags for which it is masked as a whole."""
        return self.whole.labels

    @property
    def calls(self) -> int:
        """How many calls the reply has."""
        return sum(cell.part == "call" for cell in self.cells)

    @property
    def name(self) -> str:
        """``41``, or ``S1`` for a summary."""
        return f"S{self.summary}" if self.summary else str(self.step)


def mask_replies(reader: LogReader, annotations: Annotations, policy: FilterPolicy) -> Iterator[ReplyMask]:
    """The mask of every reply of the session, in order, in constant memory; those to what a harness asked beside its
    work (titles, probes) are no part of it."""
    polls = find_inner_polls(reader, annotations, policy.rules.poll_tools) if policy.rules.inner_polls else frozenset()
    lost = find_lost_parts(reader, annotations)
    after_here = find_steps_after_here(annotations, policy, "dropped")
    losses, model = annotations.recording.losses, annotations.created.model
    gone = annotations.superseded
    session = SessionFacts(
        FlagVerdicts(annotations, policy), polls, lost, losses, after_here, model, gone, any_superseded=bool(gone),
        found_summaries=annotations.found_summaries,
    )  # fmt: skip
    rules = ActiveRules(session, policy)
    # A summary that showed late was written long after its reply.
    summaries = {body.request: body for body in annotations.summaries.values() if body.request is not None}
    hidden = False
    """Whether the context holds reasoning of an earlier reply that only its model can read."""
    reply: ReplyFacts | None = None
    """The newest reply, of whose calls nothing later was read yet."""
    for event in read_events(reader, annotations.session, annotations.position, _KINDS):
        match event.body:
            case ev.ModelReplied() | ev.ReplyInterrupted() as body:
                if _is_beside_work(reader, event, body.request, summaries):
                    continue
                if reply is not None:
                    yield _mask_reply(reply, rules)
                reply = ReplyFacts(event, body, session, hidden, summary=summaries.get(body.request))
                hidden = hidden or (reply.hides and event.seq not in gone)
            case ev.ActionRefused() as refused:
                if reply is not None and refused.malformed:
                    reply.malformed = (*reply.malformed, event.call)
            case ev.SummaryWritten():
                hidden = False
            case _:
                continue
    if reply is not None:
        yield _mask_reply(reply, rules)


def _is_beside_work(reader: LogReader, event: ev.Event, request: int, summaries: Container[int]) -> bool:
    """Whether a reply answers what a harness asked beside its work; only such and summaries are of no step."""
    if event.step is not None or request in summaries:
        return False
    asked = reader.event(event.session, request)
    return asked is not None and isinstance(asked.body, ev.ModelRequested) and asked.body.purpose == "side"


def _mask_reply(reply: ReplyFacts, rules: ActiveRules) -> ReplyMask:
    reason, reasons, lost = find_reasons(reply, rules)
    policy, step, event, model = rules.policy, reply.step, reply.event, reply.session.model
    cells: list[Mask] = []
    if reply.parts:
        labels = find_labels(reply.parts, reason, policy) if reason else ()
        whole = Mask(step, None, not reason, reason, labels=labels)
        cells = [
            # A part that a call takes with it has the labels of that call.
            Mask(step, part.number, not why, why, part.kind, _labels_of(part, why, policy) if why else ())
            for part, why in zip(reply.parts, reasons, strict=True)
        ]
        reply.parts = ()  # parts know their reply: the circle would have to be collected, of each reply
    else:  # so it is of nearly all
        trained, call = not reason, 0
        whole = Mask(step, None, trained, reason)
        for kind in reply.kinds:
            call += kind == "call"
            cells.append(Mask(step, call if kind == "call" else None, trained, reason, kind))
    prompt_lost = reply.prompt_lost if reply.hidden or reply.session.lost else NOTHING
    return ReplyMask(
        step,
        event.seq,
        reply.body.request,
        whole,
        tuple(cells),
        reply.is_seen,
        event,
        reply.summary.number if reply.summary else None,
        tuple(sorted(prompt_lost)),
        lost,
        model_of(reply.body, model),
        reply.for_summary,
        reply.taken_for,
    )


def _labels_of(part: PartFacts, reason: str, policy: FilterPolicy) -> tuple[str, ...]:
    own = find_labels([part], reason, policy)
    return own or (find_labels(part.reply.parts, reason, policy) if policy.version > 1 else ())
