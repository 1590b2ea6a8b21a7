"""From the results of all units to the tables and pictures: ``table.md``, ``results.json`` and SVG files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.supervision.arms import ARMS, TITLES, UNTRAINED
from benchmarks.supervision.knobs import Knobs
from benchmarks.supervision.plots import Bar, bars
from benchmarks.supervision.questions import successes, told
from benchmarks.supervision.results import ArmResult, Result
from benchmarks.supervision.stats import differences, estimate
from benchmarks.supervision.sweeps import AXES, annotator_sweep, share_sweep

Value = Callable[[ArmResult], float]
ORDER: Final = (UNTRAINED, *(each.name for each in ARMS))


def write(folder: Path, which: str, knobs: Knobs, units: Sequence[Result], shares: Sequence[Result]) -> str:
    """Write everything into ``folder``; the table is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"version": which, "seeds": list(units), "systematic_share": list(shares)}
    (folder / "results.json").write_bytes(msgspec.json.encode(whole) + b"\n")
    (folder / "arms.svg").write_text(_bars(units), "utf-8")
    parts = [_table(units), told(units), _held_out(units), _rollouts(units)]
    swept = sum(1 for unit in units if unit.points)
    if swept:
        parts.append(
            f"Sweeps, of {swept} seeds. Leads are seed by seed; open: the interval has 0 in it; behind: it is below 0. "
            "Nothing is adjusted for there being many."
        )
    made = [annotator_sweep(knob, knobs.annotator, units) for knob in AXES if knob != "systematic_share"]
    for sweep in (*made, share_sweep(units, shares)):
        if sweep is not None:
            (folder / f"{sweep.knob}.svg").write_text(sweep.picture, "utf-8")
            parts.append(sweep.table)
    text = "\n\n".join(parts) + "\n"
    (folder / "table.md").write_text(text, "utf-8")
    return text


def _of(units: Iterable[Result], name: str, value: Value) -> list[float]:
    return [value(each) for unit in units for each in unit.arms if each.arm == name]


def _table(units: Sequence[Result]) -> str:
    head = (
        "| arm | success, sampled | success, greedy | stages done | right actions | rows | tokens trained "
        "| advice | flags | success gained per 100 annotator actions |"
    )
    rows = [head, "|---" + "|---:" * 9 + "|"]
    for name in ORDER:
        cells = [estimate(_of(units, name, value)) for value in (
            lambda a: a.sampled.success, lambda a: a.greedy.success, lambda a: a.sampled.progress,
            lambda a: a.sampled.right,
        )]  # fmt: skip
        counts = [
            _mean(units, name, value)
            for value in (
                lambda a: a.trained_on.rows if a.trained_on else 0,
                lambda a: a.trained_on.trained if a.trained_on else 0,
                lambda a: a.cost.advice,
                lambda a: a.cost.flags,
            )
        ]
        rows.append(
            f"| {TITLES[name]} | {' | '.join(map(str, cells))} | {' | '.join(counts)} | {_worth(units, name)} |"
        )
    steps = {each.trained_on.steps for unit in units for each in unit.arms if each.trained_on}
    rows.append("")
    rows.append(
        f"Means over {len(units)} seeds ± half of a 95 % t interval. All trained arms: {' or '.join(map(str, steps))} "
        "optimiser steps from the same base. Tests without advice. Gains are against raw rollouts."
    )
    return "\n".join(rows)


def _mean(units: Sequence[Result], name: str, value: Value) -> str:
    return f"{estimate(_of(units, name, value)).mean:,.0f}"


def _worth(units: Sequence[Result], name: str) -> str:
    """Success gained over raw rollouts per 100 pieces of advice and flags, seed by seed."""
    acts = _of(units, name, lambda a: a.cost.advice + a.cost.flags)
    if not all(acts):
        return "–"
    gained = zip(successes(units, name), successes(units, "raw"), acts, strict=True)
    return str(estimate([100 * (mine - raw) / cost for mine, raw, cost in gained]))


def _held_out(units: Sequence[Result]) -> str:
    rows = [
        "| arm | right at first, facts in training | against untrained | right at first, facts held out "
        "| against untrained | success with one held out |",
        "|---" + "|---:" * 5 + "|",
    ]
    before = {value: _of(units, UNTRAINED, value) for value in (_known, _unknown)}
    for name in ORDER:
        cells = []
        for value in (_known, _unknown):
            found = _of(units, name, value)
            gain = "" if name == UNTRAINED else estimate(differences(found, before[value])).signed
            cells += [str(estimate(found)), gain]
        cells.append(str(estimate(_of(units, name, lambda a: a.held_out.success))))
        rows.append(f"| {TITLES[name]} | {' | '.join(cells)} |")
    rows.append("")
    rows.append(
        "Facts held out: no training episode shows them, but the base's past did. Right at first: the first action of "
        "a stage. Not adjusted for being many."
    )
    return "\n".join(rows)


def _known(result: ArmResult) -> float:
    return result.sampled.known


def _unknown(result: ArmResult) -> float:
    return result.held_out.held_out or 0.0


def _rollouts(units: Sequence[Result]) -> str:
    rows = [
        "| training rollouts | steps | right actions | success | advice | flags |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in ("raw", "advised", "oracle"):
        found = [unit.rollouts[name] for unit in units]
        mean = [
            sum(getattr(each, key) for each in found) / len(found)
            for key in ("steps", "right", "success", "advice", "flags")
        ]
        rows.append(f"| {name} | {mean[0]:,.0f} | {mean[1]:.2f} | {mean[2]:.2f} | {mean[3]:,.0f} | {mean[4]:,.0f} |")
    return "\n".join(rows)


def _bars(units: Sequence[Result]) -> str:
    rows = [
        Bar(TITLES[name], estimate(successes(units, name)), estimate(_of(units, name, lambda a: a.greedy.success)))
        for name in ORDER
    ]
    return bars("Success without advice at test", rows, ("sampled", "greedy"))
