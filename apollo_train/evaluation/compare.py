"""Paired differences between two models, with a bootstrap interval over tasks and their repeats."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from apollo_train.evaluation.outcome import Result

DRAWS: Final = 4000
SEED: Final = 20270101
LEVEL: Final = 0.95

Value = Callable[[Result], float | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """``model`` minus ``base`` in one measure, turned so that more than 0 is better.

    ``mean`` is over tasks, each the mean of its pairs; ``low`` and ``high`` are None where one pair tells nothing of
    chance. ``left_out``: pairs in which one of the two has no value.
    """

    measure: str
    base: str
    model: str
    tasks: int
    pairs: int
    left_out: int
    mean: float | None
    low: float | None
    high: float | None
    better: int
    equal: int
    worse: int

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def best_score(missing: float | None) -> Value:
    """The best score; ``missing`` stands for none in a session that was played."""
    return lambda result: result.best if result.best is not None else missing if result.played else None


def last_score(missing: float | None) -> Value:
    """The last score; ``missing`` stands for none in a session that was played."""
    return lambda result: result.last if result.last is not None else missing if result.played else None


def finish_rate(result: Result) -> float | None:
    """1 for a session that its agent finished, else 0; None where it was not played."""
    return float(result.finished) if result.played else None


def compare(results: Sequence[Result], base: str, model: str, *, missing: float | None = None) -> list[Difference]:
    """The differences in best score, last score and share of finished sessions."""
    measures: Mapping[str, tuple[Value, bool]] = {
        "best score": (best_score(missing), True),
        "last score": (last_score(missing), True),
        "finished": (finish_rate, False),
    }
    return [_difference(results, base, model, name, value, is_score) for name, (value, is_score) in measures.items()]


def _difference(
    results: Sequence[Result], base: str, model: str, measure: str, value: Value, is_score: bool
) -> Difference:
    found = {(each.task, each.repeat, each.model): each for each in results}
    gains: dict[str, list[float]] = {}
    left_out = 0
    for (task, repeat, label), ours in found.items():
        if label != model:
            continue
        theirs = found[task, repeat, base]
        one, other = value(ours), value(theirs)
        if one is None or other is None:
            left_out += 1
        else:
            lower = is_score and "lower" in (ours.better, theirs.better)
            gains.setdefault(task, []).append(other - one if lower else one - other)
    pairs = [gain for of_task in gains.values() for gain in of_task]
    low, high = interval(list(gains.values()))
    return Difference(
        measure, base, model, len(gains), len(pairs), left_out,
        mean=mean_over_tasks(list(gains.values())) if pairs else None,
        low=low, high=high,
        better=sum(gain > 0 for gain in pairs),
        equal=sum(gain == 0 for gain in pairs),
        worse=sum(gain < 0 for gain in pairs),
    )  # fmt: skip


def mean_over_tasks(gains: Sequence[Sequence[float]]) -> float:
    """Every task weighs the same, whatever the number of its pairs."""
    return statistics.fmean(statistics.fmean(of_task) for of_task in gains)


def interval(gains: Sequence[Sequence[float]], draws: int = DRAWS) -> tuple[float | None, float | None]:
    """The percentile interval of the mean: tasks are drawn anew, then pairs within each. None of fewer than two."""
    if sum(len(of_task) for of_task in gains) < 2:
        return None, None
    chance = random.Random(SEED)
    means = sorted(
        statistics.fmean(
            statistics.fmean(chance.choices(of_task, k=len(of_task))) for of_task in chance.choices(gains, k=len(gains))
        )
        for _ in range(draws)
    )
    tail = (1 - LEVEL) / 2
    return means[int(tail * (draws - 1))], means[-1 - int(tail * (draws - 1))]
