"""The life of every piece of advice of one session: drafted, queued, delivered, the first action after it, outcome."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from sessions import events as ev

Stage = Literal["queued", "withdrawn", "delivered", "judged"]


class FirstAction(msgspec.Struct, frozen=True):
    """The first call that the agent made with the advice in its prompt."""

    step: int
    call: int
    name: str
    seq: int


class AdviceRecord(msgspec.Struct, frozen=True):
    """One piece of advice. ``number`` counts from 1 in its session; times are Unix ms."""

    number: int
    text: str
    kind: ev.AdviceKind | None
    by: str
    queued_at: int
    queued_seq: int
    about: ev.Target | None = None
    about_text: str = ""
    now: bool = False
    not_before: int = 0
    drafted_at: int | None = None
    answers: int | None = None
    seen: ev.Seen | None = None
    reach: ev.Reach | None = None
    """How far it reaches by a person's newest word; None: nobody said it."""
    standing: bool = False
    """Whether it is to hold as long as the work goes on: said again where a harness's new conversation lacks it."""
    said_again: tuple[int, ...] = ()
    """The seqs of the turns that said it again."""
    edits: int = 0
    edited_at: int | None = None
    withdrawn_at: int | None = None
    """When it was taken back; once it was delivered, what was to say it again."""
    to_draft: bool = False
    delivered_at: int | None = None
    delivered_seq: int | None = None
    at_step: int | None = None
    channel: Literal["user", "tool_result"] = "user"
    woke: bool = False
    without_effect: bool = False
    first_reply: int | None = None
    """The step of the first reply after delivery, whether it called a tool or not."""
    first_action: FirstAction | None = None
    outcome: Literal["followed", "ignored", "made_it_worse"] | None = None
    outcome_by: str = ""
    outcome_note: str = ""

    @property
    def stage(self) -> Stage:
        """How far its life has gone."""
        if self.delivered_at is None:
            return "queued" if self.withdrawn_at is None else "withdrawn"
        return "delivered" if self.outcome is None else "judged"


class AdviceBook:
    """The fold of a session's advice. Grows with the number of pieces only."""

    def __init__(self, events: Iterable[ev.Event] = ()) -> None:
        self._records: dict[int, AdviceRecord] = {}
        self._unanswered: set[int] = set()
        self._first_reach: dict[int, ev.Reach | None] = {}
        """What was said of it when it was queued: what stands where later words are taken back."""
        self._words: dict[int, dict[str, ev.AdviceOutcome]] = {}
        """By advice, what each person says became of it; the newest word last."""
        for event in events:
            self.fold(event)

    def fold(self, event: ev.Event) -> None:
        """Take the next event of the session; kinds that do not concern advice change nothing."""
        match event.body:
            case ev.AdviceQueued() as body:
                self._records[body.advice] = _record_of(event, body)
                self._first_reach[body.advice] = body.reach
            case ev.AdviceEdited() as body:
                record = self._records.get(body.advice)
                if record is not None:
                    self._records[body.advice] = msgspec.structs.replace(
                        record,
                        text=body.text,
                        now=record.now or body.now,
                        edits=record.edits + 1,
                        edited_at=event.at,
                    )
            case ev.AdviceReach() as body:
                self._change(body.advice, reach=body.reach or self._first_reach.get(body.advice))
            case ev.AdviceWithdrawn() as body:
                self._change(body.advice, withdrawn_at=event.at, to_draft=body.to_draft)
            case ev.AdviceStanding() as body:
                self._change(body.advice, standing=body.standing)
                if body.standing and (known := self._records.get(body.advice)) and known.delivered_at is not None:
                    self._change(body.advice, withdrawn_at=None)  # it is to be said again after all
            case ev.AdviceRequeued(why="not_delivered") as body:
                self._change(body.advice, delivered_at=None, delivered_seq=None, at_step=None, woke=False)
                self._forget_following(body.advice)
            case ev.AdviceDelivered() as body:
                for number in body.advice:
                    if (known := self._records.get(number)) is not None and known.delivered_at is not None:
                        self._change(number, said_again=(*known.said_again, event.seq))
                        continue
                    self._change(
                        number,
                        delivered_at=event.at,
                        delivered_seq=event.seq,
                        at_step=body.at_step,
                        channel=body.channel,
                        woke=body.woke,
                        without_effect=body.without_effect,
                    )
                    self._unanswered.add(number)
            case ev.AdviceOutcome() as body:
                self._set_outcome(event.actor, body)
            case ev.ModelReplied() | ev.ActionStarted() | ev.ActionRefused():
                self._note_first_action(event)
            case ev.ReplySuperseded(new=None) if event.step:
                self._forget_step(event.step)
            case _:
                pass

    @property
    def all(self) -> list[AdviceRecord]:
        """All advice, by number."""
        return [self._records[number] for number in sorted(self._records)]

    @property
    def waiting(self) -> list[AdviceRecord]:
        """Queued and not delivered yet, in the order of delivery."""
        return [record for record in self.all if record.stage == "queued"]

    @property
    def delivered(self) -> list[AdviceRecord]:
        """Delivered, judged or not."""
        return [record for record in self.all if record.delivered_at is not None]

    def get(self, number: int) -> AdviceRecord | None:
        """The advice with this number."""
        return self._records.get(number)

    def _note_first_action(self, event: ev.Event) -> None:
        for number in tuple(self._unanswered):
            record = self._records.get(number)
            # An action of the step before may still be reported after the delivery of "now" advice.
            if record is None or event.step is None or event.step < (record.at_step or 0):
                continue
            if isinstance(event.body, ev.ModelReplied):
                if record.first_reply is None:
                    self._change(number, first_reply=event.step)
            elif isinstance(event.body, ev.ActionStarted | ev.ActionRefused):
                first = FirstAction(event.step, event.call or 1, event.body.name, event.seq)
                self._change(number, first_action=first)
                self._unanswered.discard(number)

    def _forget_step(self, step: int) -> None:
        """The reply of ``step`` is left out of the context: what followed the advice is still to come."""
        for number, record in list(self._records.items()):
            if record.first_reply == step:
                self._change(number, first_reply=None)
            if record.first_action is not None and record.first_action.step == step:
                self._change(number, first_action=None)
                self._unanswered.add(number)

    def _forget_following(self, number: int) -> None:
        self._change(number, first_reply=None, first_action=None)
        self._unanswered.discard(number)

    def _set_outcome(self, actor: str, body: ev.AdviceOutcome) -> None:
        words = self._words.setdefault(body.advice, {})
        say_outcome(words, actor, body)
        by = next(reversed(words), "")
        stands = words.get(by)
        self._change(
            body.advice,
            outcome=stands.outcome if stands else None,
            outcome_by=by,
            outcome_note=stands.note if stands else "",
        )

    def _change(self, number: int, **change: object) -> None:
        record = self._records.get(number)
        if record is not None:
            self._records[number] = msgspec.structs.replace(record, **change)


def say_outcome(words: dict[str, ev.AdviceOutcome], actor: str, body: ev.AdviceOutcome) -> None:
    """Take one more word on a piece of advice into ``words``, by actor: the newest that stands is the last."""
    words.pop(actor, None)
    if body.outcome is not None:
        words[actor] = body


def _record_of(event: ev.Event, body: ev.AdviceQueued) -> AdviceRecord:
    return AdviceRecord(
        number=body.advice,
        text=body.text,
        kind=body.advice_kind,
        by=event.actor,
        queued_at=event.at,
        queued_seq=event.seq,
        about=body.about,
        about_text=body.about_text,
        now=body.now,
        not_before=body.not_before,
        drafted_at=body.drafted_at,
        answers=body.answers,
        seen=body.seen,
        reach=body.reach,
    )
