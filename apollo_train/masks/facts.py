"""What the rules of masks can ask about a reply and its parts; what costs anything is found when a rule asks."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from apollo_train.masks.flag_verdicts import FlagVerdicts, PartKind, Verdict
from apollo_train.masks.lost_parts import NOTHING
from sessions import events as ev
from sessions.events.messages import CallPart, Finish, ReasoningPart


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the rules know of the session: the verdicts of its flags, and (step, call) of each inner poll."""

    flags: FlagVerdicts
    polls: frozenset[tuple[int, int]] = frozenset()
    lost: Mapping[int, frozenset[ev.LostPart]] = field(default_factory=dict)
    """What the prompt of a request lacks of what the model read, by the seq of the request."""
    losses: Mapping[int, frozenset[ev.LostPart]] = field(default_factory=dict)
    """What an event itself lacks, by its seq."""
    after_here: frozenset[int] = frozenset()
    """Steps right after advice that holds here only, or after an answer, where the policy drops advice."""
    model: ev.ModelSpec | None = None
    """The model that the session was made with."""
    superseded: Container[int] = frozenset()
    """Replies (seq) that are their step's no more."""
    any_superseded: bool = False
    found_summaries: Container[int] = frozenset()
    """Replies (seq) that were taken for a step's until the harness went on from them as from a summary."""


class ReplyFacts(msgspec.Struct):
    """One reply, and what the rules can ask about it. ``malformed``: numbers of calls that the host refused so."""

    event: ev.Event
    body: ev.ModelReplied | ev.ReplyInterrupted
    session: SessionFacts
    hidden: bool = False
    """Whether its prompt has reasoning that nobody but the model can read."""
    hides: bool = False
    """Whether it has reasoning itself that its server encrypted: that goes back as it came."""
    malformed: Collection[int | None] = ()
    summary: ev.SummaryWritten | None = None
    """The summary that it wrote, if that was put to use."""
    finish: Finish | None = None
    """How the server ended it; None where it was interrupted."""
    step: int = 0
    """Its step; 0 for a summary, whose requests are not numbered."""
    taken_for: int = 0
    """The step that it was taken for until it showed that it is a summary; 0: none."""
    for_summary: bool = False
    """Whether it answers a request for a summary."""
    kinds: list[PartKind] = []
    """What its parts are, in order; texts of spaces only are none. What was cut off is not told apart."""
    calls: list[CallPart] = []
    parts: Sequence[PartFacts] = ()
    """Its parts, once somebody asks each of them: few replies need it."""

    def __post_init__(self) -> None:
        self.finish = self.body.finish if isinstance(self.body, ev.ModelReplied) else None
        found = self.event.seq in self.session.found_summaries
        own = self.event.step or 0
        self.step, self.taken_for = (0, own) if found else (own, 0)
        self.summary = self.summary if self.finish is not None else None
        self.for_summary = not self.step and self.finish is not None
        for part in self.body.parts if self.finish is not None else ():
            if isinstance(part, CallPart):
                self.kinds.append("call")
                self.calls.append(part)
            elif isinstance(part, ReasoningPart):
                self.kinds.append("reasoning")
                self.hides = self.hides or (part.raw is not None and not part.text.strip())
            elif part.text.strip():
                self.kinds.append("text")

    @property
    def judged_as(self) -> tuple[int, int]:
        """What flags call it: the step that it is or was taken for, and the number of the summary; 0: neither."""
        return self.step or self.taken_for, self.summary.number if self.summary is not None else 0

    @property
    def is_silent(self) -> bool:
        """Whether no flag is about it or a part of it."""
        return self.session.flags.is_silent(*self.judged_as)

    def read_parts(self) -> None:
        """Make its parts."""
        (step, summary), flags = self.judged_as, self.session.flags
        call = 0
        found: list[PartFacts] = []
        for kind in self.kinds:
            call += kind == "call"
            which, body = (call, self.calls[call - 1]) if kind == "call" else (None, None)
            found.append(PartFacts(self, kind, flags.verdict(step, kind, which, summary), which, body))
        self.parts = found

    @property
    def prompt_lost(self) -> frozenset[ev.LostPart]:
        """What of its prompt could not be kept."""
        lost = self.session.lost.get(self.body.request, NOTHING)
        return lost | {"reasoning"} if self.hidden else lost

    @property
    def lost(self) -> frozenset[ev.LostPart]:
        """What of its prompt, or of itself, could not be kept."""
        return self.prompt_lost | self.session.losses.get(self.event.seq, NOTHING)

    @property
    def superseded(self) -> bool:
        """Whether it is its step's no more."""
        return self.event.seq in self.session.superseded

    @property
    def is_seen(self) -> bool:
        """Whether a human has read or judged it."""
        step, summary = self.judged_as
        return self.session.flags.is_seen(step, self.event.seq, summary)

    @property
    def is_approved(self) -> bool:
        """Whether a human's word on the reply, or on each of its calls, is that it is good."""
        return self.session.flags.is_approved(self.step, len(self.calls))


class PartFacts(msgspec.Struct):
    """One part of a reply. ``verdict`` is what all flags on it come to, ``number`` that of a call, from 1."""

    reply: ReplyFacts
    kind: PartKind
    verdict: Verdict
    number: int | None = None
    call: CallPart | None = None

    @property
    def is_reached(self) -> bool:
        """Whether a human's bad flag elsewhere reaches it."""
        flags = self.reply.session.flags
        return flags.has_reach and not self.reply.for_summary and flags.is_reached(self.reply.step, self.number)

    @property
    def is_reached_by_rule(self) -> bool:
        """Whether one does whose recovery nobody marked, by a rule."""
        flags = self.reply.session.flags
        return flags.has_reach and not self.reply.for_summary and flags.is_reached_by_rule(self.reply.step, self.number)
