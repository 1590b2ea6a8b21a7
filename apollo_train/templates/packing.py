"""Replies of one context joined into one row, where that trains exactly the same tokens at the same places.

A row grows while the next prompt, encoded afresh, begins with the very tokens of the row so far: then each reply in it
stands after exactly the prompt that it was sampled from. Where a template breaks that (it drops earlier reasoning, say)
the row ends and the next begins; nothing is approximated, and each break is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from apollo_train.templates.prompt_encoder import PromptIds
from apollo_train.templates.renderer import StepTokens

Packing = Literal["rounds", "steps"]
IGNORED = -100
"""The label of a token without loss."""


@dataclass(frozen=True, slots=True)
class PackedReply:
    """One reply in a row: its target is ``ids[start:end]``."""

    step: StepTokens
    start: int
    end: int


@dataclass(slots=True)
class Row:
    """One row: token ids, of each whether it is trained, and the replies in it."""

    ids: list[int]
    trained: list[bool]
    replies: list[PackedReply]

    @property
    def labels(self) -> list[int]:
        """``ids`` where trained, else IGNORED."""
        return [number if on else IGNORED for number, on in zip(self.ids, self.trained, strict=True)]

    @property
    def last(self) -> StepTokens:
        """The newest reply, whose prompt holds all others."""
        return self.replies[-1].step


@dataclass(slots=True)
class PackCounts:
    """What became of packing: ``broken`` by the template, ``long`` because a prompt had to be cut."""

    replies: int = 0
    rows: int = 0
    broken: int = 0
    long: int = 0


@dataclass(slots=True)
class Packer:
    """Joins the replies of one session; twins (by the suffix of their id) never share a row.

    Two replies, ``prompt [1, 2], target [3]`` and ``prompt [1, 2, 3, 4], target [5]``, are one row:
    ``ids [1, 2, 3, 4, 5], trained [False, False, True, False, True]``. Were the second prompt ``[1, 9, 4]``, as where a
    template drops earlier reasoning, they would be two.
    """

    packing: Packing = "rounds"
    counts: PackCounts = field(default_factory=PackCounts)

    def rows(self, steps: Iterable[StepTokens]) -> Iterator[Row]:
        """The rows of these replies, in the order of their first reply's end."""
        growing: dict[tuple[object, ...], Row] = {}
        for step in steps:
            self.counts.replies += 1
            key = _shared_facts(step)
            row = growing.get(key)
            if row is not None and self._joins(row, step):
                _join(row, step)
                continue
            if row is not None:
                yield self._close(growing.pop(key))
            growing[key] = make_row(step)
        for row in growing.values():
            yield self._close(row)

    def _close(self, row: Row) -> Row:
        self.counts.rows += 1
        return row

    def _joins(self, row: Row, step: StepTokens) -> bool:
        if self.packing == "steps" or row.last.sample.root != step.sample.root:
            return False
        if not step.cut and not _goes_on(row, step):
            self.counts.broken += 1
            return False
        if step.cut or row.last.cut:
            self.counts.long += 1
            return False
        return True


def _goes_on(row: Row, step: StepTokens) -> bool:
    """Whether the prompt begins with the very tokens of the row."""
    last = row.last.prompt
    known = step.prompt.shared_with(last) if isinstance(step.prompt, PromptIds) and not row.last.cut else 0
    return list(step.prompt[known : len(row.ids)]) == row.ids[known:]


def make_row(step: StepTokens) -> Row:
    """A row of one reply."""
    start = len(step.prompt)
    return Row([*step.prompt, *step.target], [False] * start + step.labels, [_place_reply(step, start)])


def _join(row: Row, step: StepTokens) -> None:
    between = list(step.prompt[len(row.ids) :])
    row.trained += [False] * len(between) + step.labels
    row.ids += [*between, *step.target]
    row.replies.append(_place_reply(step, len(step.prompt)))


def _place_reply(step: StepTokens, start: int) -> PackedReply:
    return PackedReply(step, start, start + len(step.target))


def _shared_facts(step: StepTokens) -> tuple[object, ...]:
    """Only replies that agree in all this can share a row, because a row says it once."""
    meta = step.sample.meta
    suffix = next((end for end in ("+advice", "-advice") if str(meta["id"]).endswith(end)), "")
    return (suffix, meta["weight"], meta["prompt"], meta["model"], meta["split"])
