"""An entry as rows: gutter (selection, step, glyph), what it says, and its outcome flush right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from sessions.annotators import shown_name
from widgets import cells
from widgets.cells import restyle, slice_line, text_of
from widgets.glyphs import KIND_GLYPHS, KIND_WORDS, UNKNOWN, duration, flag_line, outcome_mark, running_time
from widgets.models import REASON_BAR, CorrectionMark, Entry, Line, Role, Span
from widgets.paint import spread
from widgets.sanitise import clean, clean_line
from widgets.search import matches

SELECTED: Final = "›"
"""Marks the selected entry where colours do not."""

SPAN: Final = "┃"
"""Marks the other rows of a span that is being chosen."""

CARET: Final = "▌"
SHORT_REASONING: Final = 4
SHORT_TEXT: Final = 8
"""Rows of a reply in a live pane."""
CORRECTION_ROWS: Final = 4
"""Rows of a correction in a transcript; unfolded, and on the Action screen, it is whole."""
LEAST_PART: Final = 4
"""Cells below which a note, a mark or a flag says nothing."""
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
    running: str = "",
    selected: bool = False,
) -> list[Line]:
    """The rows of ``entry`` in ``width`` cells.

    ``compact`` is for live panes: a result shares the headline's row if there is room; what a command prints while it
    runs has its own. ``running`` says how long what has no end yet has been under way (``glyphs.running_time``).
    """
    lead: Line = (*_number(entry, gutter, selected), (KIND_GLYPHS[entry.kind] + " ", _glyph_role(entry)))
    indent: Span = (" " * (gutter + 2), "text")
    room = max(8, width - gutter - 2)
    right = outcome_line(entry, running, _room_beside_name(entry, room) if entry.head else room)
    rows: list[Line] = []
    if entry.head or not entry.body:
        rows.append((*lead, *spread(_head(entry, room, right, compact), right, room)))
    for part in _body(entry, room, compact and not entry.live):
        rows.append((indent, *part) if rows else (*lead, *part))
    if right and entry.body and not entry.head:
        rows.append((indent, *right))
    if not compact and not expanded:
        rows.extend((indent, *cells.crop_line(line, room)) for line in entry.preview)
    if entry.tail and not expanded and (not compact or entry.outcome == "running"):
        rows.append((indent, ("└ ", "dim"), *cells.crop_line(((entry.tail, _tail_role(entry)),), room - 2)))
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
    by = clean_line(shown_name(mark.by), 20)
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
        kind = "reason" if line and line[0] == REASON_BAR else "text"
        for part in cells.wrap_line(line, room):
            left[kind] -= 1
            if short and left[kind] == 0:
                yield cells.crop_line((*part, (" …", "dim")), room)
            elif not short or left[kind] > 0:
                yield part


def outcome_line(entry: Entry, running: str = "", room: int | None = None) -> Line:
    """How it ended, how long it took, what stands about it, its flags: ``✓ 12 s``, ``⚑ impatience``.

    In ``room`` cells marks give way first, then the note, then flags; the outcome stays.
    """
    note: Line = ()
    marks: Line = ()
    outcome: Line = ()
    if entry.note:
        since = f", running {running}" if entry.since is not None and running else ""
        role: Role = "error" if entry.note.startswith("✗") else "accent" if entry.kind == "advice" else "dim"
        note = ((entry.note + since, role),)
    if entry.marks:
        counted = Counter(entry.marks)
        times = entry.kind == "fold"
        said = " · ".join(f"{mark} ×{number}" if times else mark for mark, number in counted.most_common())
        marks = ((f"[{said}]", "dim"),)
    if entry.outcome:
        mark = outcome_mark(entry.outcome)
        took = duration(entry.duration_ms) if entry.duration_ms != 0 else UNKNOWN
        if entry.outcome == "running" and running:
            took = running
        words = " ".join(word for word in (entry.outcome_word or mark.word, took) if word)
        outcome = ((f"{mark.glyph} {words}".rstrip(), mark.role),)
    flags = flag_line(entry.flags)
    if room is not None:
        marks = _crop_to_room(marks, room, note, outcome, flags)
        note = _crop_to_room(note, room, marks, outcome, flags)
        flags = _crop_to_room(flags, room, note, marks, outcome)
    line: list[Span] = []
    for part in (note, marks, outcome, flags):
        if line and part:
            line.append(("  ", "text"))
        line.extend(part)
    return tuple(line)


def _crop_to_room(part: Line, room: int, *others: Line) -> Line:
    """``part`` cropped so that it and the others fit into ``room`` cells; nothing where it would say nothing."""
    free = room - sum(cells.line_width(other) + 2 for other in others if other)
    return cells.crop_line(part, free) if free >= LEAST_PART else ()


def _room_beside_name(entry: Entry, room: int) -> int:
    """Cells of a headline that are free beside what says which entry this is."""
    word = KIND_WORDS[entry.kind] if entry.kind in ("advice", "eval", "question") else ""
    name = word or (entry.head[0][0] if entry.head[0][1] == "call" else "")
    mark = 1 if len(entry.head) > 1 else 0  # of what is cut after the name
    return room - min(cells.width(name) + mark + 1, room // 2)


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
    beside = compact and bool(entry.tail) and entry.outcome != "running"
    wanted = LEAST_TAIL + 2 if beside else 0
    if cells.line_width(head) + taken + wanted > room:
        # What comes last and dim says least.
        head = tuple(span for span in head if span[1] != "dim") or head
    if not beside:
        return head
    free = room - cells.line_width(head) - taken - 2
    tail: Line = ((entry.tail, _tail_role(entry)),)
    return (*head, ("  ", "text"), *cells.crop_line(tail, free)) if free >= LEAST_TAIL else head


def _tail_role(entry: Entry) -> Role:
    """The last line of what failed is red, beside the glyph and the word of its outcome."""
    return "error" if outcome_mark(entry.outcome).role == "error" else "dim"


class RowCache:
    """Entries by seq as rows, with what a reader did to them: unfolded details, a search, marks in the margin."""

    def __init__(self) -> None:
        self.expanded: set[int] = set()
        self.pattern = ""
        self.marks: frozenset[int] = frozenset()
        self._kept: dict[int, tuple[object, list[Line]]] = {}

    def rows(self, seq: int, entry: Entry, width: int, *, gutter: int, now: int, selected: bool) -> list[Line]:
        """The rows of ``entry`` in ``width`` cells; ``now`` in Unix ms, for what is still running."""
        running = running_time(now - entry.since) if entry.since is not None else ""
        unfolded, marked = seq in self.expanded, seq in self.marks
        key = (entry, selected, unfolded, running, self.pattern, marked)
        known = self._kept.get(seq)
        if known is not None and known[0] == key:
            return known[1]
        rows = rows_of(entry, width, gutter=gutter, expanded=unfolded, running=running, selected=selected)
        if self.pattern:
            rows = [restyle(row, matches(text_of(row), self.pattern), "match") for row in rows]
        if marked and rows and not selected:
            rows[0] = (("•", "accent"), *slice_line(rows[0], 1, 1 << 30))
        self._kept[seq] = (key, rows)
        return rows

    def heights(self) -> dict[int, int]:
        """How many rows each entry took that was painted last."""
        return {seq: len(rows) for seq, (_, rows) in self._kept.items()}

    def forget(self, keep: Collection[int] = ()) -> None:
        """Let go of the rows of all entries but these: after a new width, or of what lies far away."""
        self._kept = {seq: kept for seq, kept in self._kept.items() if seq in keep}
