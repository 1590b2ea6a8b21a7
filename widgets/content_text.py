"""What a text of a log is, and so how it is painted: JSON, a diff, a numbered listing, code, Markdown, or plain.

All rows stand for a piece of the clean text, so that a search of what was written finds its row. Bounded, and the last
few texts are kept: an action is read again whenever something about it changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, Literal

from widgets.code_text import LONGEST_LINE, code_lines, command_lines
from widgets.diff_text import holds_diff, roles_in_output
from widgets.json_text import Wrapped, find_wrapped, json_rows
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
    if kind == "output" and (wrapped := find_wrapped(text)) is not None:
        return tuple(_unwrap(wrapped, language))
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
    return tuple(map(TextRow, _output_lines(lines, language, role), lines))


def _output_lines(lines: Sequence[str], language: str, role: Role = "text") -> list[Line]:
    """The lines of an output in their roles."""
    if holds_diff(lines):
        return [((line, found),) for line, found in zip(lines, roles_in_output(lines), strict=True)]
    if language and (listing := _listing(lines, language)) is not None:
        return listing
    return [((line, _role_in_output(line, role)),) for line in lines]


def _unwrap(wrapped: Wrapped, language: str) -> Iterator[TextRow]:
    """What a tool wrote, without the JSON that it was handed over in; what else that says stands behind it."""
    shown = _output_lines(wrapped.lines, language)
    pieces = [wrapped.before + wrapped.raw[0], *wrapped.raw[1:]]
    if not wrapped.rest:
        pieces[-1] += wrapped.behind
    last = len(pieces) - 1
    for at, (line, raw) in enumerate(zip(shown, pieces, strict=True)):
        yield TextRow(line, raw, ends=at == last and not wrapped.rest)
    if wrapped.rest:
        yield TextRow(((wrapped.rest, "dim"),), wrapped.behind)


def _plain(lines: Sequence[str], role: Role) -> tuple[TextRow, ...]:
    return tuple(TextRow(((raw, role),), raw) for raw in lines)


def _role_in_output(line: str, role: Role) -> Role:
    """Red for a line that begins as one that tells of a problem does: its word is there, too."""
    return "error" if _PROBLEM.match(line) else role


def _listing(lines: Sequence[str], language: str) -> list[Line] | None:
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
    return rows
