"""Two kinds of picture as SVG, without a plotting library: bars with intervals, and lines over a swept knob."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.supervision.stats import Estimate

INK, DIM, GRID = "#1f2328", "#57606a", "#d8dee4"
COLOURS: Final = ("#0969da", "#bf8700", "#8250df", "#1a7f37")
FONT: Final = 'font-family="system-ui, sans-serif" font-size="13"'


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart."""

    name: str
    first: Estimate
    second: Estimate


def bars(title: str, rows: Sequence[Bar], legend: tuple[str, str]) -> str:
    """Two bars for each row, from 0 to 1."""
    left, width, pitch, top = 256, 420, 40, 64
    height = top + pitch * len(rows) + 34
    parts = [_text(16, 26, title, weight="600"), *_legend(legend, left, 46)]
    for tick in range(0, 11, 2):
        x = left + width * tick / 10
        parts.append(f'<line x1="{x:g}" y1="{top}" x2="{x:g}" y2="{height - 28}" stroke="{GRID}"/>')
        parts.append(_text(x, height - 10, f"{tick / 10:g}", anchor="middle", colour=DIM))
    for number, row in enumerate(rows):
        y = float(top + pitch * number)
        parts.append(_text(left - 10, y + 24, row.name, anchor="end"))
        for offset, value, colour in ((6.0, row.first, COLOURS[0]), (20.0, row.second, COLOURS[1])):
            parts.append(
                f'<rect x="{left}" y="{y + offset}" width="{width * value.mean:.1f}" height="11" fill="{colour}"/>'
            )
            parts.append(
                _whisker(left + width * max(0.0, value.low), left + width * min(1.0, value.high), y + offset + 5.5)
            )
            parts.append(_text(left + width + 14, y + offset + 10, f"{value.mean:.2f}", colour=colour))
    return _page(left + width + 60, height, parts)


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a value at each place of the axis. ``colour`` is a place in COLOURS."""

    name: str
    values: Sequence[Estimate]
    colour: int
    level: bool = False
    """Whether the knob does not touch it: dashed, and without whiskers."""


def lines(title: str, axis: str, places: Sequence[str], rows: Sequence[Line]) -> str:
    """Lines with intervals over named places of a knob, from 0 to 1."""
    left, top, width, tall = 54, 50, 380, 220
    parts = [_text(16, 26, title, weight="600")]
    for number, row in enumerate(rows):
        parts += _legend([row.name], left + width + 16, top + 20 + 22 * number, first=row.colour)
    for tick in range(0, 11, 2):
        y = top + tall * (1 - tick / 10)
        parts.append(f'<line x1="{left}" y1="{y:g}" x2="{left + width}" y2="{y:g}" stroke="{GRID}"/>')
        parts.append(_text(left - 8, y + 4, f"{tick / 10:g}", anchor="end", colour=DIM))
    step = width / max(1, len(places))
    for number, place in enumerate(places):
        parts.append(_text(left + step * (number + 0.5), top + tall + 20, place, anchor="middle", colour=DIM))
    parts.append(_text(left + width / 2, top + tall + 42, axis, anchor="middle"))
    for number, row in enumerate(rows):
        colour = COLOURS[row.colour % len(COLOURS)]
        shift = 4 * (number - (len(rows) - 1) / 2)
        points = []
        for at, value in enumerate(row.values):
            x, y = left + step * (at + 0.5) + shift, top + tall * (1 - value.mean)
            points.append(f"{x:.1f},{y:.1f}")
            if row.level:
                continue
            low, high = (top + tall * (1 - min(1.0, max(0.0, end))) for end in (value.low, value.high))
            parts.append(f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        dashes = ' stroke-dasharray="6 4"' if row.level else ""
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
    return _page(left + width + 200, top + tall + 56, parts)


def _legend(names: Sequence[str], x: float, y: float, *, first: int = 0) -> list[str]:
    parts = []
    for number, name in enumerate(names, first):
        parts.append(f'<rect x="{x}" y="{y - 10}" width="11" height="11" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(_text(x + 16, y, name, colour=DIM))
        x += 34 + 7.2 * len(name)
    return parts


def _whisker(low: float, high: float, y: float) -> str:
    return f'<line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" stroke="{INK}" stroke-width="1.5"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, weight: str = "400") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _page(width: float, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" {FONT}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"
