"""The sweeps: which lines each has, its table and its picture. Exploratory: nothing here is adjusted for being many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.supervision.arms import SWEPT, TITLES, UNTRAINED
from benchmarks.supervision.knobs import Annotator
from benchmarks.supervision.plots import Line, lines
from benchmarks.supervision.results import ArmResult, Result
from benchmarks.supervision.stats import Estimate, differences, estimate

OURS: Final = "advice-dropped-masked"
AXES: Final = {
    "recall": "recall of the annotator's flags",
    "false_positives": "share of right actions that get a flag",
    "delay": "steps between noticing and sending advice",
    "look_rate": "share of wrong actions that lead to advice",
    "systematic_share": "share of facts that the base gets wrong systematically",
}
COLOUR: Final = {UNTRAINED: 0, "successes": 1, "raw-masked": 2, OURS: 3}
"""The same arm has the same colour in every picture."""
RIVALS: Final[Mapping[str, tuple[str, ...]]] = {
    "recall": ("successes",),
    "false_positives": ("successes",),
    "delay": ("successes", "raw-masked"),
    "look_rate": ("successes", "raw-masked"),
}
"""Arms that the knob does not touch, drawn at one height: where a line falls below, the order of the arms breaks."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One knob: its values in order, and what each arm came to there, seed by seed."""

    knob: str
    places: tuple[str, ...]
    arms: Mapping[str, Sequence[Sequence[ArmResult]]]
    level: frozenset[str] = frozenset()
    """The arms that the knob does not touch."""

    def successes(self, name: str) -> list[list[float]]:
        """Sampled success of an arm by place, seed by seed."""
        return [[each.sampled.success for each in place] for place in self.arms[name]]

    @property
    def picture(self) -> str:
        """As SVG."""
        rows = [
            Line(TITLES[name], [estimate(values) for values in self.successes(name)], COLOUR[name], name in self.level)
            for name in self.arms
        ]
        return lines(f"Success by {self.knob.replace('_', ' ')}", AXES[self.knob], self.places, rows)

    @property
    def table(self) -> str:
        """Means, the lead of the method over each other arm, and what the annotator did for it."""
        rows = [f"| {self.knob} | " + " | ".join(self.places) + " |", "|---" + "|---:" * len(self.places) + "|"]
        for name in self.arms:
            rows.append(_row(TITLES[name], [str(estimate(values)) for values in self.successes(name)]))
        ours = self.successes(OURS)
        for name in self.arms:
            if name != OURS:
                leads = [estimate(differences(a, b)) for a, b in zip(ours, self.successes(name), strict=True)]
                rows.append(_row(f"*lead over {TITLES[name]}*", [lead.signed + _mark(lead) for lead in leads]))
        acts = [[each.cost.advice + each.cost.flags for each in place] for place in self.arms[OURS]]
        rows.append(_row("*advice + flags of the method*", [f"{sum(each) / len(each):,.0f}" for each in acts]))
        return "\n".join(rows)


def annotator_sweep(knob: str, usual: Annotator, units: Sequence[Result]) -> Sweep | None:
    """The sweep of one of the annotator's knobs, its usual value among the others; None if it was not made."""
    swept = sorted((unit for unit in units if unit.points), key=lambda unit: unit.seed)
    values = {point.value for unit in swept for point in unit.points if point.knob == knob}
    if not values:
        return None
    here = getattr(usual, knob)
    shown = "-".join(map(str, here)) if isinstance(here, tuple) else str(here)
    places = tuple(sorted({shown, *values}, key=lambda place: float(place.split("-")[0])))

    def at(unit: Result, name: str, place: str) -> ArmResult:
        for point in unit.points:
            if (point.knob, point.value, point.result.arm) == (knob, place, name):
                return point.result
        return _arm(unit, name)

    found = {point.result.arm for unit in swept for point in unit.points if point.knob == knob}
    names = [*RIVALS[knob], *(name for name in SWEPT if name in found)]
    arms = {name: [[at(unit, name, place) for unit in swept] for place in places] for name in names}
    return Sweep(knob, places, arms, frozenset(RIVALS[knob]))


def share_sweep(units: Sequence[Result], shares: Sequence[Result]) -> Sweep | None:
    """The sweep of systematic errors, at the seeds that have all places; None if it was not made."""
    if not shares:
        return None
    seeds = {result.seed for result in shares}
    chosen = [result for result in (*shares, *units) if result.seed in seeds]
    places = sorted({result.share for result in chosen})
    names = (UNTRAINED, "successes", "raw-masked", OURS)
    arms = {
        name: [
            [_arm(unit, name) for unit in sorted(chosen, key=lambda unit: unit.seed) if unit.share == place]
            for place in places
        ]
        for name in names
    }
    return Sweep("systematic_share", tuple(f"{place:g}" for place in places), arms)


def _arm(unit: Result, name: str) -> ArmResult:
    return next(each for each in unit.arms if each.arm == name)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _mark(lead: Estimate) -> str:
    """A word where the lead is none: the order of the arms breaks there, or may."""
    if not lead.interval:
        return "" if lead.low > 0 else " (none in some seed)"
    return "" if lead.low > 0 else " (behind)" if lead.high < 0 else " (open)"
