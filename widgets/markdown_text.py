"""Markdown as rows: headings, lists, quotes, tables, code. Line by line, so that every row knows what was written.

What is no Markdown for sure is left as it stands: agents write of ``*.py`` and ``__init__`` more than they emphasise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from widgets import cells
from widgets.models import CODE_BAR, Line, Role, Span, TextRow

WIDEST_COLUMN: Final = 40
"""Cells up to which the columns of a table are filled to one width."""
MOST_ROWS: Final = 200
"""Rows of a table whose columns are filled."""

LONGEST_LINE: Final = 4_000
"""Characters of a line in which marks are looked for."""

MARKS: Final = re.compile(r"[*`#\[|>~]|(?:^|\n) *[-+_]")
"""What every mark of Markdown has in it: a text without is plain."""

_FENCE: Final = re.compile(r"\s{0,8}(`{3,}|~{3,})\s*([^`]*)$")
_HEADING: Final = re.compile(r"\s{0,3}#{1,6}\s+(\S.*)")
_BULLET: Final = re.compile(r"(\s*)[-*+]\s+(?=\S)(\[[ xX]\]\s+)?")
_QUOTE: Final = re.compile(r"\s{0,3}((?:>\s?)+)")
_DIVIDER: Final = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")
_INLINE: Final = re.compile(
    r"(?P<tick>`+)(?P<code>[^`]+)(?P=tick)(?!`)"
    r"|(?<![\w*])\*\*(?=\S)(?P<strong>[^*]+)(?<=\S)\*\*(?![\w*])"
    r"|\[(?P<link>[^\]\[]{1,300})\]\((?P<to>[^)(\s]{1,2000})\)"
)


def markdown_rows(text: str, role: Role = "text", *, syntax: bool = True) -> Iterator[TextRow]:
    """A clean text as rows in ``role``. ``syntax``: code in it is shown in the roles of its language."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if fence := _FENCE.match(lines[at]):
            end = _end_of_fence(lines, at, fence[1])
            yield from _fenced(lines[at:end], fence, syntax)
            at = end
        elif _is_table_row(lines[at]) and at + 1 < len(lines) and _DIVIDER.fullmatch(lines[at + 1].strip()):
            end = at + 2
            while end < len(lines) and _is_table_row(lines[end]):
                end += 1
            yield from _table(lines[at:end], role)
            at = end
        else:
            yield TextRow(markdown_line(lines[at], role), lines[at])
            at += 1


@lru_cache(maxsize=512)
def markdown_line(line: str, role: Role = "text") -> Line:
    """One line outside of code and tables."""
    if len(line) > LONGEST_LINE:
        return ((line, role),)
    if heading := _HEADING.match(line):
        return _inline(heading[1].rstrip("# "), "heading")
    marks = line.replace(" ", "")
    if len(marks) > 2 and marks[0] in "-*_" and not marks.strip(marks[0]):
        return (("─" * 12, "rule"),)
    lead: list[Span] = []
    if quote := _QUOTE.match(line):
        lead.append(("▎ " * quote[1].count(">"), "dim"))
        line = line[quote.end() :]
    if bullet := _BULLET.match(line):
        done = {"": "•", "[ ]": "☐", "[x]": "☑", "[X]": "☑"}[(bullet[2] or "").strip()]
        lead.append((f"{bullet[1]}{done} ", role))
        line = line[bullet.end() :]
    return (*lead, *_inline(line, role))


def _inline(text: str, role: Role) -> Line:
    spans: list[Span] = []
    at = 0
    for found in _INLINE.finditer(text):
        if found.start() > at:
            spans.append((text[at : found.start()], role))
        if found["code"] is not None:
            # The marks stay: without colours nothing else tells code.
            spans.append((found[0], "code"))
        elif found["strong"] is not None:
            spans.append((found["strong"], "heading" if role == "heading" else "strong"))
        else:
            to = found["to"]
            spans.append((found["link"], role))
            spans.append((f" ({to})" if to != found["link"] else "", "dim"))
        at = found.end()
    if at < len(text):
        spans.append((text[at:], role))
    return tuple(span for span in spans if span[0]) or (("", role),)


def _end_of_fence(lines: Sequence[str], begin: int, fence: str) -> int:
    """After the line that ends the block; the end of the text where none does."""
    for at in range(begin + 1, len(lines)):
        if _closes(lines[at], fence):
            return at + 1
    return len(lines)


def _closes(line: str, fence: str) -> bool:
    mark = line.strip()
    return mark.startswith(fence) and not mark.strip(fence[0])


def _is_table_row(line: str) -> bool:
    mark = line.strip() if len(line) <= LONGEST_LINE else ""
    return len(mark) > 2 and mark[0] == "|" and mark[-1] == "|"


def _fenced(lines: Sequence[str], fence: re.Match[str], syntax: bool) -> Iterator[TextRow]:
    """A block of code with a bar before it; the rows beside its fences stand for them, too."""
    closed = len(lines) > 1 and _closes(lines[-1], fence[1])
    inside = lines[1 : len(lines) - closed]
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = [line[indent:] if not line[:indent].strip() else line for line in inside]
    shown: list[Line] = [((line, "text"),) for line in code or [""]]
    if syntax:
        from widgets.code_text import code_lines, fence_language  # the app starts without it

        shown = code_lines("\n".join(code), fence_language(fence[2]))
    raw = list(inside) or [""]
    raw[0] = f"{lines[0]}\n{raw[0]}" if inside else lines[0]
    raw[-1] += f"\n{lines[-1]}" if closed else ""
    for line, piece in zip(shown, raw, strict=True):
        yield TextRow((CODE_BAR, *line), piece)


def _table(lines: Sequence[str], role: Role) -> Iterator[TextRow]:
    """A table with its columns below each other."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    made = [[_inline(cell, "strong" if at == 0 else role) for cell in row] for at, row in enumerate(rows)]
    count = len(rows[0])
    known = [row for at, row in enumerate(made[:MOST_ROWS]) if at != 1]
    widths = [
        min(WIDEST_COLUMN, max((cells.line_width(row[column]) for row in known if column < len(row)), default=0))
        for column in range(count)
    ]
    for at, (row, raw) in enumerate(zip(made, lines, strict=True)):
        if at == 1:
            yield TextRow((("─┼─".join("─" * width for width in widths), "rule"),), raw)
            continue
        line: list[Span] = []
        for column, cell in enumerate(row):
            gap = widths[column] - cells.line_width(cell) if column < count else 0
            if column:
                line.append((" │ ", "rule"))
            line += cell
            if gap > 0 and column + 1 < len(row):
                line.append((" " * gap, role))
        yield TextRow(tuple(line), raw)
