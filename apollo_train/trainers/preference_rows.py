"""Rows of token ids for DPO and KTO: a format like any other, so that weights, twins and manifests are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from apollo_train.formats.base import Format, Line, Unit, line_of, trained_reply
from apollo_train.formats.tokens import TokensFormat
from apollo_train.samples.chat import dumps
from apollo_train.samples.preferences import REFUSALS, Pair, Refusal, UnpairedReply, find_pairs, find_unpaired_replies
from apollo_train.samples.step_samples import Exclusion, Source, StepSample
from apollo_train.templates.renderer import StepTokens

PreferenceMethod = Literal["dpo", "kto"]


class PairRow(msgspec.Struct, frozen=True):
    """A row for DPO: two replies to one prompt."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    meta: dict[str, Any]


class VerdictRow(msgspec.Struct, frozen=True):
    """A row for KTO: a reply, and whether it is wanted."""

    prompt_ids: list[int]
    completion_ids: list[int]
    label: bool
    meta: dict[str, Any]


class PreferenceReport(msgspec.Struct):
    """What was made: rows (of KTO, good and bad), and refusals by reason."""

    rows: int = 0
    good: int = 0
    refused: dict[str, int] = {}
    first_problem: str = ""
    """What a template said when it first refused a conversation."""

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        about = f", {self.good:,} of them good" if self.good else ""
        yield f"{self.rows:,} rows{about}; {sum(self.refused.values()):,} judged replies refused"
        for reason, number in sorted(self.refused.items()):
            yield f"refused: {number:,} {reason}: {REFUSALS[reason]}"
        if self.first_problem:
            yield f"the first refusal: {self.first_problem}"

    def counts(self) -> dict[str, Any]:
        """The counts for a record."""
        return {"rows": self.rows, "good": self.good, "refused": dict(sorted(self.refused.items()))}


@dataclass
class PreferenceTokens(Format):
    """What ``apollo-train dpo`` and ``kto`` train on, by the tokenizer and the limits of ``tokens``."""

    method: PreferenceMethod
    tokens: TokensFormat
    name: str = field(init=False)
    version: int = 1
    unit: Unit = "verdict"
    about: str = "token ids of pairs or of judged replies, for a tokenizer"
    own_report: bool = True
    report: PreferenceReport = field(default_factory=PreferenceReport)

    def __post_init__(self) -> None:
        self.name = f"{self.method}-tokens"

    @property
    def settings(self) -> dict[str, Any]:
        """What the bytes depend on besides log and policy."""
        return self.tokens.settings

    def take_report(self) -> Any:
        """See Format."""
        report = msgspec.to_builtins(self.report)
        self.report = PreferenceReport()
        return report

    def add_report(self, report: Any) -> None:
        """See Format."""
        more, mine = msgspec.convert(report, PreferenceReport), self.report
        mine.rows += more.rows
        mine.good += more.good
        mine.first_problem = mine.first_problem or more.first_problem
        for reason, number in more.refused.items():
            mine.refused[reason] = mine.refused.get(reason, 0) + number

    def explanation(self) -> str:
        """See Format."""
        return self.report.first_problem

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per pair or judged reply; the twin file has the others, and why."""
        for item in find_pairs(source) if self.method == "dpo" else find_unpaired_replies(source):
            if isinstance(item, Refusal):
                result: Line | Refusal = item
            else:
                result = self._pair(source, item) if isinstance(item, Pair) else self._verdict(source, item)
            if isinstance(result, Line):
                self.report.rows += 1
                yield result
                continue
            self.report.refused[result.reason] = self.report.refused.get(result.reason, 0) + 1
            yield result.exclude(source.judged.session)
        self.tokens.renderer.finish()

    def _pair(self, source: Source, pair: Pair) -> Line | Refusal:
        found = [self._tokenise(source, sample) for sample in (pair.chosen, pair.rejected)]
        refused = next((one for one in found if isinstance(one, Refusal)), None)
        if refused is not None:  # the twin file is about the flagged reply, whichever of the two does not fit
            return replace(refused, mask=pair.rejected.mask, labels=pair.rejected.mask.labels)
        chosen, rejected = (one for one in found if isinstance(one, StepTokens))
        # Each prompt may have been cut to fit its own reply.
        length = min(len(chosen.prompt), len(rejected.prompt))
        prompt = list(chosen.prompt[-length:])
        if chosen.no_think != rejected.no_think:
            return Refusal(pair.rejected.id, "reasoning", pair.rejected.mask, pair.rejected.mask.labels)
        if prompt != list(rejected.prompt[-length:]):
            return Refusal(pair.rejected.id, "tokens", pair.rejected.mask, pair.rejected.mask.labels)
        meta = pair.chosen.meta | {"confirmed": pair.confirmed}
        return _line(PairRow(prompt, chosen.target, rejected.target, meta), chosen)

    def _verdict(self, source: Source, verdict: UnpairedReply) -> Line | Refusal:
        tokens = self._tokenise(source, verdict.sample)
        if isinstance(tokens, Refusal):
            return tokens
        self.report.good += verdict.good
        return _line(VerdictRow(list(tokens.prompt), tokens.target, verdict.good, verdict.sample.meta), tokens)

    def _tokenise(self, source: Source, sample: StepSample) -> StepTokens | Refusal:
        tokens = self.tokens.tokenise(source, sample)
        if isinstance(tokens, Exclusion):
            self.report.first_problem = self.report.first_problem or self.tokens.explanation()
            reason = "too_long" if tokens.reason == "too_long" else "tokens"
            return Refusal(sample.id, reason, sample.mask, sample.mask.labels)
        return tokens


def _line(row: PairRow | VerdictRow, tokens: StepTokens) -> Line:
    """The line of a row whose wanted reply, or only one, is ``tokens``."""
    length = len(tokens.target)
    return msgspec.structs.replace(
        line_of(dumps(row), tokens.sample),
        trained_tokens=length,
        processed_tokens=len(tokens.prompt) + length,
        unseen_tokens=0 if tokens.sample.mask.seen else length,
        exact_tokens=True,
        replies=(trained_reply(tokens.sample.mask, length),),
    )
