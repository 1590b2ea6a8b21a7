"""Means over seeds, and differences by seed: seeds are what varies, not episodes.

From four seeds on with a 95 % interval (Student's t); of fewer the range is told, which claims nothing. Many questions
at once are held to 5 % for all of them together (Holm).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

T: Final = {3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179}
"""97.5 % quantiles by degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and from where to where: an interval, or of few seeds the range."""

    mean: float
    low: float
    high: float
    interval: bool

    def __str__(self) -> str:
        if self.interval:
            return f"{self.mean:.2f} ± {self.high - self.mean:.2f}"
        return f"{self.mean:.2f}" if self.low == self.high else f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"

    @property
    def signed(self) -> str:
        """A difference, with its sign."""
        return f"{'-' if round(self.mean, 2) < 0 else '+'}{abs(self.mean):.2f}{str(self).lstrip('-0123456789.')}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value for each seed."""
    mean = statistics.fmean(values)
    if len(values) - 1 not in T:
        return Estimate(mean, min(values), max(values), False)
    half = T[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half, True)


def differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """``one - other``, seed by seed."""
    return [a - b for a, b in zip(one, other, strict=True)]


def p_value(values: Sequence[float]) -> float:
    """How likely differences as far from 0 are, were there none: a two-sided paired t test, of at least two seeds."""
    spread = statistics.stdev(values)
    mean = statistics.fmean(values)
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    return _outside(abs(mean) / (spread / len(values) ** 0.5), len(values) - 1)


def _outside(t: float, degrees: int) -> float:
    """The chance that Student's t lies outside of ±t: Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / degrees**0.5)
    cosine, term, total = math.cos(angle), 1.0, 0.0
    first = degrees % 2
    if first:
        term = cosine
    for k in range(first, degrees - 1, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    inside = 2 / math.pi * (angle + math.sin(angle) * total) if first else math.sin(angle) * total
    return max(0.0, 1 - inside)


def holm(values: Sequence[float]) -> list[float]:
    """The p values, adjusted for being many: what is below 0.05 stands at 5 % for all of them together."""
    adjusted = [0.0] * len(values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        worst = max(worst, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = worst
    return adjusted
