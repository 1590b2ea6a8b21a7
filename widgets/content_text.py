"""What a text of a log is, and so how it is painted: JSON, a diff, a numbered listing, code, Markdown, or plain.

All rows stand for a piece of the clean text, so that a search of what was written finds its row. Bounded, and the last
few texts are kept: an action is read again whenever something about it changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

from widgets.code_text import LONGEST_LINE, code_lines, command_lines
from widgets.diff_text import holds_diff, roles_in_output
from widgets.json_text import json_rows
from widgets.markdown_text import markdown_rows
from widgets.models import Line, Role, TextRow
from widgets.sanitise import clean

Kind = Literal["plain", "markdown", "output", "code", "command"]
"""``output``: what a tool wrote, which may be anything; ``code``: in the language that is told with it."""

MOST: Final = 200_000
"""Characters of a text that is looked at; a longer one is plain, but for JSON, whose beginning is laid out."""
MOST_KEPT: Final = 12

_NUMBERED: Final = re.compile(r"(\s*\d+(?:\t|→|\||:| {2}| (?=$)|$))(.*)")
_PROBLEM: Final = re.compile(
    r"Traceback \(most recent call last\)|(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt)(?::|$)"
    r"|(?:error|fatal|panic|FAILED|ERROR|FAIL)\b[\s\[(:]|E {3}|\S+: (?:command not found|No such file)"
)


def text_rows(text: str, kind: Kind = "plain", language: str = "", role: Role = "text") -> tuple[TextRow, ...]:
    """A foreign text as rows. ``language``: of code, and of the file that an output lists, as Pygments calls it."""
    make = _make_rows if len(text) <= MOST else _make_rows.__wrapped__
    return make(text, kind, language, role)


@lru_cache(maxsize=MOST_KEPT)
def _make_rows(text: str, kind: Kind, language: str, role: Role) -> tuple[TextRow, ...]:
    text = clean(text)
    if kind == "output" and (found := json_rows(text)) is not None:
        return found
    lines = text.split("\n")
    if kind == "plain" or len(text) > MOST:
        return _plain(lines, role)
    if kind == "markdown":
        return tuple(markdown_rows(text, role))
    if kind in ("code", "command"):
        shown = code_lines(text, language) if kind == "code" else command_lines(text)
        return tuple(TextRow(line, raw) for line, raw in zip(shown, lines, strict=True))
    if holds_diff(text):
        return tuple(TextRow(((raw, found),), raw) for raw, found in zip(lines, roles_in_output(lines), strict=True))
    if language and (listing := _listing(lines, language)) is not None:
        return listing
    return tuple(TextRow(((raw, _role_in_output(raw, role)),), raw) for raw in lines)


def _plain(lines: Sequence[str], role: Role) -> tuple[TextRow, ...]:
    return tuple(TextRow(((raw, role),), raw) for raw in lines)


def _role_in_output(line: str, role: Role) -> Role:
    """Red for a line that begins as one that tells of a problem does: its word is there, too."""
    return "error" if _PROBLEM.match(line) else role


def _listing(lines: Sequence[str], language: str) -> tuple[TextRow, ...] | None:
    """A file as tools list it, a number before each of its lines; None where most lines have none."""
    split = [(_NUMBERED.match(line) if len(line) <= LONGEST_LINE else None) for line in lines]
    numbered = [at for at, found in enumerate(split) if found]
    if len(numbered) < 2 or 2 * len(numbered) < len(lines):
        return None
    code = code_lines("\n".join(found[2] for found in split if found), language)
    rows: list[Line] = [((line, "dim"),) for line in lines]
    for at, shown in zip(numbered, code, strict=True):
        found = split[at]
        if found is not None:
            rows[at] = ((found[1], "dim"), *shown)
    return tuple(TextRow(row, raw) for row, raw in zip(rows, lines, strict=True))
