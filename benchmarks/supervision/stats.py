"""Means over seeds, and differences by seed: seeds are what varies, not episodes.

From four seeds on with a 95 % interval (Student's t); of fewer the range is told, which claims nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

T: Final = {3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
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


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value for each seed."""
    mean = statistics.fmean(values)
    if len(values) - 1 not in T:
        return Estimate(mean, min(values), max(values), False)
    half = T[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return Estimate(mean, mean - half, mean + half, True)


def difference(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """``one - other``, seed by seed."""
    return estimate([a - b for a, b in zip(one, other, strict=True)])
