"""Which sessions take part in an export, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from apollo_train.masks.annotations import Annotations, read_annotations
from apollo_train.policy import FilterPolicy, SessionRules, date_ms
from apollo_train.runtime import TrainError
from sessions.log.errors import LogReadFailed, LogUnavailable
from sessions.log.reader import LogReader

DAY_MS: Final = 86_400_000


class NoPosition(TrainError):
    """A position that the log does not have."""


SESSION_REASONS: Final = {
    "session_missing": "the log has no such session at this position",
    "session_damaged": "the log does not hold it whole; 'apollo doctor --deep' says more",
    "session_replayed": "it plays a recording, and sessions.replayed is false",
    "session_demo": "a scripted demo session, and sessions.demo is false",
    "session_branch": "a way that was left, and sessions.branches is false",
    "session_child": "a sub-agent of another session, and sessions.children is false",
    "session_state": "its state is none of sessions.states",
    "session_sign_off": "its sign-off is none of sessions.sign_off",
    "session_score": "no score of it reaches sessions.min_score",
    "session_task": "its task is none of sessions.tasks",
    "session_tag": "it has none of sessions.tags",
    "session_model": "its model is none of sessions.models",
    "session_date": "it was not created in the days of sessions.created_from and created_to",
    "session_annotator": "none of sessions.annotators judged or advised it",
}
"""Why a session takes no part, in words."""


@dataclass(frozen=True, slots=True)
class SessionExclusion:
    """A session that takes no part, and the one reason."""

    session: str
    reason: str


def select(
    reader: LogReader, sessions: Sequence[str] | None, policy: FilterPolicy | None, position: int
) -> Iterator[Annotations | SessionExclusion]:
    """The annotations of each session (None: all), in the order of their ids; without a policy, all of them."""
    for name in names_of(reader, sessions):
        found = check_session(reader, name, policy, position)
        # Nobody asked by name for a session that came later: that it is there now changes nothing of then.
        if sessions is not None or not isinstance(found, SessionExclusion) or found.reason != "session_missing":
            yield found


def position_of(reader: LogReader, wanted: int | None) -> int:
    """The log position that was asked for (None: the log's end). Raises NoPosition where the log is not that long yet.

    What is written from beyond the end would change as the log grows.
    """
    end = reader.position()
    if wanted is not None and not 0 < wanted <= end:
        raise NoPosition(f"there is no log position {wanted:,}: the log ends at {end:,}")
    return end if wanted is None else wanted


def names_of(reader: LogReader, sessions: Sequence[str] | None) -> list[str]:
    """The ids of these sessions (None: of all), in the order in which they are written."""
    return sorted({summary.session for summary in reader.summaries()} if sessions is None else set(sessions))


def check_session(
    reader: LogReader, session: str, policy: FilterPolicy | None, position: int
) -> Annotations | SessionExclusion:
    """The annotations of one session, or why it takes no part."""
    try:
        judged = read_annotations(reader, session, position)
        if judged is not None and not reader.is_whole(session, position):
            return SessionExclusion(session, "session_damaged")
    except LogUnavailable:
        raise
    except (LogReadFailed, msgspec.MsgspecError):
        return SessionExclusion(session, "session_damaged")
    if judged is None:
        return SessionExclusion(session, "session_missing")
    reason = find_exclusion(judged, policy.sessions) if policy is not None else ""
    return SessionExclusion(session, reason) if reason else judged


def find_exclusion(judged: Annotations, rules: SessionRules) -> str:
    """The first rule of the policy that keeps the session out, or ""."""
    created = judged.created
    # "Judged up to here" is no word on the session: beside somebody's verdict it says nothing.
    words: set[str] = {word.verdict for word in judged.flags.sign_offs.values() if word.verdict} or {"none"}
    start, end = date_ms(rules.created_from), date_ms(rules.created_to)
    begins = created.begins.kind if created.begins is not None else ""
    checks = {
        "session_replayed": created.origin == "replay" and not rules.replayed,
        "session_branch": begins == "branch" and not rules.branches,
        "session_child": begins == "child" and not rules.children,
        "session_demo": created.origin == "demo" and not rules.demo,
        "session_state": bool(rules.states) and judged.state not in rules.states,
        "session_sign_off": not words <= set(rules.sign_off),
        "session_score": not _good_enough(judged, rules.min_score),
        "session_task": bool(rules.tasks) and created.task_id not in rules.tasks,
        "session_tag": bool(rules.tags) and not set(rules.tags) & set(judged.tags),
        "session_model": bool(rules.models) and not {created.model.id, created.model.name} & set(rules.models),
        "session_date": bool(
            (start is not None and judged.created_at < start) or (end is not None and judged.created_at >= end + DAY_MS)
        ),
        "session_annotator": bool(rules.annotators) and not set(rules.annotators) & judged.humans,
    }
    return next((reason for reason, out in checks.items() if out), "")


def _good_enough(judged: Annotations, wanted: float | None) -> bool:
    if wanted is None:
        return True
    if judged.best_score is None:
        return False
    return judged.best_score >= wanted if judged.better == "higher" else judged.best_score <= wanted
