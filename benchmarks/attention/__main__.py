"""``python -m benchmarks.attention``: precision, recall and delay of each rule on the made sessions, as a table."""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import click
from msgspec.structs import replace

from benchmarks.attention.generated_sessions import DRIFTS, Made
from sessions.attention.settings import Thresholds
from sessions.attention.signals import Signal, signals_of
from sessions.fold.summary import Summary

TUNED: Final = range(10)
REPORTED: Final = range(10, 30)
SESSIONS: Final = 8
WITHIN: Final = 5
GRACE: Final = 2
"""A signal up to so many steps after a drift's end is put down to it."""
LEFT_OUT: Final = frozenset(
    {"budget", "budget_used_up", "context_full", "advice_outcome", "finished", "needs_human", "no_reply", "failed"}
)
"""Rules that state a fact of the log: they cannot be early, late or wrong."""


@dataclass(slots=True)
class Tally:
    """Of one rule."""

    drifts: int = 0
    delays: list[int] = field(default_factory=list)
    right: int = 0
    wrong: int = 0


def measure(seeds: Iterable[int], thresholds: Thresholds) -> tuple[dict[str, Tally], float]:
    """Tallies by rule, and the session-hours that were played."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    hours = 0.0
    for seed in seeds:
        for number in range(SESSIONS):
            made = Made(seed * 1000 + number)
            fired = _fired(made, thresholds)
            hours += (made.at - 1_700_000_000_000) / 3_600_000
            _score(made, fired, tallies)
    return tallies, hours


def _fired(made: Made, thresholds: Thresholds) -> list[Signal]:
    """Each signal once, when it first fires; silence is looked for each minute, as the host does."""
    found: dict[str, Signal] = {}
    before: Summary | None = None
    for summary in made.play():
        if before is not None:
            for now in range(before.last_at + 60_000, summary.last_at, 60_000):
                for signal in signals_of(before, now, thresholds):
                    found.setdefault(signal.id, signal)
        for signal in signals_of(summary, summary.last_at, thresholds):
            if signal.id not in found:
                found[signal.id] = signal if signal.step == summary.step else _at(signal, summary.step)
        before = summary
    return [signal for signal in found.values() if signal.rule not in LEFT_OUT]


def _at(signal: Signal, step: int) -> Signal:
    return replace(signal, step=step)


def _score(made: Made, fired: list[Signal], tallies: dict[str, Tally]) -> None:
    for drift in made.drifts:
        tally = tallies[drift.rule]
        tally.drifts += 1
        steps = [s.step for s in fired if s.rule == drift.rule and drift.step <= s.step <= drift.end + GRACE]
        if steps:
            tally.delays.append(min(steps) - drift.step)
    for signal in fired:
        # Any drift under way makes a signal right: a loop of one error is also a loop of one command.
        near = any(drift.step <= signal.step <= drift.end + GRACE for drift in made.drifts)
        tallies[signal.rule].right += near
        tallies[signal.rule].wrong += not near


def table(tallies: dict[str, Tally], hours: float) -> str:
    """The Markdown table."""
    lines = [
        "| signal | drifts | seen | within 5 steps | delay, median (max) | precision | false alarms |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule in DRIFTS:
        tally = tallies[rule]
        within = sum(delay <= WITHIN for delay in tally.delays)
        delay = f"{statistics.median(tally.delays):.0f} ({max(tally.delays)})" if tally.delays else "–"
        fired = tally.right + tally.wrong
        precision = f"{tally.right / fired:.0%}" if fired else "–"
        lines.append(
            f"| {rule} | {tally.drifts} | {len(tally.delays)} | {within} | {delay} | {precision} | {tally.wrong} |"
        )
    drifts = sum(tally.drifts for tally in tallies.values())
    seen = sum(len(tally.delays) for tally in tallies.values())
    within = sum(delay <= WITHIN for tally in tallies.values() for delay in tally.delays)
    wrong = sum(tally.wrong for tally in tallies.values())
    lines.append(f"| **all** | {drifts} | {seen} | {within} ({within / drifts:.0%}) | | | {wrong} |")
    lines.append("")
    lines.append(f"{hours:,.0f} session-hours; one false alarm per {hours / max(1, wrong):.1f} session-hours.")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="the seeds on which the thresholds were chosen")
    chosen = TUNED if parser.parse_args().tuning else REPORTED
    click.echo(table(*measure(chosen, Thresholds())))
