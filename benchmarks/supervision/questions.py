"""The questions that the benchmark was made to answer, each a difference between two arms, and what came out.

They were written down before the full version was run. All of them together are held to 5 % (Holm), so that one of
many does not come out by luck; sweeps are there to look at, and are not held to anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.supervision.arms import TITLES, UNTRAINED
from benchmarks.supervision.results import Result
from benchmarks.supervision.stats import Estimate, differences, estimate, holm, p_value


@dataclass(frozen=True, slots=True)
class Question:
    """Whether ``one`` succeeds more often than ``other``, as ``claim`` says."""

    claim: str
    one: str
    other: str


QUESTIONS: Final = (
    Question("raw training helps", "raw", UNTRAINED),
    Question("masks alone help", "raw-masked", "raw"),
    Question("it is the masks, not training on less", "raw-masked", "raw-random-masks"),
    Question("masks are better than keeping successes only", "raw-masked", "successes"),
    Question("flagged steps should stay in the context", "raw-masked", "raw-masked-cut"),
    Question("unmasked advice helps, kept in the context", "advice-kept", "raw"),
    Question("unmasked advice helps, dropped from it", "advice-dropped", "raw"),
    Question("kept advice adds to masks", "advice-kept-masked", "raw-masked"),
    Question("dropped advice adds to masks", "advice-dropped-masked", "raw-masked"),
    Question("with masks, dropped is better than kept", "advice-dropped-masked", "advice-kept-masked"),
    Question("with advice too, flagged steps should stay", "advice-dropped-masked", "advice-dropped-masked-cut"),
    Question("perfect data are better still", "oracle", "advice-dropped-masked"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came out: the difference, its p value adjusted for all questions, and the seeds that go the claim's way."""

    question: Question
    difference: Estimate
    p: float
    ahead: int
    seeds: int

    @property
    def verdict(self) -> str:
        """In words."""
        if self.p >= 0.05:
            return "not shown"
        return "yes" if self.difference.mean > 0 else "the opposite"


def answers(units: Sequence[Result]) -> list[Answer]:
    """An answer to each question; none from fewer than two seeds."""
    if len(units) < 2:
        return []
    found = []
    for question in QUESTIONS:
        one, other = (successes(units, name) for name in (question.one, question.other))
        found.append((question, differences(one, other)))
    adjusted = holm([p_value(values) for _, values in found])
    return [
        Answer(question, estimate(values), p, sum(value > 0 for value in values), len(values))
        for (question, values), p in zip(found, adjusted, strict=True)
    ]


def successes(units: Sequence[Result], name: str) -> list[float]:
    """Sampled success of an arm, seed by seed."""
    return [each.sampled.success for unit in units for each in unit.arms if each.arm == name]


def told(units: Sequence[Result]) -> str:
    """The answers as a table."""
    rows = ["| claim | difference in success | seeds ahead | p (Holm) | shown? |", "|---|---:|---:|---:|---|"]
    for each in answers(units):
        about = f"{each.question.claim} ({TITLES[each.question.one]} − {TITLES[each.question.other]})"
        p = "< 0.001" if each.p < 0.001 else f"{each.p:.3f}"
        rows.append(f"| {about} | {each.difference.signed} | {each.ahead} of {each.seeds} | {p} | {each.verdict} |")
    rows.append("")
    rows.append(
        "Differences seed by seed, ± half of a 95 % t interval of each. p: paired t test, two-sided, adjusted for "
        f"{len(QUESTIONS)} questions (Holm); shown: below 0.05."
    )
    return "\n".join(rows)
