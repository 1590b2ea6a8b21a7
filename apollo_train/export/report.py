"""What an export says of itself: its progress meanwhile, its report and manifest after."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from apollo_train.export.counts import IF_ANY, SINCE_2, Counts
from apollo_train.export.near_prompts import NearPrompts
from apollo_train.export.policy_notes import RULES
from apollo_train.formats.base import Format, Line
from apollo_train.formats.conformance import describe_results
from apollo_train.formats.readers import describe_readers, say_readers
from apollo_train.policy import FilterPolicy
from apollo_train.samples.session_selection import SESSION_REASONS
from apollo_train.samples.step_samples import Exclusion

PROGRESS_EVERY: Final = 64
"""Replies between two calls of a progress callback."""
EXPLAINED_REASONS: Final = 3
"""Reasons that are explained where nothing is left to write."""

Progress = Callable[[int, int], None]
"""``progress(done, total)``, in replies (events for ``raw``)."""


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
    checksum: str = ""
    """The BLAKE3 of the file."""
    note: str = ""
    """With which chat templates the trainer of this format was tried."""
    page: Path | None = None
    """A static page of what is trained, masked and why; None for events, and where the format has a page of its own."""
    checked: tuple[str, ...] = ()
    """Whether the counts are those of the tokenizer that was named, in words."""
    unused: tuple[str, ...] = ()
    """Names in the policy that nothing here has, a line each."""
    terms: dict[str, dict[str, str]] = field(default_factory=dict)
    """On which terms sessions may be used, of those that say so."""
    notes: tuple[str, ...] = ()
    """What was chosen, and what nobody chose."""
    near_prompts: NearPrompts | None = None
    """Prompts that are nearly equal on two sides of the split; None where nothing is parted."""

    def lines(self) -> list[str]:
        """The report for a person."""
        several = "the viewer of session traces takes one session per file: name one with --session"
        notes = [
            say_readers(self.format),
            self.note,
            several if self.format == "sts" and len(self.per_session) > 1 else "",
        ]
        near = self.near_prompts.lines() if self.near_prompts is not None else []
        return [*self.counts.lines(), *self.notes, *near, *self.unused, *filter(None, notes), *self.checked]

    def beside(self) -> str:
        """The names of the files beside it, for a person."""
        names = [path.name for path in (self.excluded, self.manifest, self.page) if path is not None]
        return f"{', '.join(names[:-1])} and {names[-1]}"


def manifest_of(
    report: ExportReport,
    policy: FilterPolicy,
    format: Format,
    hashes: Mapping[str, str],
    check: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """By which rules, from where, how much: nothing in it depends on when or where the file was written."""
    takes_policy = format.takes_policy
    settings = {"settings": format.settings} if format.settings else {}
    return {
        "apollo": "export",
        "v": 2,
        "format": {"name": format.name, "version": format.version, **settings},
        "policy": policy.plain() if takes_policy else None,
        "policy_sha256": policy.digest if takes_policy else None,
        "position": report.position,
        "counts": _plain_counts(report.counts, policy),
        "unseen_share": round(report.counts.unseen_share, 6),
        "sessions": {name: _short(counts) for name, counts in sorted(report.per_session.items())},
        "left_out": dict(sorted(report.left_out.items())),
        **({"masks": readers} if (readers := describe_readers(format.name)) else {}),
        **({"proof": results} if (results := describe_results(format.name)) else {}),
        **({"labels_without_flags": list(report.unused)} if report.unused else {}),
        **({"rules": RULES} if takes_policy and policy.version > 1 else {}),
        **({"near_prompts": report.near_prompts.plain()} if report.near_prompts is not None else {}),
        **({"terms": report.terms} if report.terms else {}),
        **({"token_check": check} if report.checked else {}),
        "blake3": dict(hashes),
        "version": version(),
    }


def _plain_counts(counts: Counts, policy: FilterPolicy) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(counts)
    kept = {name: value for name, value in plain.items() if value or name not in IF_ANY}
    return {name: value for name, value in kept.items() if policy.version > 1 or name not in SINCE_2}


def _short(counts: Counts) -> dict[str, Any]:
    return {
        "rows": counts.rows,
        "trained": counts.trained,
        "masked": counts.masked,
        "masked_by": counts.masked_by,
        "masked_by_label": counts.masked_by_label,
    }


def version() -> str:
    """Which Apollo wrote it."""
    try:
        return importlib.metadata.version("apollo-tui")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout
        return "0"


NEEDS: Final = {
    "dpo": "a pair needs a flagged reply and what was done instead, after advice or as a correction",
    "preferences": "a pair needs somebody's word on which of two sessions is better: T in the app, `apollo prefer`",
    "kto": "a verdict needs a flag or a good mark of a human on a reply",
}
"""What a format of verdicts makes its rows of."""


def explain_nothing_left(
    per_session: Mapping[str, Counts], counts: Counts, format_name: str = "", problem: str = ""
) -> str:
    """Why there is nothing to write, in one line; ``problem``: what a format found in the way first."""
    why = _why_nothing(per_session, counts, format_name) + _explain({**counts.left_out, **counts.masked_by})
    return f"{why}; first {problem}" if problem else why


def _explain(reasons: Mapping[str, int]) -> str:
    """What the most frequent reasons mean."""
    from apollo_train.formats.trajectory_preferences import REASONS
    from apollo_train.samples.preferences import REFUSALS
    from apollo_train.templates.renderer import UNFIT

    known = {**UNFIT, **REFUSALS, **REASONS, **SESSION_REASONS}
    first = sorted((reason for reason in reasons if reason in known), key=lambda reason: -reasons[reason])
    return "".join(f"; {reason}: {known[reason]}" for reason in first[:EXPLAINED_REASONS])


def _why_nothing(per_session: Mapping[str, Counts], counts: Counts, format_name: str) -> str:
    reasons = {**counts.left_out, **counts.masked_by}
    why = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    if not per_session:
        return f"no session is left to export ({why or 'the log has none'}): choose others, or another policy"
    if needs := NEEDS.get(format_name.removesuffix("-tokens")):
        return f"there is nothing to write{f' ({why})' if why else ''}: {needs}"
    return f"no reply is left to train ({why or 'there are none yet'}): choose other sessions, or another policy"


class ProgressMeter:
    """Says now and then how far the export is."""

    def __init__(self, progress: Progress | None, total: int, done: int = 0) -> None:
        self._progress, self._total, self._done, self._reported = progress, total, done, done

    def __call__(self, item: Line | Exclusion) -> None:
        """One more line."""
        self.add(size_of(item))

    def add(self, number: int) -> None:
        """So many replies (or events) more."""
        self._done += number
        if self._progress and self._done - self._reported >= PROGRESS_EVERY:
            self._reported = self._done
            self._progress(min(self._done, self._total), self._total)

    def end(self) -> None:
        """All is done."""
        if self._progress:
            self._progress(self._total, self._total)


def size_of(item: Line | Exclusion) -> int:
    """How many replies (or events) are done with this line."""
    return 1 if isinstance(item, Exclusion) else (item.trained or item.rows)
