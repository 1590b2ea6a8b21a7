"""Rows of token ids for DPO and KTO, written like any export: the rows, and why the others are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from apollo_train.chat import dumps
from apollo_train.errors import NothingToExport
from apollo_train.formats.tokens import TokensFormat
from apollo_train.judgement import Judgement
from apollo_train.policy import FilterPolicy
from apollo_train.preferences import Pair, Refused, pairs_of, verdicts_of
from apollo_train.rows import Weigher
from apollo_train.samples import Excluded, Source
from apollo_train.select import select
from apollo_train.templates.target import StepTokens
from apollo_train.trainers.record import file_checksum
from apollo_train.writing import NewFiles
from sessions.log.reader import LogReader
from sessions.log.text import canonical_json


@dataclass(slots=True)
class PreferenceReport:
    """What was written: rows (of KTO, good and bad), and refusals by reason."""

    path: Path
    rows: int = 0
    good: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    checksum: str = ""

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        about = f", {self.good:,} of them good" if self.good else ""
        yield f"{self.rows:,} rows{about}; {sum(self.refused.values()):,} flagged replies refused"
        yield from (f"refused: {number:,} {reason}" for reason, number in sorted(self.refused.items()))

    def plain(self) -> dict[str, Any]:
        """The counts for a record."""
        return {"rows": self.rows, "good": self.good, "refused": dict(sorted(self.refused.items()))}


def write_preferences(
    method: Literal["dpo", "kto"],
    reader: LogReader,
    sessions: Sequence[str] | None,
    policy: FilterPolicy,
    made: TokensFormat,
    out: Path,
    position: int,
) -> PreferenceReport:
    """Write ``out`` and, beside it, each refusal with its reason. Raises NothingToExport."""
    report = PreferenceReport(out)
    twin_path = out.with_name(f"{out.name}.refused.jsonl")
    with NewFiles([twin_path, out], overwrite=True) as files, files.told():
        twin, data = files.files
        for judged in select(reader, sessions, policy, position):
            if not isinstance(judged, Judgement):
                continue
            source = Source(reader, judged, policy, Weigher(policy))
            for row in (_pairs if method == "dpo" else _verdicts)(source, made):
                if isinstance(row, Refused):
                    report.refused[row.reason] += 1
                    twin.line(canonical_json(msgspec.to_builtins(row)))
                else:
                    report.rows += 1
                    report.good += row.get("label") is True
                    data.line(dumps(row))
        if not report.rows:
            why = ", ".join(f"{number} {reason}" for reason, number in sorted(report.refused.items()))
            what = "pair" if method == "dpo" else "judged reply"
            raise NothingToExport(f"there is no {what} to train on ({why or 'nobody flagged anything'})")
        files.put()
    report.checksum = file_checksum(out)
    return report


def _pairs(source: Source, made: TokensFormat) -> Iterator[dict[str, Any] | Refused]:
    for pair in pairs_of(source):
        yield pair if isinstance(pair, Refused) else _pair(source, made, pair)


def _pair(source: Source, made: TokensFormat, pair: Pair) -> dict[str, Any] | Refused:
    found = [made.fitted(source, sample) for sample in (pair.chosen, pair.rejected)]
    for step in found:
        if isinstance(step, Excluded):
            return Refused(pair.rejected.id, "too_long" if step.reason == "too_long" else "tokens")
    chosen, rejected = (step for step in found if isinstance(step, StepTokens))
    length = min(len(chosen.prompt), len(rejected.prompt))
    if chosen.no_think != rejected.no_think or chosen.prompt[-length:] != rejected.prompt[-length:]:
        return Refused(pair.rejected.id, "tokens")
    meta = pair.chosen.meta | {"confirmed": pair.confirmed}
    return {
        "prompt_ids": chosen.prompt[-length:],
        "chosen_ids": chosen.target,
        "rejected_ids": rejected.target,
        "meta": meta,
    }


def _verdicts(source: Source, made: TokensFormat) -> Iterator[dict[str, Any] | Refused]:
    for verdict in verdicts_of(source):
        if isinstance(verdict, Refused):
            yield verdict
            continue
        step = made.fitted(source, verdict.sample)
        if isinstance(step, Excluded):
            yield Refused(verdict.sample.id, "too_long" if step.reason == "too_long" else "tokens")
            continue
        ids = {"prompt_ids": step.prompt, "completion_ids": step.target}
        yield {**ids, "label": verdict.good, "meta": verdict.sample.meta}
