"""``tokens``: ``input_ids`` and ``labels`` (-100 where there is no loss). The one form that no loader can misread.

It needs a tokenizer, so it is made with one (``apollo-train tokens``) and not found by name alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from apollo_train.formats.base import Format, Line, TrainedReply, Unit, is_twin
from apollo_train.formats.token_report import TokenReport
from apollo_train.masks.annotations import Annotations
from apollo_train.runtime import TrainError
from apollo_train.samples.char_spans import masks_parts_of_tokens
from apollo_train.samples.chat import dumps
from apollo_train.samples.scrub import ScrubRules
from apollo_train.samples.step_samples import Exclusion, Source, StepSample, make_step_samples
from apollo_train.templates.packing import PackedReply, Packer, Packing, Row
from apollo_train.templates.renderer import Renderer, StepTokens, Unfit, describe_renderer

TooLongChoice = Literal["error", "exclude", "keep_end"]


class TooLong(TrainError):
    """A sample is longer than the limit, and nobody chose what to do then."""


@dataclass
class TokensFormat(Format):
    """Rows of token ids. ``report`` fills while lines are made; lengths are in tokens."""

    renderer: Renderer
    packing: Packing = "rounds"
    max_length: int | None = None
    too_long: TooLongChoice = "error"
    """``error``; ``exclude`` the reply; or ``keep_end``: cut the start of its prompt, never its target."""
    attention_mask: bool = False
    """Also write a column of ones: Axolotl and LLaMA-Factory know token rows by it."""
    previews: int = 12
    name: str = "tokens"
    version: int = 2
    unit: Unit = "step"
    about: str = "input_ids and labels, for a tokenizer"
    own_report: bool = True
    labels: bool = False
    scrubs: bool = True
    scrub: ScrubRules | None = None
    report: TokenReport = field(default_factory=TokenReport)
    _taken: int = field(default=0, init=False)
    """Rows that were kept for a look before, in reports that were taken."""

    def take_report(self) -> Any:
        """See Format."""
        report = msgspec.to_builtins(self.report)
        self._taken += len(self.report.shown)
        self.report = TokenReport()
        return report

    def add_report(self, report: Any) -> None:
        """See Format."""
        self.report.add(msgspec.convert(report, TokenReport), previews=self.previews)

    @property
    def settings(self) -> dict[str, Any]:
        """What the bytes depend on besides log and policy."""
        limits = {"packing": self.packing, "max_length": self.max_length, "too_long": self.too_long}
        return {**super().settings, **describe_renderer(self.renderer), **limits, "attention_mask": self.attention_mask}

    def lines(self, source: Source) -> Iterator[Line | Exclusion]:
        """A line per row of the session."""
        for row in self.rows(source):
            yield row if isinstance(row, Exclusion) else self._line(row)

    def rows(self, source: Source) -> Iterator[Row | Exclusion]:
        """The rows of the session, and why replies are in none."""
        left_out: list[Exclusion] = []
        packer = Packer(self.packing)
        twins: set[int] = set()
        for row in packer.rows(self._tokenise_samples(source, left_out)):
            yield from left_out
            left_out.clear()
            self.report.take(row, self.renderer.engine, previews=self.previews - self._taken)
            if source.policy.version > 1:
                self._count_twins(row, twins)
            yield row
        yield from left_out
        self.renderer.finish()
        self.report.add_packing(packer.counts)

    def _count_twins(self, row: Row, known: set[int]) -> None:
        """Count the replies of the row that another one has too; ``known``: those of twins so far."""
        found = {reply.step.sample.mask.seq for reply in row.replies if is_twin(reply.step.sample.id)}
        self.report.twins += len(found & known)
        known |= found

    def explanation(self) -> str:
        """See Format."""
        return self.report.first_problem

    def row(self, row: Row) -> dict[str, Any]:
        """What is written of a row."""
        first, last = row.replies[0].step.sample, row.last.sample
        meta = dict(last.meta)
        if len(row.replies) > 1:
            steps = f"{first.meta['step']}-{last.meta['step']}"
            meta |= {"id": last.id.replace(f":{last.meta['step']}", f":{steps}", 1), "step": steps, "packing": "round"}
        meta |= {
            "seen": all(reply.step.sample.meta["seen"] for reply in row.replies),
            "segment": last.root,
            **_join_labels(row),
            "targets": [[reply.step.sample.meta["step"], reply.start, reply.end] for reply in row.replies],
            "template": self.settings["template_sha256"],
            "tokenizer": self.settings["tokenizer_sha256"],
        }
        mask = {"attention_mask": [1] * len(row.ids)} if self.attention_mask else {}
        return {"input_ids": row.ids, **mask, "labels": row.labels, "meta": meta}

    def _line(self, row: Row) -> Line:
        trained = [sum(row.trained[reply.start : reply.end]) for reply in row.replies]
        unseen = (n for n, reply in zip(trained, row.replies, strict=True) if not reply.step.sample.mask.seen)
        return Line(
            dumps(self.row(row)),
            trained=len(row.replies),
            trained_tokens=sum(trained),
            processed_tokens=len(row.ids),
            unseen_tokens=sum(unseen),
            counterfactual=row.last.sample.meta["prompt"] == "counterfactual",
            helped=bool(row.last.sample.meta["advice"]),
            id=row.last.sample.id,
            actions=sum(map(_calls, row.replies)),
            weight=row.last.sample.meta["weight"],
            models=tuple([reply.step.sample.mask.model for reply in row.replies]),
            replies=tuple(
                TrainedReply(reply.step.sample.mask.seq, n, 0 if reply.step.sample.mask.seen else n, _calls(reply))
                for n, reply in zip(trained, row.replies, strict=True)
            ),
        )

    def _tokenise_samples(self, source: Source, left_out: list[Exclusion]) -> Iterator[StepTokens]:
        parts = masks_parts_of_tokens(source.policy)
        for sample in make_step_samples(
            source, lambda mask: mask.trained or (parts and any(c.trained for c in mask.cells))
        ):
            tokens = sample if isinstance(sample, Exclusion) else self.tokenise(source, sample)
            if isinstance(tokens, StepTokens) and not any(tokens.labels):
                tokens = exclude_sample(source, tokens.sample, tokens.sample.mask.reason)
            if isinstance(tokens, Exclusion):
                self.report.drop(tokens.reason)
                left_out.append(tokens)
            else:
                yield tokens

    def tokenise(self, source: Source, sample: StepSample) -> StepTokens | Exclusion:
        """The tokens of one sample within the limit, or why there are none. Raises TooLong."""
        tokens = self.renderer.step(sample)
        if isinstance(tokens, Unfit):
            judged = source.judged
            self.report.note(tokens, f"step {sample.meta['step']} of session {_address_of(judged)}")
            left_out = exclude_sample(source, sample, tokens.reason)
            return replace(left_out, says=tokens.detail) if source.policy.version > 1 else left_out
        length = len(tokens.prompt) + len(tokens.target)
        if self.max_length is None or length <= self.max_length:
            return tokens
        if self.too_long == "error":
            raise TooLong(
                f"step {sample.meta['step']} of session {source.judged.session} makes {length:,} tokens, over the "
                f"limit of {self.max_length:,}: raise --max-length, or say --too-long exclude (without it) or keep_end "
                "(cut the start of its prompt)"
            )
        room = self.max_length - len(tokens.target)
        if self.too_long == "exclude" or room <= 0:
            return exclude_sample(source, sample, "too_long")
        return replace(tokens, prompt=tokens.prompt[-room:], cut=len(tokens.prompt) - room)


def _join_labels(row: Row) -> dict[str, Any]:
    """``labels`` of all replies of the row, where they are asked for."""
    found = [reply.step.sample.meta["labels"] for reply in row.replies if "labels" in reply.step.sample.meta]
    return {"labels": [label for labels in found for label in labels]} if found else {}


def _address_of(judged: Annotations) -> str:
    """What people call a session by; one that is in no log has no number."""
    return judged.created.address if judged.created.number else judged.session


def _calls(reply: PackedReply) -> int:
    """How many calls of the reply are trained."""
    pieces = [piece for piece in reply.step.pieces if not piece.reason]
    whole = sum(reply.step.sample.mask.calls for piece in pieces if piece.part == "reply")
    return whole + sum(piece.part == "call" for piece in pieces)


def exclude_sample(source: Source, sample: StepSample, reason: str) -> Exclusion:
    """The line of the twin file for a sample that cannot be written."""
    suffix = sample.id.removeprefix(f"{source.judged.session}:{sample.mask.name}")
    return source.exclude(sample.mask, reason, suffix)
