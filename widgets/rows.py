"""An entry as rows: gutter (selection, step, glyph), what it says, and its outcome flush right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from widgets import cells
from widgets.glyphs import KIND_GLYPHS, KIND_WORDS, duration, flag_line, outcome_mark
from widgets.paint import spread
from widgets.sanitise import clean, clean_line
from widgets.views import CorrectionMark, Entry, Line, Role, Span

SELECTED: Final = "›"
"""Marks the selected entry where colours do not."""

CARET: Final = "▌"
SHORT_REASONING: Final = 4
SHORT_TEXT: Final = 8
"""Rows of a reply in a live pane."""
CORRECTION_ROWS: Final = 4
"""Rows of a correction in a transcript; unfolded, and on the Action screen, it is whole."""
LEAST_TAIL: Final = 12
"""Cells below which a result is not squeezed into its headline's row."""


def gutter_width(top_step: int) -> int:
    """Cells for the selection mark and step numbers up to ``top_step``, with a space after."""
    return 1 + max(3, len(str(top_step))) + 1


def rows_of(
    entry: Entry,
    width: int,
    *,
    gutter: int,
    compact: bool = False,
    expanded: bool = False,
    minutes: int = 0,
    selected: bool = False,
) -> list[Line]:
    """The rows of ``entry`` in ``width`` cells.

    ``compact`` is for live panes: a result shares the headline's row if there is room. ``minutes`` is how long what
    has no end yet has been under way.
    """
    lead: Line = (*_number(entry, gutter, selected), (KIND_GLYPHS[entry.kind] + " ", _glyph_role(entry)))
    indent: Span = (" " * (gutter + 2), "text")
    room = max(8, width - gutter - 2)
    right = outcome_line(entry, minutes)
    rows: list[Line] = []
    if entry.head or not entry.body:
        rows.append((*lead, *spread(_head(entry, room, right, compact), right, room)))
    for part in _body(entry, room, compact and not entry.live):
        rows.append((indent, *part) if rows else (*lead, *part))
    if right and entry.body and not entry.head:
        rows.append((indent, *right))
    if entry.tail and not compact and not expanded:
        rows.append((indent, ("└ ", "dim"), *cells.crop_line(((entry.tail, "dim"),), room - 2)))
    if expanded:
        for line in entry.detail:
            rows.extend((indent, ("│ ", "dim"), *part) for part in cells.wrap_line(line, room - 2))
    for mark in entry.corrections:
        rows.extend((indent, *part) for part in _instead(mark, room, 1 if compact else CORRECTION_ROWS, expanded))
    if entry.live and rows:
        rows[-1] = (*cells.crop_line(rows[-1], width - 1, ""), (CARET, "accent"))
    return rows


def _instead(mark: CorrectionMark, room: int, most: int, whole: bool) -> list[Line]:
    """What somebody would have had it do instead, in ``most`` rows, or all of it."""
    by = clean_line(mark.by.removeprefix("human:"), 20)
    lead: Line = (("↳ ", "flag"), ("instead", "strong"), (f" ({by}) ", "dim"))
    text = clean(mark.text).splitlines() or [""]
    rows = list(cells.wrap_line((*lead, (text[0], "text")), room))
    for line in text[1:]:
        rows.extend((("  ", "text"), *part) for part in cells.wrap_line(((line, "text"),), room - 2))
    if whole or len(rows) <= most:
        return rows
    return [*rows[: most - 1], (*cells.crop_line(rows[most - 1], room - 2, ""), (" …", "dim"))]


def _body(entry: Entry, room: int, short: bool) -> Iterator[Line]:
    """What is always shown, wrapped; ``short`` gives reasoning and text a few rows each and says what was cut."""
    left = {"reason": SHORT_REASONING, "text": SHORT_TEXT}
    for line in entry.body:
        kind = "reason" if any(role == "reason" for _, role in line) else "text"
        for part in cells.wrap_line(line, room):
            left[kind] -= 1
            if short and left[kind] == 0:
                yield cells.crop_line((*part, (" …", "dim")), room)
            elif not short or left[kind] > 0:
                yield part


def outcome_line(entry: Entry, minutes: int = 0) -> Line:
    """How it ended, how long it took, what stands about it, its flags: ``✓ 12 s``, ``⚑ impatience``."""
    parts: list[Line] = []
    if entry.note:
        since = f", running {minutes} min" if entry.since is not None and minutes else ""
        parts.append(((entry.note + since, "accent" if entry.kind == "advice" else "dim"),))
    if entry.marks:
        counted = Counter(entry.marks)
        times = entry.kind == "fold"
        said = " · ".join(f"{mark} ×{number}" if times else mark for mark, number in counted.most_common())
        parts.append(((f"[{said}]", "dim"),))
    if entry.outcome:
        mark = outcome_mark(entry.outcome)
        took = duration(entry.duration_ms) if entry.duration_ms is not None else ""
        if entry.outcome == "running" and minutes:
            took = f"{minutes} min"
        words = " ".join(word for word in (mark.word, took) if word)
        parts.append(((f"{mark.glyph} {words}".rstrip(), mark.role),))
    if entry.flags:
        parts.append(flag_line(entry.flags))
    line: list[Span] = []
    for part in parts:
        if line:
            line.append(("  ", "text"))
        line.extend(part)
    return tuple(line)


def _number(entry: Entry, gutter: int, selected: bool) -> Line:
    # A later call of the same step says only its own number: the step stands above it.
    text = ""
    if entry.step is not None:
        text = f".{entry.call}" if entry.call and entry.call > 1 else str(entry.step)
    mark: Span = (SELECTED, "accent") if selected else (" ", "text")
    return (mark, (cells.pad(text, gutter - 2, right=True) + " ", "dim"))


def _glyph_role(entry: Entry) -> Role:
    if entry.kind in ("advice", "question"):
        return "accent" if entry.kind == "advice" else "need"
    return "dim"


def _head(entry: Entry, room: int, right: Line, compact: bool) -> Line:
    word = KIND_WORDS[entry.kind] if entry.kind in ("advice", "eval", "question") else ""
    head: Line = ((f"{word} ", "strong"), *entry.head) if word else entry.head
    taken = cells.line_width(right) + (2 if right else 0)
    wanted = LEAST_TAIL + 2 if compact and entry.tail else 0
    if cells.line_width(head) + taken + wanted > room:
        # What comes last and dim says least.
        head = tuple(span for span in head if span[1] != "dim") or head
    if not (compact and entry.tail):
        return head
    free = room - cells.line_width(head) - taken - 2
    return (*head, ("  ", "text"), *cells.crop_line(((entry.tail, "dim"),), free)) if free >= LEAST_TAIL else head
