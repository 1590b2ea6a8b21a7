"""One session into the files of an export: its rows, the replies that are none, and what is counted of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apollo_train.export.counts import Counts
from apollo_train.export.twins import TwinCounter
from apollo_train.formats.base import Format, Line
from apollo_train.masks.flag_verdicts import FlagVerdicts
from apollo_train.output_files import Data
from apollo_train.policy import FilterPolicy
from apollo_train.samples.scrub import scrubber_for
from apollo_train.samples.session_selection import SessionExclusion, check_session
from apollo_train.samples.step_samples import Exclusion, Source
from apollo_train.samples.weights import Copies, Weigher
from sessions.events import ModelReplied, Target
from sessions.events.messages import CallPart
from sessions.events.session import add_what_is_in_sight
from sessions.events.text import canonical_json
from sessions.log.reader import LogReader

ItemListener = Callable[[Line | Exclusion], None]
"""Hears of each line and of each reply that is left out."""


class Sink(Protocol):
    """Takes lines in order."""

    def line(self, data: Data) -> None:
        """Write one line (or several, with their ends between them) and its end."""
        ...


@dataclass(frozen=True, slots=True)
class ExportRules:
    """All that decides what the files say of a session; other processes get it as it is."""

    policy: FilterPolicy
    format: Format
    position: int
    weigher: Weigher
    named: bool
    """Whether somebody asked for these very sessions, so that the twin names one that is missing."""


@dataclass(slots=True)
class SessionResult:
    """What became of one session: its counts, or the ``reason`` why it takes no part."""

    session: str
    reason: str = ""
    counts: Counts | None = None
    report: Any = None
    """What a format with a report of its own gathered of it."""


def write_session(
    reader: LogReader,
    rules: ExportRules,
    session: str,
    data: Sink,
    twin: Sink,
    copies: Copies | None,
    on_item: ItemListener,
) -> SessionResult | None:
    """Write the lines of a session; None if there was no such session then, and nobody asked for it."""
    format = rules.format
    judged = check_session(reader, session, rules.policy if format.takes_policy else None, rules.position)
    if isinstance(judged, SessionExclusion):
        if judged.reason == "session_missing" and not rules.named:
            return None
        twin.line(canonical_json({"session": session, "reason": judged.reason}))
        return SessionResult(session, judged.reason)
    scrubber = scrubber_for(format.scrub)
    source = Source(reader, judged, rules.policy, rules.weigher, labels=format.labels, scrubber=scrubber)
    counts = counts_before(source, format)
    counter = TwinCounter(counts, rules.policy)
    for item in format.lines(source):
        times = 1
        if isinstance(item, Exclusion):
            twin.line(_twin_line(item))
        elif copies is None:
            data.line(item.data)
        else:
            times = _write_copies(item, copies, data, twin)
        counter.take(item, times)
        on_item(item)
    counter.finish()
    counts.scrubbed = scrubber.counts() if scrubber is not None else {}
    return SessionResult(session, counts=counts, report=format.take_report())


def write_sessions(
    reader: LogReader,
    rules: ExportRules,
    sessions: Sequence[str],
    data: Sink,
    twin: Sink,
    copies: Copies | None,
    on_item: ItemListener,
) -> Iterator[SessionResult]:
    """Write sessions one after the other, in this process."""
    for session in sessions:
        result = write_session(reader, rules, session, data, twin, copies, on_item)
        if result is not None:
            yield result


def _write_copies(item: Line, copies: Copies, data: Sink, twin: Sink) -> int:
    """Write a row as often as it weighs; returns how often that is."""
    times = copies.next(item.weight)
    for _ in range(times):
        data.line(item.data)
    if not times:
        session, _, step = item.id.partition(":")
        line = {"id": item.id, "session": session, "step": step.removesuffix("+advice").removesuffix("-advice")}
        twin.line(canonical_json({**line, "reason": "resampled", "seq": item.replies[-1].seq if item.replies else 0}))
    return times


def counts_before(source: Source, format: Format) -> Counts:
    """Counts of a session before its first line."""
    if not format.takes_policy:
        return Counts(sessions=1, contained=_contained(source))
    judged = source.judged
    verdicts = FlagVerdicts(judged, source.policy)
    flags = judged.flags.active
    delivered = judged.advice.delivered
    reaches: dict[str, int] = {}
    for record in delivered if source.policy.version > 1 else ():
        reaches[record.reach or "unknown"] = reaches.get(record.reach or "unknown", 0) + 1
    return Counts(
        sessions=1,
        contained=_contained(source),
        unresolved=verdicts.unresolved,
        lost_flags=sum(1 for flag in flags if not _exists(source, flag.target)),
        advice=len(delivered),
        advice_by_reach=reaches,
        answers=len(judged.answers) if source.policy.version > 1 else 0,
        still_open=verdicts.still_open,
        flags=sum(flag.human for flag in flags),
        effort_ms=judged.effort_ms,
    )


def _contained(source: Source) -> dict[str, int]:
    contained = source.judged.created.contained
    return {} if contained is None else {add_what_is_in_sight(contained.words): 1}


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


def _twin_line(item: Exclusion) -> bytes:
    """One line of the twin file."""
    line: dict[str, Any] = {"id": item.id, "session": item.session, "step": item.step, "reason": item.reason}
    labels = {"labels": list(item.labels)} if item.labels else {}
    says = {"says": item.says} if item.says else {}
    return canonical_json({**line, **labels, **says, "seq": item.seq})
