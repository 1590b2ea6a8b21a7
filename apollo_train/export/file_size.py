"""How large a file an export would write: exact where its rows are few, else measured on some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from apollo_train.export.counts import Counts
from apollo_train.export.plan import Plan
from apollo_train.formats.base import Format, Line
from apollo_train.output_files import Data
from apollo_train.samples.session_selection import SessionExclusion, check_session
from apollo_train.samples.step_samples import Source
from apollo_train.samples.weights import Weigher
from sessions.log.reader import LogReader

SESSIONS: Final = 3
"""So many sessions are looked into: a small, a middling and a large one."""
ROWS: Final = 40
EVENTS: Final = 400
"""Rows that are made of each, and where a row is an event."""
UNITS: Final = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class FileSize:
    """Bytes of the file of rows; ``exact``: every row was made."""

    bytes: int
    exact: bool

    def __str__(self) -> str:
        return f"{'' if self.exact else 'about '}{say_bytes(self.bytes)}"


def say_bytes(number: float) -> str:
    """Bytes for a person.

    >>> say_bytes(1_234_567)
    '1.2 MB'
    """
    for unit in UNITS[:-1]:
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} {UNITS[-1]}"


def measure_size(reader: LogReader, plan: Plan, format: Format) -> FileSize:
    """The size of what ``plan`` counts, in this format. Reads prompts, of a few rows only. May raise TrainError, where
    a row cannot be made."""
    weigher = Weigher(plan.policy)
    wanted = _choose(plan.per_session)
    whole, measured, of = len(wanted) == len(plan.per_session), 0, Counts()
    for session in wanted:
        judged = check_session(reader, session, plan.policy if format.takes_policy else None, plan.position)
        if isinstance(judged, SessionExclusion):
            continue
        most = EVENTS if format.unit == "event" else ROWS
        items = format.lines(Source(reader, judged, plan.policy, weigher, check=False))
        taken = 0
        for item in items:
            if not isinstance(item, Line):
                continue
            if taken >= most:
                whole = False
                break
            taken += item.rows or 1
            measured += _length(item.data) + 1
            of.take(item)
    format.take_report()  # the report is of what is written
    if whole and not weigher.needs_counts:
        return FileSize(measured, exact=True)
    return FileSize(round(measured * _share(plan.counts, of)), exact=False)


def _choose(per_session: dict[str, Counts]) -> Sequence[str]:
    ordered = sorted(per_session, key=lambda one: (per_session[one].trained_tokens, per_session[one].rows))
    if len(ordered) <= SESSIONS:
        return ordered
    return [ordered[at * (len(ordered) - 1) // (SESSIONS - 1)] for at in range(SESSIONS)]


def _share(all_of_it: Counts, measured: Counts) -> float:
    """How many times as much there is: by tokens that are processed, else trained, else by rows."""
    for name in ("processed_tokens", "trained_tokens", "rows"):
        if getattr(all_of_it, name) and getattr(measured, name):
            return float(getattr(all_of_it, name) / getattr(measured, name))
    return 1.0


def _length(data: Data) -> int:
    return len(data) if isinstance(data, bytes) else sum(map(len, data))
