"""One measured row of the table, held against its budget."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` is held against ``must`` and ``aim`` (less is better; None: nothing is demanded, it is for reading)."""

    what: str
    value: float
    unit: str
    must: float | None
    aim: float | None
    raw: str
    others: float
    """Percent of a core that everything else on the machine took meanwhile."""

    @property
    def verdict(self) -> str:
        """``aim``, ``must`` or ``missed``."""
        if self.must is None:
            return ""
        if self.aim is not None and self.value <= self.aim:
            return "aim"
        return "must" if self.value <= self.must else "**missed**"

    def row(self) -> str:
        """A row of the Markdown table."""
        wanted = "" if self.must is None else f"≤ {number(self.must)}{self.unit}"
        aimed = "" if self.aim is None else f"≤ {number(self.aim)}{self.unit}"
        return (
            f"| {self.what} | {number(self.value)}{self.unit} | {wanted} | {aimed} | {self.verdict} "
            f"| {self.raw} | {self.others:.0f} % |"
        )


HEAD = "| what | measured | must | aim | met | raw figures | other load |\n|---|---|---|---|---|---|---|"


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def listed(values: Iterable[float]) -> str:
    """All values, short."""
    return " ".join(number(value) for value in values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of all lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Iterable[float]) -> float:
    """The middle one."""
    return statistics.median(values)
