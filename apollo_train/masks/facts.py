"""What the rules of masks can ask about a reply and its parts; what costs anything is found when a rule asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from apollo_train.masks.flag_verdicts import FlagVerdicts, PartKind, Verdict
from sessions import events as ev
from sessions.events.messages import CallPart, ReasoningPart, TextPart


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the rules know of the session: the verdicts of its flags, and (step, call) of each inner poll."""

    flags: FlagVerdicts
    polls: frozenset[tuple[int, int]] = frozenset()


@dataclass
class ReplyFacts:
    """One reply, and what the rules can ask about it. ``malformed`` are the ids of calls that the host refused so."""

    event: ev.Event
    body: ev.ModelReplied | ev.ReplyInterrupted
    session: SessionFacts
    malformed: set[str] = field(default_factory=set)
    summary: ev.SummaryWritten | None = None
    """The summary that it wrote, if that was put to use."""

    @property
    def step(self) -> int:
        """Its step; 0 for a summary, whose requests are not numbered."""
        return self.event.step or 0

    @property
    def for_summary(self) -> bool:
        """Whether it answers a request for a summary."""
        return self.event.step is None and isinstance(self.body, ev.ModelReplied)

    def answers(self, request: int | None) -> bool:
        """Whether it is the whole reply to this request."""
        return isinstance(self.body, ev.ModelReplied) and self.body.request == request

    @property
    def number(self) -> int:
        """What flags call it: its step, or the number of the summary (0: that was not put to use)."""
        if self.for_summary:
            return self.summary.number if self.summary else 0
        return self.step

    @cached_property
    def parts(self) -> list[PartFacts]:
        """Its parts, in order; texts of spaces only are none, and what was cut off is not told apart."""
        found: list[PartFacts] = []
        calls = 0
        for part in self.body.parts if isinstance(self.body, ev.ModelReplied) else ():
            match part:
                case ReasoningPart():
                    found.append(PartFacts(self, "reasoning"))
                case TextPart(text=text) if text.strip():
                    found.append(PartFacts(self, "text"))
                case CallPart():
                    calls += 1
                    found.append(PartFacts(self, "call", calls, part))
                case _:
                    continue
        return found

    @cached_property
    def calls(self) -> int:
        """How many calls it has."""
        return sum(part.kind == "call" for part in self.parts)

    @cached_property
    def is_seen(self) -> bool:
        """Whether a human has read or judged it."""
        return self.session.flags.is_seen(self.number, self.event.seq, summary=self.for_summary)

    @cached_property
    def is_approved(self) -> bool:
        """Whether a human's word on the reply, or on each of its calls, is that it is good."""
        return self.session.flags.is_approved(self.step, self.calls)


@dataclass(slots=True)
class PartFacts:
    """One part of a reply. ``number`` is that of a call, from 1."""

    reply: ReplyFacts
    kind: PartKind
    number: int | None = None
    call: CallPart | None = None
    verdict: Verdict = field(init=False)
    """What all flags on it come to."""

    def __post_init__(self) -> None:
        reply = self.reply
        self.verdict = reply.session.flags.verdict(reply.number, self.kind, self.number, summary=reply.for_summary)

    @property
    def is_reached(self) -> bool:
        """Whether a human's bad flag elsewhere reaches it."""
        flags = self.reply.session.flags
        return flags.has_reach and not self.reply.for_summary and flags.is_reached(self.reply.step, self.number)
