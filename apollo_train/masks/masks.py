"""Which replies are trained, and why the others are not: one verdict and one reason for each reply and each call.

A reply is made of cells: its reasoning, its text and its calls. Flags speak about cells; rules about finish, seeing
and policy speak about the whole reply. Message formats train a reply whole or not at all; token formats can go by cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec import structs

from apollo_train.masks.judgement import Judgement, pages
from apollo_train.masks.polls import inner_polls
from apollo_train.masks.verdicts import Cell, Verdicts
from apollo_train.policy import FilterPolicy
from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart
from sessions.log.reader import LogReader

REASONS: Final = {
    "interrupted": "the reply was cut off by a person or by advice delivered now",
    "finish_length": "the reply ran into its token limit",
    "finish_refusal": "the model or its server refused",
    "finish_interrupted": "the reply was interrupted",
    "finish_other": "the reply did not end normally",
    "salvaged": "the reply was put together from a broken stream",
    "empty": "the reply has nothing in it",
    "summary": "a summary, and the policy trains none",
    "summary_unused": "a summary that was not put to use",
    "disputed": "annotators disagree, so that the whole reply is left out",
    "malformed": "a call to an unknown tool, or with arguments that are no valid JSON object",
    "flagged": "flagged bad",
    "unsure": "flagged unsure, and the policy masks those",
    "propagated": "after a bad flag, before the recovery",
    "after_first_error": "after the first bad flag",
    "text_only": "a reply without a call, and the policy trains none",
    "inner_poll": "a repeated poll with an unchanged answer",
    "unseen": "no human saw it",
    "summary_refers": "advice is dropped, and the summary in the prompt still refers to it",
    "target_refers": "advice is dropped, and the reply still refers to it",
    "advice_mixed": "advice is dropped, but cannot be told apart from what stays in the same message",
    "prompt_differs": "the rebuilt prompt has another hash than the log says",
    "prompt_missing": "the prompt cannot be rebuilt",
    "not_in_context": "the conversation went on without this reply",
    "broken_conversation": "a call in the conversation was never answered, which loaders refuse",
    "no_think_form": "a reply without reasoning, where the template that was named has another prompt for such replies",
    "turns_do_not_alternate": "two turns in a row of the same side, which this loader drops",
}
"""Every reason that a mask can have, in order of precedence, and what it means to a person."""

_KINDS: Final = frozenset({"model.reply", "model.interrupted", "action.refused", "summary.written"})
_ORDER: Final = {reason: number for number, reason in enumerate(REASONS)}


class Mask(msgspec.Struct, frozen=True):
    """The verdict on a cell (``call`` from 1) or, as ``part="reply"``, on a whole reply; no ``reason``: trained."""

    step: int
    call: int | None
    trained: bool
    reason: str = ""
    part: Literal["reply", "reasoning", "text", "call"] = "reply"


class ReplyMask(msgspec.Struct, frozen=True):
    """A reply with its verdicts. ``summary`` is the number of the summary that it wrote, if it did."""

    step: int
    seq: int
    request: int
    whole: Mask
    cells: tuple[Mask, ...]
    seen: bool
    event: ev.Event
    summary: int | None = None

    @property
    def trained(self) -> bool:
        """Whether a message format trains this reply."""
        return self.whole.trained

    @property
    def reason(self) -> str:
        """Why not, or ""."""
        return self.whole.reason

    @property
    def calls_lost(self) -> int:
        """Good calls that a message format cannot train, because another cell of the reply is masked."""
        return 0 if self.trained else sum(cell.trained and cell.part == "call" for cell in self.cells)

    @property
    def calls(self) -> int:
        """How many calls the reply has."""
        return sum(cell.part == "call" for cell in self.cells)

    @property
    def name(self) -> str:
        """``41``, or ``S1`` for a summary."""
        return f"S{self.summary}" if self.summary else str(self.step)


@dataclass(slots=True)
class _Open:
    """A reply whose calls have not all been heard of yet."""

    event: ev.Event
    purpose: str
    malformed: set[str]
    written: ev.SummaryWritten | None = None
    """The summary that it wrote, if that was put to use."""


def masks_of(reader: LogReader, judged: Judgement, policy: FilterPolicy) -> Iterator[ReplyMask]:
    """The verdict on every reply of the session, in order, in constant memory."""
    verdicts = Verdicts(judged, policy)
    polls = inner_polls(reader, judged, policy.rules.poll_tools) if policy.rules.inner_polls else frozenset()
    current: _Open | None = None
    for event in pages(reader, judged.session, judged.position, _KINDS):
        match event.body:
            case ev.ModelReplied():
                if current is not None:
                    yield _close(current, verdicts, polls)
                # Requests for summaries are not numbered, and neither are the replies to them.
                current = _Open(event, "summary" if event.step is None else "step", set())
            case ev.ActionRefused() as refused:
                if current is not None and refused.malformed:
                    current.malformed.add(refused.call_id)
            case ev.SummaryWritten() as written:
                if current is not None and written.request == _reply(current.event).request:
                    current.written = written
            case ev.ReplyInterrupted() as cut:
                if current is not None:
                    yield _close(current, verdicts, polls)
                    current = None
                yield _interrupted(event, cut, verdicts)
            case _:
                continue
    if current is not None:
        yield _close(current, verdicts, polls)


def _reply(event: ev.Event) -> ev.ModelReplied:
    assert isinstance(event.body, ev.ModelReplied)
    return event.body


def _interrupted(event: ev.Event, cut: ev.ReplyInterrupted, verdicts: Verdicts) -> ReplyMask:
    step = event.step or 0
    seen = verdicts.seen(step, event.seq)
    return ReplyMask(step, event.seq, cut.request, Mask(step, None, False, "interrupted"), (), seen, event)


def _close(reply: _Open, verdicts: Verdicts, polls: frozenset[tuple[int, int]]) -> ReplyMask:
    event, body, policy = reply.event, _reply(reply.event), verdicts.policy
    step = event.step or 0
    summary = reply.purpose == "summary"
    about = step if not summary else reply.written.number if reply.written else 0
    seen = verdicts.seen(about, event.seq, summary=summary)
    general = _general(reply, body, policy)
    cells: list[Mask] = []
    number = 0
    for part in body.parts:
        kind: Cell
        match part:
            case ReasoningPart():
                kind, call = "reasoning", None
            case TextPart(text=text) if text.strip():
                kind, call = "text", None
            case CallPart():
                number += 1
                kind, call = "call", number
            case _:
                continue
        reason = verdicts.cell(about, kind, call, summary=summary)
        if isinstance(part, CallPart) and reason != "disputed" and policy.rules.malformed:
            reason = "malformed" if part.id in reply.malformed or not is_object(part.arguments) else reason
        if verdicts.reaching and not reason and not summary:
            reason = verdicts.reach(step, kind, call)
        if not reason and call and (step, call) in polls:
            reason = "inner_poll"
        cells.append(Mask(step, call, not reason, reason, kind))
    reasons = [cell.reason for cell in cells if cell.reason]  # of most replies there are none
    if "propagated" in reasons and verdicts.approved(step, number):
        # Who calls all that the reply does good means its words too.
        cells = [structs.replace(c, trained=True, reason="") if c.reason == "propagated" else c for c in cells]
        reasons = [cell.reason for cell in cells if cell.reason]
    if reasons:
        cells = _scoped(cells, policy)
    said = min(reasons, key=_ORDER.__getitem__) if reasons else ""
    late = _late(policy, verdicts, reply, number, seen)
    reason = general or said or late
    # What speaks against the whole reply masks its good cells too; a bad cell leaves them as they are. A dispute speaks
    # against the whole: nobody knows what this sample teaches.
    against = general or (said if said == "disputed" else "") or late
    if against:
        cells = [cell if cell.reason else structs.replace(cell, trained=False, reason=against) for cell in cells]
    whole = Mask(step, None, not reason, reason)
    number_of = reply.written.number if reply.written else None
    return ReplyMask(step, event.seq, body.request, whole, tuple(cells), seen, event, number_of)


def _general(reply: _Open, body: ev.ModelReplied, policy: FilterPolicy) -> str:
    """Why the whole reply can be no target, whatever anybody said."""
    if body.finish not in ("stop", "calls"):
        return f"finish_{body.finish}"
    if body.salvaged:
        return "salvaged"
    if not any(isinstance(part, CallPart) or (isinstance(part, TextPart) and part.text.strip()) for part in body.parts):
        return "empty"
    if reply.purpose == "summary":
        if reply.written is None:
            return "summary_unused"
        if not policy.targets.summaries:
            return "summary"
    return ""


def _late(policy: FilterPolicy, verdicts: Verdicts, reply: _Open, calls: int, seen: bool) -> str:
    """What the policy says of a reply that nobody and no rule objects to."""
    written = reply.written
    if written is None and not calls and not policy.targets.text_only:
        return "text_only"
    mode = policy.targets.unseen
    # A sign-off goes as far as a step: a summary is covered where all that it sums up is.
    last = written.to_step if written is not None else reply.event.step or 0
    if seen or mode == "train" or (mode == "signed_off" and verdicts.signed(last)):
        return ""
    return "unseen"


def _scoped(cells: list[Mask], policy: FilterPolicy) -> list[Mask]:
    """Let a masked call take its reasoning and text with it, where the policy says so."""
    lost = next((cell.reason for cell in cells if cell.part == "call" and not cell.trained), "")
    if not lost or policy.flags.scope != "reasoning":
        return cells
    return [
        structs.replace(cell, trained=False, reason=cell.reason or lost) if cell.part != "call" else cell
        for cell in cells
    ]


def is_object(arguments: str) -> bool:
    """Whether a call's arguments are a JSON object (none at all count as an empty one)."""
    if not arguments.strip():
        return True
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except msgspec.DecodeError:
        return False
