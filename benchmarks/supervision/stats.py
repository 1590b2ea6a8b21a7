"""Means over seeds with 95 % intervals (Student's t), and differences by seed: seeds are what varies, not episodes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

T: Final = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}
"""97.5 % quantiles by degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and half the width of its interval; ``half`` is None where one seed says nothing of others."""

    mean: float
    half: float | None
    number: int

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - (self.half or 0.0)

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + (self.half or 0.0)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.half is None else f"{self.mean:.2f} ± {self.half:.2f}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value for each seed."""
    if len(values) < 2:
        return Estimate(values[0], None, 1)
    spread = statistics.stdev(values) / len(values) ** 0.5
    return Estimate(statistics.fmean(values), T.get(len(values) - 1, 1.96) * spread, len(values))


def difference(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """``one - other``, seed by seed."""
    return estimate([a - b for a, b in zip(one, other, strict=True)])
