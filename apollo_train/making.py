"""One session made into lines: what a process does by itself, be it the only one or one of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apollo_train.counts import Counts
from apollo_train.formats.base import Format, Line, Reporting
from apollo_train.policy import FilterPolicy
from apollo_train.rows import Copies, Weigher
from apollo_train.samples import Excluded, Source
from apollo_train.select import LeftOut, judged_of
from apollo_train.verdicts import Verdicts
from apollo_train.writing import Data
from sessions.log.events import ModelReplied, Target
from sessions.log.parts import CallPart
from sessions.log.reader import LogReader
from sessions.log.text import canonical_json

Tell = Callable[[Line | Excluded], None]
"""Hears of each line and of each reply that is left out."""


class Sink(Protocol):
    """Takes lines in order."""

    def line(self, data: Data) -> None:
        """Write one line (or several, with their ends between them) and its end."""
        ...


@dataclass(frozen=True, slots=True)
class Making:
    """All that decides what the files say of a session; other processes get it as it is."""

    policy: FilterPolicy
    made: Format
    position: int
    weigher: Weigher
    named: bool
    """Whether somebody asked for these very sessions, so that a missing one is told of."""

    @property
    def ruled(self) -> bool:
        """Whether the policy applies."""
        return self.made.unit != "event"


@dataclass(slots=True)
class Made:
    """What became of one session: its counts, or the ``reason`` why it takes no part."""

    session: str
    reason: str = ""
    counts: Counts | None = None
    told: Any = None
    """What a format that reports gathered of it."""


def make(
    reader: LogReader, making: Making, session: str, data: Sink, twin: Sink, copies: Copies | None, tell: Tell
) -> Made | None:
    """Write the lines of a session; None if there was no such session then, and nobody asked for it."""
    judged = judged_of(reader, session, making.policy if making.ruled else None, making.position)
    if isinstance(judged, LeftOut):
        if judged.reason == "session_missing" and not making.named:
            return None
        twin.line(canonical_json({"session": session, "reason": judged.reason}))
        return Made(session, judged.reason)
    source = Source(reader, judged, making.policy, making.weigher)
    counts = counts_before(source, making.made)
    for item in making.made.lines(source):
        times = 1
        if isinstance(item, Excluded):
            twin.line(_twin_line(item))
        elif copies is None:
            data.line(item.data)
        else:
            times = _copied(item, copies, data, twin)
        counts.take(item, times)
        tell(item)
    return Made(session, counts=counts, told=making.made.take_report() if isinstance(making.made, Reporting) else None)


def made_here(
    reader: LogReader,
    making: Making,
    sessions: Sequence[str],
    data: Sink,
    twin: Sink,
    copies: Copies | None,
    tell: Tell,
) -> Iterator[Made]:
    """The sessions one after the other, in this process."""
    for session in sessions:
        made = make(reader, making, session, data, twin, copies, tell)
        if made is not None:
            yield made


def _copied(item: Line, copies: Copies, data: Sink, twin: Sink) -> int:
    """Write a row as often as it weighs; returns how often that is."""
    times = copies.next(item.weight)
    for _ in range(times):
        data.line(item.data)
    if not times:
        session, _, step = item.id.partition(":")
        twin.line(canonical_json({"id": item.id, "session": session, "step": step, "reason": "resampled"}))
    return times


def counts_before(source: Source, made: Format) -> Counts:
    """Counts of a session before its first line."""
    if made.unit == "event":
        return Counts(sessions=1)
    judged = source.judged
    verdicts = Verdicts(judged, source.policy)
    flags = judged.flags.active
    return Counts(
        sessions=1,
        unresolved=verdicts.unresolved,
        lost_flags=sum(1 for flag in flags if not _exists(source, flag.target)),
        advice=len(judged.advice.delivered),
        flags=sum(flag.human for flag in flags),
        effort_ms=judged.effort_ms,
    )


def _exists(source: Source, target: Target) -> bool:
    """Whether there is such a step, or such a call of it, or such a summary, at the export's position."""
    judged = source.judged
    if target.part == "summary":
        return any(written.number == target.step for written in judged.summaries.values())
    steps = (target.step, target.to_step or target.step)
    # The first event of a span says whether there is any; a call may be in any reply of its step.
    kinds, limit = ("model.reply", "model.interrupted"), None if target.part == "call" else 1
    found = source.reader.events(judged.session, steps=steps, kinds=kinds, limit=limit)
    bodies = [event.body for event in found if event.id <= judged.position]
    if target.part != "call":
        return bool(bodies)
    replies = [body for body in bodies if isinstance(body, ModelReplied)]
    return any(sum(isinstance(part, CallPart) for part in body.parts) >= (target.call or 0) for body in replies)


def _twin_line(item: Excluded) -> bytes:
    """One line of the twin file."""
    line: dict[str, Any] = {"id": item.id, "session": item.session, "step": item.step, "reason": item.reason}
    return canonical_json({**line, "seq": item.seq})
