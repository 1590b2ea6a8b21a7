"""How likely it is that a person has something to do at an item of the review queue: what was measured, smoothed.

Each kind begins with a prior. What people said since (a signal done or a false alarm, a proposal taken or overruled)
moves it, per rule and per judge: one false alarm does not silence a rule, twenty do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sessions.fold.review import Why

PRIORS: Final[Mapping[Why, float]] = {
    "disputed": 1.0,
    "signal": 0.7,
    "proposed": 0.6,
    "malformed": 0.4,
    "error": 0.3,
    "unseen": 0.05,
}
"""Before anything is measured: estimates, not figures of runs."""
WEIGHT: Final = 4
"""The prior counts as so many judgements."""

Evidence = Mapping[tuple[Why, str], tuple[int, int]]
"""How often each kind and source was right, and how often wrong."""


def add_evidence(parts: Iterable[Evidence]) -> Evidence:
    """The evidence of several sessions together."""
    whole: dict[tuple[Why, str], tuple[int, int]] = {}
    for part in parts:
        for source, (right, wrong) in part.items():
            before = whole.get(source, (0, 0))
            whole[source] = (before[0] + right, before[1] + wrong)
    return whole


def worth_of(why: Why, source: str, evidence: Evidence) -> float:
    """Between 0 and 1. Disputes and what nobody has read are not measured."""
    prior = PRIORS[why]
    if why in ("disputed", "unseen"):
        return prior
    right, wrong = evidence.get((why, source), (0, 0))
    return (prior * WEIGHT + right) / (WEIGHT + right + wrong)
