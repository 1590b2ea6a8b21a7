"""From the results of all units to the tables and pictures: ``table.md``, ``results.json`` and SVG files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.supervision.arms import ARMS, SWEPT, TITLES, UNTRAINED
from benchmarks.supervision.knobs import Annotator, Knobs, Size
from benchmarks.supervision.plots import Bar, Line, bars, lines
from benchmarks.supervision.stats import Estimate, difference, estimate
from benchmarks.supervision.unit import SHARE_ARMS, ArmResult, Result

Value = Callable[[ArmResult], float]
ORDER: Final = (UNTRAINED, *(each.name for each in ARMS))
QUESTIONS: Final = (
    ("Does raw training help at all?", "raw", UNTRAINED),
    ("Do masks alone help?", "raw-masked", "raw"),
    ("Is it the masks, or training on less?", "raw-masked", "raw-random-masks"),
    ("Are masks better than keeping successes only?", "raw-masked", "successes"),
    ("Does unmasked advice help, kept in the context?", "advice-kept", "raw"),
    ("Does unmasked advice help, dropped from it?", "advice-dropped", "raw"),
    ("Does kept advice add to masks?", "advice-kept-masked", "raw-masked"),
    ("Does dropped advice add to masks?", "advice-dropped-masked", "raw-masked"),
    ("With masks: dropped or kept?", "advice-dropped-masked", "advice-kept-masked"),
    ("How far from perfect data?", "advice-dropped-masked", "oracle"),
)
"""Differences that are reported, by seed: the first arm minus the second."""


def sampled(result: ArmResult) -> float:
    """Success of sampled test episodes: the number of the table."""
    return result.sampled.success


def write(folder: Path, which: str, knobs: Knobs, size: Size, units: Sequence[Result], shares: Sequence[Result]) -> str:
    """Write everything into ``folder``; the table is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"version": which, "seeds": list(units), "systematic_share": list(shares)}
    (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    (folder / "arms.svg").write_text(_bars(units), "utf-8")
    parts = [_table(units), _differences(units), _rollouts(units)]
    for knob, axis in (
        ("recall", "recall of the annotator's flags"),
        ("false_positives", "share of right actions that get a flag"),
        ("delay", "steps between noticing and sending advice"),
        ("look_rate", "share of wrong actions that lead to advice"),
    ):
        places, rows = _swept(knob, knobs.annotator, units)
        if len(places) > 1:
            (folder / f"{knob}.svg").write_text(
                lines(f"Success by {knob.replace('_', ' ')}", axis, places, rows), "utf-8"
            )
            parts.append(_sweep_table(knob, places, rows))
    places, rows = _shares([*shares, *units], size)
    if len(places) > 1:
        axis = "share of facts that the base gets wrong systematically"
        (folder / "systematic_share.svg").write_text(lines("Success by systematic errors", axis, places, rows), "utf-8")
        parts.append(_sweep_table("systematic_share", places, rows))
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
            sampled, lambda a: a.greedy.success, lambda a: a.sampled.progress, lambda a: a.sampled.right,
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
    gained = zip(_of(units, name, sampled), _of(units, "raw", sampled), acts, strict=True)
    return str(estimate([100 * (mine - raw) / cost for mine, raw, cost in gained]))


def _differences(units: Sequence[Result]) -> str:
    rows = ["| question | difference in success | 0 outside the interval |", "|---|---:|---|"]
    for question, one, other in QUESTIONS:
        made = difference(_of(units, one, sampled), _of(units, other, sampled))
        sure = ("yes" if made.low > 0 or made.high < 0 else "no") if made.interval else "–"
        half = f" ± {made.high - made.mean:.2f}" if made.interval else ""
        rows.append(f"| {question} ({TITLES[one]} − {TITLES[other]}) | {made.mean:+.2f}{half} | {sure} |")
    return "\n".join(rows)


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
        Bar(TITLES[name], estimate(_of(units, name, sampled)), estimate(_of(units, name, lambda a: a.greedy.success)))
        for name in ORDER
    ]
    return bars("Success without advice at test", rows, ("sampled", "greedy"))


def _swept(knob: str, annotator: Annotator, units: Sequence[Result]) -> tuple[list[str], list[Line]]:
    """The values of a knob, its usual one among them, and a line for each arm that was trained again."""
    swept = [unit for unit in units if unit.points]
    found: dict[tuple[str, str], list[float]] = {}
    for unit in swept:
        for point in unit.points:
            if point.knob == knob:
                found.setdefault((point.result.arm, point.value), []).append(sampled(point.result))
    usual = getattr(annotator, knob)
    shown = "-".join(map(str, usual)) if isinstance(usual, tuple) else str(usual)
    for name in SWEPT:
        if any(arm == name for arm, _ in found):
            found[name, shown] = _of(swept, name, sampled)
    places = sorted({place for _, place in found}, key=lambda place: float(place.split("-")[0]))
    arms = [name for name in SWEPT if any(arm == name for arm, _ in found)]
    return places, [Line(TITLES[name], [_at(found, name, place) for place in places]) for name in arms]


def _at(found: dict[tuple[str, str], list[float]], name: str, place: str) -> Estimate | None:
    values = found.get((name, place))
    return estimate(values) if values else None


def _shares(results: Sequence[Result], size: Size) -> tuple[list[str], list[Line]]:
    chosen = [result for result in results if result.seed in size.sweep_seeds]
    places = sorted({result.share for result in chosen})
    rows = []
    for name in (UNTRAINED, *(each for each in SHARE_ARMS if each != "raw")):
        values = [_of([r for r in chosen if r.share == place], name, sampled) for place in places]
        rows.append(Line(TITLES[name], [estimate(each) for each in values]))
    return [f"{place:g}" for place in places], rows


def _sweep_table(knob: str, places: Sequence[str], rows: Sequence[Line]) -> str:
    head = [f"| {knob} | " + " | ".join(places) + " |", "|---" + "|---:" * len(places) + "|"]
    body = [f"| {row.name} | " + " | ".join("–" if v is None else str(v) for v in row.values) + " |" for row in rows]
    return "\n".join([*head, *body])
