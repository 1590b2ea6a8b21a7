"""From a selection of sessions to a file, its twin and its manifest; and what that would be, before it is written.

Same log position and same policy: same bytes. Nothing is written under its own name before all of it is on disk.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train import tokens
from apollo_train.counts import Counts
from apollo_train.errors import NothingToExport
from apollo_train.formats import format_named
from apollo_train.formats.base import Configured, Format, Line
from apollo_train.judgement import Judgement
from apollo_train.masks import masks_of
from apollo_train.policy import FilterPolicy
from apollo_train.rows import Weigher, task_of
from apollo_train.samples import Excluded, Source
from apollo_train.select import LeftOut, select
from apollo_train.verdicts import Verdicts
from apollo_train.writing import NewFiles
from sessions.log.reader import LogReader
from sessions.log.text import canonical_json

TELL_EVERY: Final = 64
"""Replies between two calls of a progress callback."""

Progress = Callable[[int, int], None]
"""``progress(done, total)``, in replies (events for ``raw``)."""


@dataclass(slots=True)
class Plan:
    """What an export would be. Exact, except that replies which refer to dropped advice are found on writing only."""

    format: str
    policy: FilterPolicy
    position: int
    counts: Counts
    per_session: dict[str, Counts]
    left_out: dict[str, str]
    """Sessions that take no part, and why."""

    def lines(self) -> list[str]:
        """The plan for a person."""
        return list(self.counts.lines())


@dataclass(slots=True)
class ExportReport:
    """What was written."""

    path: Path
    excluded: Path
    manifest: Path
    format: str
    policy: str
    """The policy's name and the first digits of its hash."""
    position: int
    counts: Counts
    per_session: dict[str, Counts]
    left_out: dict[str, str] = field(default_factory=dict)
    sha256: str = ""

    def lines(self) -> list[str]:
        """The report for a person."""
        return list(self.counts.lines())


def plan_export(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format = "steps",
    *,
    position: int | None = None,
) -> Plan:
    """Count what an export of these sessions (None: all) would hold, without reading a single prompt."""
    made = format_named(format)
    at = reader.position() if position is None else position
    plan = Plan(made.name, policy, at, Counts(), {}, {})
    for chosen in select(reader, sessions, None if made.unit == "event" else policy, at):
        if isinstance(chosen, LeftOut):
            plan.left_out[chosen.session] = chosen.reason
            plan.counts.left_out[chosen.reason] = plan.counts.left_out.get(chosen.reason, 0) + 1
            continue
        counts = plan.per_session[chosen.session] = _counted(reader, chosen, policy, made)
        plan.counts.add(counts)
    return plan


def run_export(
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    format: str | Format,
    out: Path,
    *,
    overwrite: bool = False,
    position: int | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write ``out``, ``out.excluded.jsonl`` and ``out.manifest.json``.

    Raises NothingToExport, FileInTheWay, WriteFailed or UnknownFormat, one line each; no file is changed then.
    """
    made = format_named(format)
    paths = [out.with_name(f"{out.name}.{end}") for end in ("excluded.jsonl", "manifest.json")]
    with NewFiles([*paths, out], overwrite=overwrite) as files, files.told():
        plan = plan_export(reader, sessions, policy, format, position=position)
        if not (plan.counts.rows if made.unit == "event" else plan.counts.trained):
            raise NothingToExport(_nothing(plan))
        twin, manifest, data = files.files
        report = ExportReport(
            out, paths[0], paths[1], made.name, f"{policy.name} {policy.digest[:12]}", plan.position, Counts(), {}
        )
        report.left_out = dict(plan.left_out)
        tell = _Teller(progress, plan.counts.rows if made.unit == "event" else plan.counts.steps)
        for session, reason in sorted(plan.left_out.items()):
            twin.line(canonical_json({"session": session, "reason": reason}))
        for source in _sources(reader, sessions, policy, made, plan):
            counts = _start(source, made)
            for item in made.lines(source):
                counts.take(item)
                if isinstance(item, Excluded):
                    twin.line(_twin_line(item))
                else:
                    data.line(item.data)
                tell(item)
            report.per_session[source.judged.session] = counts
            report.counts.add(counts)
        report.counts.left_out = dict(plan.counts.left_out)
        if made.unit != "event" and not report.counts.trained:
            raise NothingToExport(_nothing(plan, report.counts))
        report.sha256 = data.sha256
        hashes = {"data": data.sha256, "excluded": twin.sha256}
        manifest.line(msgspec.json.format(canonical_json(_manifest(report, policy, made, hashes)), indent=1))
        files.put()
        tell.end()
    return report


def _sources(
    reader: LogReader, sessions: Sequence[str] | None, policy: FilterPolicy, made: Format, plan: Plan
) -> Iterator[Source]:
    trained = {session: counts.trained for session, counts in plan.per_session.items()}
    chosen = [name for name in (sessions or trained) if name in trained]
    tasks: dict[str, int] = {}
    if policy.weights.normalise == "task":
        for judged in select(reader, chosen, None, plan.position):
            if isinstance(judged, Judgement):
                tasks[task_of(judged)] = tasks.get(task_of(judged), 0) + trained[judged.session]
    weigher = Weigher(policy, trained, tasks)
    for judged in select(reader, chosen, None if made.unit == "event" else policy, plan.position):
        if isinstance(judged, Judgement):
            yield Source(reader, judged, policy, weigher)


def _counted(reader: LogReader, judged: Judgement, policy: FilterPolicy, made: Format) -> Counts:
    """The counts of one session from its masks alone."""
    counts = _start(Source(reader, judged, policy, Weigher(policy)), made)
    if made.unit == "event":
        counts.rows = sum(1 for _ in reader.stream(judged.session, up_to=judged.position))
        return counts
    for mask in masks_of(reader, judged, policy):
        counts.calls_lost += mask.calls_lost
        if not mask.trained:
            counts.mask(mask.reason)
            continue
        number = tokens.count(mask)
        line = Line(
            b"",
            trained=1,
            trained_tokens=number.reply,
            processed_tokens=number.prompt + number.reply if made.unit == "step" else 0,
            unseen_tokens=0 if mask.seen else number.reply,
            exact_tokens=number.exact,
            rows=1 if made.unit == "step" else 0,
        )
        counts.take(line)
    return counts


def _start(source: Source, made: Format) -> Counts:
    """Counts of a session before its first line."""
    if made.unit == "event":
        return Counts(sessions=1)
    verdicts = Verdicts(source.judged, source.policy)
    last = source.reader.events(source.judged.session, kinds=("model.reply",), limit=64, newest_first=True)
    steps = max((event.step or 0 for event in last if event.id <= source.judged.position), default=0)
    flags = source.judged.flags.active
    nowhere = sum(1 for flag in flags if flag.target.part != "summary" and flag.target.step > steps)
    return Counts(sessions=1, unresolved=verdicts.unresolved, lost_flags=nowhere)


def _twin_line(item: Excluded) -> bytes:
    """One line of the twin file."""
    line: dict[str, Any] = {"id": item.id, "session": item.session, "step": item.step, "reason": item.reason}
    return canonical_json({**line, "seq": item.seq})


def _manifest(report: ExportReport, policy: FilterPolicy, made: Format, hashes: dict[str, str]) -> dict[str, Any]:
    """By which rules, from where, how much: nothing in it depends on when or where the file was written."""
    ruled = made.unit != "event"
    settings = {"settings": made.settings} if isinstance(made, Configured) else {}
    return {
        "apollo": "export",
        "v": 1,
        "format": {"name": made.name, "version": made.version, **settings},
        "policy": policy.plain() if ruled else None,
        "policy_sha256": policy.digest if ruled else None,
        "position": report.position,
        "counts": msgspec.to_builtins(report.counts),
        "unseen_share": round(report.counts.unseen_share, 6),
        "sessions": {name: _short(counts) for name, counts in sorted(report.per_session.items())},
        "left_out": dict(sorted(report.left_out.items())),
        "sha256": hashes,
        "version": _version(),
    }


def _short(counts: Counts) -> dict[str, Any]:
    return {"rows": counts.rows, "trained": counts.trained, "masked": counts.masked, "masked_by": counts.masked_by}


def _version() -> str:
    try:
        return importlib.metadata.version("apollo-tui")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "0"


def _nothing(plan: Plan, counts: Counts | None = None) -> str:
    """Why there is nothing to write, in one line."""
    found = counts or plan.counts
    reasons = {**plan.counts.left_out, **found.masked_by}
    why = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    if not plan.per_session:
        return f"no session is left to export ({why or 'the log has none'}): choose others, or another policy"
    return f"no reply is left to train ({why or 'there are none yet'}): choose other sessions, or another policy"


class _Teller:
    """Tells how far the export is, now and then."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done, self._told = progress, total, 0, 0

    def __call__(self, item: Line | Excluded) -> None:
        self._done += 1 if isinstance(item, Excluded) else (item.trained or item.rows)
        if self._progress and self._done - self._told >= TELL_EVERY:
            self._told = self._done
            self._progress(min(self._done, self._total), self._total)

    def end(self) -> None:
        if self._progress:
            self._progress(self._total, self._total)


__all__ = ["Counts", "ExportReport", "Plan", "Progress", "plan_export", "run_export"]
