"""Everything about one entry of the log, for the Action screen: read whole, in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from sessions import events as ev
from sessions.fold.corrections import Correction, CorrectionBook
from sessions.fold.released_reply import Replies
from sessions.log.reader import LogReader
from widgets.sanitise import clean_line

NEAR_STEPS: Final = 3
"""Advice this many steps before and after is shown with the action."""


class EntryDetails(msgspec.Struct, frozen=True):
    """One entry with all that belongs to it, oldest first; ``output`` and ``shown`` are whole texts."""

    anchor: ev.Event
    related: tuple[ev.Event, ...] = ()
    reply: ev.ModelReplied | None = None
    reply_seq: int | None = None
    output: str = ""
    shown: str | None = None
    lost: int = 0
    file: str = ""
    diffs: tuple[tuple[ev.FileChanged, str], ...] = ()
    flags: tuple[tuple[str, ev.FlagSet, int], ...] = ()
    """(actor, flag, at)"""
    corrections: tuple[Correction, ...] = ()
    advice: tuple[ev.Event, ...] = ()
    job: int | None = None
    ended: ev.JobEnded | None = None
    """How the job of a command ended, which may be long after its result."""

    @property
    def result(self) -> ev.ActionResult | None:
        """The observation, once there is one."""
        return next((event.body for event in self.related if isinstance(event.body, ev.ActionResult)), None)


def read_details(reader: LogReader, session: str, seq: int) -> EntryDetails | None:
    """Read all about the entry that begins at ``seq``; None if there is no such event."""
    anchor = reader.event(session, seq)
    if anchor is None:
        return None
    step = anchor.step
    same_step = reader.events(session, steps=(step, step)) if step else []
    related = tuple(e for e in same_step if e.call == anchor.call and e.seq != seq) if anchor.call else ()
    if isinstance(anchor.body, ev.ShellOpened):
        closed = reader.events(session, kinds={"shell.closed"}, after=seq)
        related = tuple(e for e in closed if isinstance(e.body, ev.ShellClosed) and e.body.opened == seq)
    result = next((e.body for e in related if isinstance(e.body, ev.ActionResult)), None)
    diffs = tuple(
        (e.body, reader.text(e.body.diff)) for e in related if isinstance(e.body, ev.FileChanged) and e.body.diff
    )
    reply = anchor.body if isinstance(anchor.body, ev.ModelReplied) else None
    reply_seq = seq if reply is not None else None
    if reply is None and anchor.call:
        replies = Replies(same_step)
        said = replies.of(anchor.step or 0) or replies.newest_of(anchor.step or 0)
        if said is not None and isinstance(said.body, ev.ModelReplied):
            reply, reply_seq = said.body, said.seq
    job = next((e.body.job for e in related if isinstance(e.body, ev.JobStarted)), None)
    own = "\n".join(_say_touched(event.body) for event in related if isinstance(event.body, ev.ShellClosed))
    output = own or _own_text(reader, anchor) if result is None else reader.text(result.output)
    return EntryDetails(
        anchor=anchor,
        related=related,
        reply=reply,
        reply_seq=reply_seq,
        output=output,
        shown=reader.text(result.shown) if result and result.shown else None,
        lost=result.output.lost if result else 0,
        file=(result.output.file or "") if result else "",
        diffs=diffs,
        flags=tuple(_flags(reader, anchor)),
        corrections=tuple(_corrections(reader, anchor)),
        advice=tuple(_advice(reader, anchor)),
        job=job,
        ended=_end_of_job(reader, session, job) if job is not None else None,
    )


def _end_of_job(reader: LogReader, session: str, job: int) -> ev.JobEnded | None:
    ends = reader.events(session, kinds={"job.ended"}, newest_first=True)
    return next((e.body for e in ends if isinstance(e.body, ev.JobEnded) and e.body.job == job), None)


def _say_touched(closed: ev.ShellClosed) -> str:
    """What changed while a shell was open."""
    lines = [f"{file.change:<8} {clean_line(file.path)}" for file in closed.files]
    lines += [f"{closed.more:,} more"] if closed.more else []
    lines += [f"others may be missing: {closed.unknown}"] if closed.unknown else []
    return "\n".join(["changed meanwhile, by whomever:", *lines] if lines else ["no file changed meanwhile"])


def _own_text(reader: LogReader, anchor: ev.Event) -> str:
    match anchor.body:
        case ev.SummaryWritten() as body:
            return reader.text(body.text) + (f"\n\n{body.advice}" if body.advice else "")
        case ev.SessionCreated() as body:
            return body.task
        case (
            ev.AdviceQueued()
            | ev.AdviceDelivered()
            | ev.NudgeSent()
            | ev.HarnessTurn()
            | ev.QuestionAsked()
            | ev.QuestionAnswered() as said
        ):
            return said.text
        case ev.EvalScored() as body:
            return reader.text(body.output) if body.output else body.problem
        case ev.ModelAttemptFailed() as body:
            return body.message
        case ev.ActionRefused() as body:
            return body.shown
        case ev.StateChanged() as body:
            return body.reason
        case ev.ShellOpened() as body:
            return f"{body.inside}; it was not closed, as far as the log knows"
    return ""


def _flags(reader: LogReader, anchor: ev.Event) -> Iterator[tuple[str, ev.FlagSet, int]]:
    events = reader.events(anchor.session, kinds={"flag.set", "flag.removed"})
    removed = {event.body.flag for event in events if isinstance(event.body, ev.FlagRemoved)}
    for event in events:
        if isinstance(event.body, ev.FlagSet) and event.body.flag not in removed and _about(event.body.target, anchor):
            yield event.actor, event.body, event.at


def _corrections(reader: LogReader, anchor: ev.Event) -> list[Correction]:
    book = CorrectionBook(reader.events(anchor.session, kinds={"correction.written"}))
    return [one for one in book.all if _about(one.target, anchor)]


def _about(target: ev.Target, anchor: ev.Event) -> bool:
    if target.part == "summary":
        return isinstance(anchor.body, ev.SummaryWritten) and anchor.body.number == target.step
    if target.part == "span":
        return anchor.step is not None and target.step <= anchor.step <= (target.to_step or target.step)
    if anchor.step != target.step:
        return False
    return anchor.call == target.call if target.part == "call" else anchor.call is None


def _advice(reader: LogReader, anchor: ev.Event) -> list[ev.Event]:
    if anchor.step is None:
        return []
    found = reader.events(anchor.session, kinds={"advice.delivered", "question.answered"})
    return [event for event in found if abs((step_of(event) or -99) - anchor.step) <= NEAR_STEPS]


def step_of(event: ev.Event) -> int | None:
    """The step from which a piece of advice, or an answer, was there."""
    return event.body.at_step if isinstance(event.body, ev.AdviceDelivered) else event.step
